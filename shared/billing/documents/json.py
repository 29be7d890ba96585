"""An invoice, or a credit note, as JSON: what was frozen when it was issued, in one canonical form, without what is not
the buyer's affair.

This is what a PDF carries as its attachment, and what a verifier computes again.
"""

import json
from typing import Any

from shared.billing.invoices.models import CreditNote, Invoice

_LATER = {"status", "paid", "credited", "payments", "notes", "due", "reminders", "voided_reason", "prints", "kind"}
"""What changes after an invoice is issued, and what only AMS needs."""

_MERCHANTS = {"commission_percent", "commission", "merchant_net"}
_HIDDEN = {"consumer_id"}
_UNKNOWN = {"consumer_id": "unknown", "commission_percent": "0", "commission": "0", "merchant_net": "0"}


def render_json(invoice: Invoice, *, merchants_side: bool = False) -> bytes:
    """Render an invoice as canonical JSON: UTF-8, keys in order, decimals as text, a line end at the end. The buyer's
    is without commission and net to the merchant; neither tells who the consumer is beyond its pseudonym."""
    left_out = _LATER | _HIDDEN | (set() if merchants_side else _MERCHANTS)
    fields: dict[str, Any] = invoice.model_dump(mode="json", exclude=left_out, exclude_none=True)
    for used in fields["plans"]:
        used["plan"]["created_by"] = "unknown"  # one of the merchant's people: not what anybody pays for
    return _written(fields)


def render_note_json(note: CreditNote) -> bytes:
    """Render a credit note as canonical JSON, in the form of `render_json`."""
    return _written(note.model_dump(mode="json", exclude={"kind", *_HIDDEN}, exclude_none=True))


def _written(fields: dict[str, Any]) -> bytes:
    return (json.dumps(fields, sort_keys=True, ensure_ascii=False, indent=1) + "\n").encode()


def parse_json(text: bytes) -> Invoice:
    """Read the invoice of either side's JSON back; what it does not tell is zero or `unknown`. Raises ValueError."""
    fields = json.loads(text)
    if not isinstance(fields, dict):
        raise ValueError("must be a JSON object")
    return Invoice.model_validate({**_UNKNOWN, **fields})


def frozen(invoice: Invoice) -> Invoice:
    """Restore an invoice to what it was when it was issued, whatever was paid since: its documents never change."""
    return parse_json(render_json(invoice, merchants_side=True)).model_copy(update={"consumer_id": invoice.consumer_id})
