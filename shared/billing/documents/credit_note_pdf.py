"""A credit note as a PDF: what it takes back of which invoice, and why. It carries its canonical JSON, and the logo
that it was drawn with, as attachments."""

from datetime import UTC, datetime, time

from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Spacer

from shared.billing.documents.figures import AmountTable, TotalRow, money, tax_sums
from shared.billing.documents.json import render_note_json
from shared.billing.documents.letterhead import head, parties, picture
from shared.billing.invoices.models import CreditNote
from shared.pdf.document import WIDTH, DocumentInfo, build, one_at_a_time
from shared.pdf.fonts import block, style, text

_KIND = "Credit note"
_COLUMNS = [("Invoice", 44 * mm), ("Reason", WIDTH - 106 * mm), ("", 36 * mm), ("Amount", 26 * mm)]
_SETTLED = (
    "This amount lowers what is due of the invoice. What is over, because the invoice was paid already, is credit for "
    "the next invoice."
)


@one_at_a_time
def render_note_pdf(note: CreditNote, logo: bytes | None) -> bytes:
    """Render a credit note as PDF. `logo` is PNG, JPEG or WebP; one that cannot be read is left out. The same note
    gives the same bytes."""
    drawn, currency = picture(logo), note.currency
    attachments = {"credit-note.json": render_note_json(note)}
    if drawn is not None and logo is not None:
        attachments["logo"] = logo
    facts = [("Number", note.number), ("Issued", note.issued_on), ("Of invoice", _invoice(note))]
    total = f"{currency} {money(note.total, currency)}"
    story: list[Flowable] = [
        *head(_KIND, note.seller, drawn, facts, ("Credited", total)),
        parties(note.seller, note.buyer, note.pseudonym),
        Spacer(1, 6 * mm),
        _amounts(note, total),
        Spacer(1, 5 * mm),
        text(_SETTLED, style(8, quiet=True)),
    ]
    info = DocumentInfo(
        title=f"{_KIND} {note.number}",
        author=note.seller.name,
        subject=f"Invoice {note.invoice_number}, {currency}",
        dated=datetime.combine(datetime.fromisoformat(note.issued_on).date(), time(), UTC),
        foot=f"{note.seller.name} · {_KIND} {note.number}",
        attachments=attachments,
    )
    return build(info, story)


def _invoice(note: CreditNote) -> str:
    """India's Rule 53 wants its date as well."""
    return note.invoice_number if note.invoice_issued_on is None else f"{note.invoice_number}, {note.invoice_issued_on}"


def _amounts(note: CreditNote, total: str) -> Flowable:
    table, net = AmountTable(_COLUMNS, right_from=2), money(note.net, note.currency)
    table.add([[text(note.invoice_number), block(note.reason), "", text(net, style(right=True))]])
    sums = [TotalRow("Net", net), *tax_sums(note.taxes, note.currency)]
    table.total([*sums, TotalRow("Credited", total, size=11, bold=True, last=True)])
    return table.table()
