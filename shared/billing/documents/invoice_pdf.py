"""An invoice as a PDF: what a person reads and files. The buyer's, or the merchant's with its side of it.

It carries the invoice's canonical JSON, and the logo that it was drawn with, as attachments: whoever has the file can
compute the invoice again and draw the same pages.
"""

from datetime import UTC, datetime, time
from typing import Any

from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Image, KeepTogether, Spacer, Table

from shared.billing.documents.chart import DayChart
from shared.billing.documents.figures import AmountTable, TotalRow, money, number, price, sums_table, tax_sums
from shared.billing.documents.json import frozen, render_json
from shared.billing.documents.letterhead import bare, head, heading, invoice_kind, parties, picture
from shared.billing.invoices.models import Invoice, Line
from shared.billing.usage.models import RecordsProof
from shared.kernel.money import decimal_text
from shared.kernel.periods import Period
from shared.pdf.document import WIDTH, DocumentInfo, build, one_at_a_time
from shared.pdf.fonts import block, style, text

_METRICS = {
    "requests": "requests",
    "request_mb": "MB received",
    "response_mb": "MB sent",
    "data_mb": "MB both ways",
    "executions": "executions",
    "active_minutes": "active minutes",
    "quantity": "",
    "unique": "unique values",
    "max": "",
}
_COLUMNS = [
    ("Service", 34 * mm),
    ("Description", WIDTH - 122 * mm),
    ("Quantity", 38 * mm),
    ("Unit price", 24 * mm),
    ("Amount", 26 * mm),
]
_HOW_TO_CHECK = (
    "Anybody can compute this invoice again, offline: export the usage records of each period below, then run "
    "scripts/verify_invoice with them and this file, which carries the whole computation as its attachment "
    "invoice.json."
)


@one_at_a_time
def render_pdf(invoice: Invoice, logo: bytes | None, *, merchants_side: bool = False) -> bytes:
    """Render an invoice as PDF. `logo` is PNG, JPEG or WebP; one that cannot be read is left out. The same invoice
    gives the same bytes."""
    issued = frozen(invoice)
    drawn = picture(logo)
    attachments = {"invoice.json": render_json(issued, merchants_side=merchants_side)}
    if drawn is not None and logo is not None:
        attachments["logo"] = logo
    kind = "Statement for the merchant" if merchants_side else "Invoice"
    info = DocumentInfo(
        title=f"{kind} {issued.number}",
        author=issued.seller.name,
        subject=f"{issued.period}, {issued.currency}",
        dated=datetime.combine(datetime.fromisoformat(issued.issued_on).date(), time(), UTC),
        foot=f"{issued.seller.name} · {kind} {issued.number}",
        attachments=attachments,
    )
    return build(info, _story(issued, drawn, merchants_side))


def _story(invoice: Invoice, logo: Image | None, merchants_side: bool) -> list[Flowable]:
    currency = invoice.currency
    facts = [
        ("Number", invoice.number or "draft"),
        ("Issued", invoice.issued_on),
        ("Due", invoice.due_on),
        ("Period", _days(invoice)),
    ]
    kind = "Statement" if merchants_side else invoice_kind(invoice.seller, invoice.buyer)
    due = ("Amount due", f"{currency} {money(invoice.amount_due, currency)}")
    story = [*head(kind, invoice.seller, logo, facts, due), parties(invoice.seller, invoice.buyer, invoice.pseudonym)]
    story += [Spacer(1, 6 * mm), _lines(invoice)]
    for words, contents in (
        ("Your side", [_merchants_side(invoice)] if merchants_side else []),
        ("Payment", block(invoice.payment_details)),
        ("Requests by day", [DayChart(invoice.days, WIDTH)] if any(day.requests for day in invoice.days) else []),
        ("", block(invoice.footer, style(8, quiet=True))),
    ):
        if contents:
            story += [Spacer(1, 5 * mm), KeepTogether([*([heading(words)] if words else []), *contents])]
    return [*story, *_proof(invoice)]


def _days(invoice: Invoice) -> str:
    of = Period(invoice.period, invoice.start, invoice.end, invoice.time_zone)
    return f"{of.first_day} to {of.last_day} ({invoice.time_zone})"


def _lines(invoice: Invoice) -> Flowable:
    table = AmountTable(_COLUMNS, right_from=2)
    for line in invoice.lines:
        table.add(_line_rows(line, invoice))
    table.total(_totals(invoice))
    return table.table()


def _line_rows(line: Line, invoice: Invoice) -> list[list[Any]]:
    """The line, then what its amount is made of, small, unless that is one price of one quantity."""
    currency, right, small = invoice.currency, style(9, right=True), style(7.5, right=True, quiet=True)
    unit = line.unit or _METRICS.get(line.metric, line.metric)
    first: list[Any] = [
        text(line.service_name),
        [text(line.description or line.charge_id), *_about(line, invoice)],
        text(f"{number(line.quantity)} {unit}", right),
        "",
        text(money(line.amount, currency), right),
    ]
    rows = [first]
    only = line.steps[0] if len(line.steps) == 1 else None
    if only is not None and only.unit_price is not None and only.quantity == line.quantity:
        first[3] = text(price(only.unit_price, currency), right)
    else:
        rows += [
            [
                "",
                text(step.label, style(7.5, quiet=True)),
                text(number(step.quantity), small),
                text("" if step.unit_price is None else price(step.unit_price, currency), small),
                text(price(step.amount, currency), small),
            ]
            for step in line.steps
        ]
    for words, amount in (("Discount", -line.discount), ("Up to the minimum charge", line.top_up)):
        if amount:
            rows.append(["", text(words), "", "", text(money(amount, currency), right)])
    return rows


def _about(line: Line, invoice: Invoice) -> list[Flowable]:
    if line.corrects is not None:
        about = f"Correction of {line.corrects}: usage that was counted after its invoice"
    elif (line.start, line.end) != (invoice.start, invoice.end):
        of = Period(invoice.period, line.start, line.end, invoice.time_zone)
        about = f"{of.first_day} to {of.last_day}"
    else:
        return []
    return [text(about, style(7.5, quiet=True))]


def _totals(invoice: Invoice) -> list[TotalRow]:
    currency = invoice.currency
    sums = []
    if invoice.discounts or invoice.top_ups:
        sums.append(TotalRow("Subtotal", money(invoice.subtotal, currency)))
    if invoice.discounts:
        sums.append(TotalRow("Discounts", money(-invoice.discounts, currency)))
    if invoice.top_ups:
        sums.append(TotalRow("Up to minimum charges", money(invoice.top_ups, currency)))
    sums += [TotalRow("Net", money(invoice.net, currency)), *tax_sums(invoice.taxes, currency)]
    sums.append(TotalRow("Total", money(invoice.total, currency), bold=True))
    sums += [TotalRow(f"Credit from {use.note_number}", money(-use.amount, currency)) for use in invoice.credits]
    if invoice.carried:
        sums.append(TotalRow("Carried to your next invoice", money(invoice.carried, currency)))
    due = f"{currency} {money(invoice.amount_due, currency)}"
    return [*sums, TotalRow("Amount due", due, size=11, bold=True, last=True)]


def _merchants_side(invoice: Invoice) -> Flowable:
    currency = invoice.currency
    net_to_merchant = f"{currency} {money(invoice.merchant_net, currency)}"
    commission = f"Commission, {decimal_text(invoice.commission_percent)} % of {money(invoice.net, currency)}"
    return sums_table(
        [
            TotalRow("Net sales", money(invoice.net, currency)),
            TotalRow(commission, money(-invoice.commission, currency)),
            TotalRow("Net to you", net_to_merchant, size=11, bold=True, last=True),
        ]
    )


def _proof(invoice: Invoice) -> list[Flowable]:
    """What it rests on, and how to check it."""
    if not invoice.records:
        return []
    rows: list[list[Flowable]] = [
        [text(word, style(7.5, bold=True)) for word in ("Period", "Records", "SHA-256 of their export")]
    ]
    rows += [_proof_row(proof) for proof in invoice.records]
    table = Table(rows, colWidths=[22 * mm, 26 * mm, WIDTH - 48 * mm], hAlign="LEFT", style=bare(), repeatRows=1)
    how = [heading("Proof"), text(_HOW_TO_CHECK, style(7.5, quiet=True)), Spacer(1, 1.5 * mm)]
    return [Spacer(1, 5 * mm), KeepTogether([*how, table])]


def _proof_row(proof: RecordsProof) -> list[Flowable]:
    small = style(7.5)
    return [text(proof.period, small), text(f"{proof.count:,}", small), text(proof.sha256, small)]
