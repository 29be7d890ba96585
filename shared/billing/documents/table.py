"""An invoice as CSV, for spreadsheets: a row for each line, then taxes and totals. Cells that a spreadsheet would take
for a formula are guarded."""

import csv
import io
from collections.abc import Iterator
from decimal import Decimal

from shared.billing.models import Invoice
from shared.kernel.clock import format_time
from shared.kernel.csv_cells import safe_cell
from shared.kernel.money import decimal_text, money_text

COLUMNS = (
    "kind", "number", "period", "service", "description", "metric", "unit", "from", "to", "quantity",
    "billed_quantity", "exact_amount", "amount", "discount", "top_up", "net", "percent", "currency", "corrects",
)  # fmt: skip


def render_csv(invoice: Invoice, *, merchants_side: bool = False) -> bytes:
    """UTF-8, lines end with CR LF (RFC 4180). `kind` is `line`, `tax` or the name of a total."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="")
    writer.writeheader()
    for row in [*_lines(invoice), *_sums(invoice, merchants_side)]:
        writer.writerow({name: safe_cell(value) for name, value in row.items()})
    return text.getvalue().encode()


def _lines(invoice: Invoice) -> Iterator[dict[str, object]]:
    for line in invoice.lines:
        known = {
            "kind": "line", "service": line.service_name, "description": line.description, "metric": line.metric,
            "unit": line.unit, "from": format_time(line.start), "to": format_time(line.end),
            "quantity": _plain(line.quantity), "billed_quantity": _plain(line.billed_quantity),
            "exact_amount": _plain(line.amount_exact), "corrects": line.corrects or "",
        }  # fmt: skip
        money = {name: getattr(line, name) for name in ("amount", "discount", "top_up", "net")}
        yield {**_head(invoice), **known, **{name: _money(amount, invoice) for name, amount in money.items()}}


def _sums(invoice: Invoice, merchants_side: bool) -> Iterator[dict[str, object]]:
    for tax in invoice.taxes:
        yield {
            **_head(invoice), "kind": "tax", "description": tax.name, "percent": _plain(tax.percent),
            "net": _money(tax.taxable, invoice), "amount": _money(tax.amount, invoice),
        }  # fmt: skip
    for use in invoice.credits:
        amount = _money(-use.amount, invoice)
        yield {**_head(invoice), "kind": "credit", "description": use.note_number, "amount": amount}
    names = ["subtotal", "discounts", "top_ups", "net", "total", "carried", "amount_due"]
    for name in [*names, *(["commission", "merchant_net"] if merchants_side else [])]:
        yield {**_head(invoice), "kind": name, "amount": _money(getattr(invoice, name), invoice)}


def _head(invoice: Invoice) -> dict[str, object]:
    return {"number": invoice.number, "period": invoice.period, "currency": invoice.currency}


def _money(amount: Decimal, invoice: Invoice) -> Decimal:
    """A number, however negative: it is no formula."""
    return Decimal(money_text(amount, invoice.currency))


def _plain(value: Decimal) -> Decimal:
    return Decimal(decimal_text(value))
