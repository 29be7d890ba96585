"""An invoice, or a credit note, as CSV, for spreadsheets: a row for each line and what it is made of, then taxes and
totals. Cells that a spreadsheet would take for a formula are guarded; numbers are numbers, however negative."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from shared.billing.invoices.models import CreditNote, Invoice, Line
from shared.billing.tax.models import TaxLine
from shared.kernel.clock import format_time
from shared.kernel.http.csv_cells import safe_cell
from shared.kernel.money import decimal_text, round_money

COLUMNS = (
    "kind",
    "number",
    "period",
    "service",
    "description",
    "metric",
    "unit",
    "from",
    "to",
    "quantity",
    "billed_quantity",
    "unit_price",
    "exact_amount",
    "amount",
    "discount",
    "top_up",
    "net",
    "percent",
    "currency",
    "corrects",
)
NOTE_COLUMNS = (
    "kind",
    "number",
    "invoice_number",
    "issued_on",
    "description",
    "amount",
    "net",
    "percent",
    "currency",
)
_Row = dict[str, object]


def render_csv(invoice: Invoice, *, merchants_side: bool = False) -> bytes:
    """Render an invoice as CSV: UTF-8, lines end with CR LF (RFC 4180), decimals without an exponent. `kind` is `line`,
    `step` (what the line before is made of; its `exact_amount` is not rounded), `tax`, `credit`, or the name of a
    total."""
    rows = [*_lines(invoice), *_taxes(invoice.taxes, invoice.currency), *_sums(invoice, merchants_side)]
    head = {"number": invoice.number, "period": invoice.period, "currency": invoice.currency}
    return _written(COLUMNS, head, rows)


def render_note_csv(note: CreditNote) -> bytes:
    """Render a credit note as CSV, in the form of `render_csv`: one `line`, `tax` and the totals; what is taken back is
    positive."""
    money = round_money(note.net, note.currency)
    rows: list[_Row] = [{"kind": "line", "description": note.reason, "amount": money, "net": money}]
    rows += _taxes(note.taxes, note.currency)
    rows += [{"kind": "net", "amount": money}, {"kind": "total", "amount": round_money(note.total, note.currency)}]
    head = {
        "number": note.number,
        "invoice_number": note.invoice_number,
        "issued_on": note.issued_on,
        "currency": note.currency,
    }
    return _written(NOTE_COLUMNS, head, rows)


def _written(columns: tuple[str, ...], head: Mapping[str, object], rows: Iterable[_Row]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in {**head, **row}.items()})
    return text.getvalue().encode()


def _cell(value: object) -> object:
    if value is None:
        return ""
    return f"{value:f}" if isinstance(value, Decimal) else safe_cell(value)


def _lines(invoice: Invoice) -> Iterator[_Row]:
    for line in invoice.lines:
        money = {name: getattr(line, name) for name in ("amount", "discount", "top_up", "net")}
        yield {
            **_about(line),
            "kind": "line",
            "description": line.description,
            "quantity": _exact(line.quantity),
            "billed_quantity": _exact(line.billed_quantity),
            "exact_amount": _exact(line.amount_exact),
            **{name: round_money(amount, invoice.currency) for name, amount in money.items()},
        }
        for step in line.steps:
            yield {
                **_about(line),
                "kind": "step",
                "description": step.label,
                "quantity": _exact(step.quantity),
                "unit_price": _exact(step.unit_price),
                "exact_amount": _exact(step.amount),
            }


def _about(line: Line) -> _Row:
    return {
        "service": line.service_name,
        "metric": line.metric,
        "unit": line.unit,
        "from": format_time(line.start),
        "to": format_time(line.end),
        "corrects": line.corrects,
    }


def _taxes(taxes: Iterable[TaxLine], currency: str) -> Iterator[_Row]:
    for tax in taxes:
        yield {
            "kind": "tax",
            "description": tax.name,
            "percent": _exact(tax.percent),
            "net": round_money(tax.taxable, currency),
            "amount": round_money(tax.amount, currency),
        }


def _sums(invoice: Invoice, merchants_side: bool) -> Iterator[_Row]:
    for use in invoice.credits:
        amount = round_money(-use.amount, invoice.currency)
        yield {"kind": "credit", "description": use.note_number, "amount": amount}
    names = ["subtotal", "discounts", "top_ups", "net", "total", "carried", "amount_due"]
    for name in [*names, *(["commission", "merchant_net"] if merchants_side else [])]:
        yield {"kind": name, "amount": round_money(getattr(invoice, name), invoice.currency)}


def _exact(value: Decimal | None) -> Decimal | None:
    return None if value is None else Decimal(decimal_text(value))
