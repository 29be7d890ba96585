"""An invoice as a PDF: what a person reads and files. The buyer's, or the merchant's with its side of it.

It carries the invoice's canonical JSON, and the logo that it was drawn with, as attachments: whoever has the file can
compute the invoice again and draw the same pages.
"""

import io
from collections.abc import Sequence
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any

from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.platypus import Flowable, Image, KeepTogether, Paragraph, Spacer, Table, TableStyle

from shared.billing.documents.canonical import frozen, render_json
from shared.billing.documents.chart import DayChart
from shared.billing.documents.sheet import WIDTH, Sheet, build
from shared.billing.documents.type import ACCENT, BAND, FAINT, INK, marked, style
from shared.billing.models import Invoice, Line, Party
from shared.kernel.money import decimal_text, round_money
from shared.kernel.periods import Period

LOGO_HEIGHT, LOGO_WIDTH = 16 * mm, 60 * mm
_GAP = Spacer(1, 5 * mm)
_METRICS = {
    "requests": "requests", "request_mb": "MB received", "response_mb": "MB sent", "data_mb": "MB both ways",
    "executions": "executions", "active_minutes": "active minutes", "quantity": "quantity", "unique": "unique values",
    "max": "largest value",
}  # fmt: skip


def render_pdf(invoice: Invoice, logo: bytes | None, *, merchants_side: bool = False) -> bytes:
    """`logo` is PNG, JPEG or WebP; one that cannot be read is left out. The same invoice gives the same bytes."""
    issued = frozen(invoice)
    picture = _picture(logo)
    attachments = {"invoice.json": render_json(issued, merchants_side=merchants_side)}
    if picture is not None and logo is not None:
        attachments["logo"] = logo
    kind = "Statement for the merchant" if merchants_side else "Invoice"
    sheet = Sheet(
        title=f"{kind} {issued.number}",
        author=issued.seller.name,
        subject=f"{issued.period}, {issued.currency}",
        dated=datetime.combine(datetime.fromisoformat(issued.issued_on).date(), time(), UTC),
        foot=f"{issued.seller.name} · {kind} {issued.number}",
        attachments=attachments,
    )
    return build(sheet, _story(issued, picture, kind, merchants_side))


def _story(invoice: Invoice, picture: Image | None, kind: str, merchants_side: bool) -> list[Flowable]:
    story = [*_head(invoice, picture, kind), _parties(invoice), _GAP, _lines(invoice), Spacer(1, 3 * mm)]
    story.append(KeepTogether([_totals(invoice)]))
    if merchants_side:
        story += [_GAP, KeepTogether([_heading("Your side"), _merchants_side(invoice)])]
    story += [_GAP, KeepTogether([_heading("Requests by day"), DayChart(invoice.days, WIDTH)])]
    if invoice.payment_details:
        details = Paragraph(marked(invoice.payment_details), style())
        story += [_GAP, KeepTogether([_heading("Payment"), details])]
    if invoice.footer:
        story += [_GAP, Paragraph(marked(invoice.footer), style(8, quiet=True))]
    return [*story, _GAP, *_proof(invoice)]


def _picture(logo: bytes | None) -> Image | None:
    if logo is None:
        return None
    from PIL import Image as Pillow  # slow to import, and not every seller has a logo
    from PIL import UnidentifiedImageError

    try:
        with Pillow.open(io.BytesIO(logo)) as opened:
            flat = Pillow.new("RGB", opened.size, "white")
            rgba = opened.convert("RGBA")
            flat.paste(rgba, mask=rgba.getchannel("A"))
    except (UnidentifiedImageError, OSError, ValueError):
        return None
    png = io.BytesIO()
    flat.save(png, "PNG")
    width, height = ImageReader(png).getSize()
    scale = min(LOGO_WIDTH / width, LOGO_HEIGHT / height)
    png.seek(0)
    return Image(png, width * scale, height * scale, hAlign="LEFT")


def _head(invoice: Invoice, picture: Image | None, kind: str) -> list[Flowable]:
    name = Paragraph(marked(invoice.seller.name), style(15, bold=True))
    facts = [
        ("Number", invoice.number or "draft"),
        ("Issued", invoice.issued_on),
        ("Due", invoice.due_on),
        ("Period", _days(invoice)),
        ("Currency", invoice.currency),
    ]
    rows = [[Paragraph(word, style(8, quiet=True)), Paragraph(marked(value), style(9))] for word, value in facts]
    table = Table(rows, colWidths=[20 * mm, 56 * mm], hAlign="RIGHT")
    sides = ("LEFTPADDING", "RIGHTPADDING", "TOPPADDING", "BOTTOMPADDING")
    table.setStyle(TableStyle([(side, (0, 0), (-1, -1), 0.6 * (number > 1)) for number, side in enumerate(sides)]))
    left: list[Flowable] = [picture, Spacer(1, 2 * mm)] if picture is not None else []
    title = Paragraph(marked(kind), style(20, bold=True))
    both = Table([[[*left, name], [title, Spacer(1, 2 * mm), table]]], colWidths=[WIDTH - 78 * mm, 78 * mm])
    both.setStyle(_bare())
    return [both, Spacer(1, 7 * mm)]


def _days(invoice: Invoice) -> str:
    of = Period(invoice.period, invoice.start, invoice.end, invoice.time_zone)
    return f"{of.first_day} to {of.last_day} ({invoice.time_zone})"


def _bare() -> TableStyle:
    sides = ("LEFTPADDING", "RIGHTPADDING", "TOPPADDING", "BOTTOMPADDING")
    return TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), *((side, (0, 0), (-1, -1), 0) for side in sides)])


def _parties(invoice: Invoice) -> Flowable:
    seller, buyer = _party("From", invoice.seller), _party("Billed to", invoice.buyer)
    table = Table([[seller, buyer]], colWidths=[WIDTH - 78 * mm, 78 * mm])
    table.setStyle(_bare())
    return table


def _party(word: str, party: Party) -> list[Flowable]:
    address = party.address
    lines = [] if address is None else [*address.lines, f"{address.postal_code} {address.city}".strip(), address.region]
    lines += [] if address is None else [address.country]
    ids = [party.tax_id, *(each.number for each in party.registrations)]
    lines += [f"Tax id {number}" for number in dict.fromkeys(filter(None, ids))]
    shown = [Paragraph(marked(line), style(9)) for line in lines if line]
    return [Paragraph(word, style(8, quiet=True)), Paragraph(marked(party.name), style(10, bold=True)), *shown]


def _heading(text: str) -> Flowable:
    return Paragraph(text, style(10, bold=True))


def money(amount: Decimal, currency: str) -> str:
    """With the currency's digits, thousands apart, and a true minus sign."""
    return f"{round_money(amount, currency):,f}".replace("-", "−")


def _lines(invoice: Invoice) -> Flowable:
    head: list[Any] = [Paragraph(word, style(8, bold=True)) for word in ("Service", "Description")]
    head += [Paragraph(word, style(8, bold=True, right=True)) for word in ("Quantity", "Unit price", "Amount")]
    rows: list[list[Any]] = [head]
    looks: list[Any] = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"), ("TOPPADDING", (0, 0), (-1, -1), 2), ("LEFTPADDING", (0, 0), (-1, -1), 4),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2), ("RIGHTPADDING", (0, 0), (-1, -1), 4),
        ("BACKGROUND", (0, 0), (-1, 0), BAND), ("LINEBELOW", (0, 0), (-1, 0), 0.8, ACCENT),
    ]  # fmt: skip
    for line in invoice.lines:
        looks.append(("LINEABOVE", (0, len(rows)), (-1, len(rows)), 0.4, FAINT))
        rows += _line_rows(line, invoice)
    widths = [32 * mm, WIDTH - 112 * mm, 30 * mm, 24 * mm, 26 * mm]
    table = Table(rows, colWidths=widths, repeatRows=1)
    table.setStyle(TableStyle(looks))
    return table


def _line_rows(line: Line, invoice: Invoice) -> list[list[Any]]:
    currency = invoice.currency
    unit = line.unit or ("" if line.metric in ("quantity", "max") else _METRICS.get(line.metric, line.metric))
    about = f"{line.description or line.charge_id}"
    if line.corrects is not None:
        about += f"\nCorrection of {line.corrects}: usage that was counted after its invoice"
    elif (line.start, line.end) != (invoice.start, invoice.end):
        of = Period(invoice.period, line.start, line.end, invoice.time_zone)
        about += f"\n{of.first_day} to {of.last_day}"
    right, small = style(9, right=True), style(7.5, right=True, quiet=True)
    rows: list[list[Any]] = [[
        Paragraph(marked(line.service_name), style(9)), Paragraph(marked(about), style(9)),
        Paragraph(marked(f"{_number(line.quantity)} {unit}"), right), "",
        Paragraph(money(line.amount, currency), right),
    ]]  # fmt: skip
    if len(line.steps) == 1 and line.steps[0].unit_price is not None and line.steps[0].quantity == line.quantity:
        rows[0][3] = Paragraph(_number(line.steps[0].unit_price), right)
    else:
        rows += [
            ["", Paragraph(marked(step.label), style(7.5, quiet=True)), Paragraph(_number(step.quantity), small),
             Paragraph(_number(step.unit_price), small), Paragraph(_number(step.amount), small)]
            for step in line.steps
        ]  # fmt: skip
    for word, amount in (("Discount", -line.discount), ("Up to the minimum", line.top_up)):
        if amount:
            rows.append(["", Paragraph(word, style(9)), "", "", Paragraph(money(amount, currency), right)])
    return rows


def _number(value: Decimal | None) -> str:
    """Exact as far as twelve digits after the point."""
    if value is None:
        return ""
    rounded = value if -value.as_tuple().exponent <= 12 else value.quantize(Decimal("1e-12"))  # type: ignore[operator]
    whole, _, rest = decimal_text(rounded).partition(".")
    return f"{int(whole):,}".replace("-", "−") + (f".{rest}" if rest else "") if whole != "-0" else f"−0.{rest}"


def _sums(rows: Sequence[tuple[str, str, bool]]) -> Flowable:
    """Words and amounts on the right; the last of them stands out."""
    cells = [
        [Paragraph(marked(word), style(9, bold=strong)), Paragraph(marked(amount), style(9, bold=strong, right=True))]
        for word, amount, strong in rows
    ]
    table = Table(cells, colWidths=[62 * mm, 34 * mm], hAlign="RIGHT")
    last = len(rows) - 1
    table.setStyle(TableStyle([
        ("TOPPADDING", (0, 0), (-1, -1), 1.5), ("BOTTOMPADDING", (0, 0), (-1, -1), 1.5),
        ("LINEABOVE", (0, last), (-1, last), 1, INK), ("BACKGROUND", (0, last), (-1, last), BAND),
        ("TOPPADDING", (0, last), (-1, last), 4), ("BOTTOMPADDING", (0, last), (-1, last), 5),
        ("LEFTPADDING", (0, 0), (-1, -1), 4), ("RIGHTPADDING", (0, 0), (-1, -1), 4),
    ]))  # fmt: skip
    return table


def _totals(invoice: Invoice) -> Flowable:
    currency = invoice.currency
    rows = [("Subtotal", money(invoice.subtotal, currency), False)]
    if invoice.discounts:
        rows.append(("Discounts", money(-invoice.discounts, currency), False))
    if invoice.top_ups:
        rows.append(("Up to minimum charges", money(invoice.top_ups, currency), False))
    rows.append(("Net", money(invoice.net, currency), False))
    for tax in invoice.taxes:
        word = f"{tax.name} {decimal_text(tax.percent)} % of {money(tax.taxable, currency)}"
        rows.append((f"{word}\n{tax.note}" if tax.note else word, money(tax.amount, currency), False))
    rows.append(("Total", money(invoice.total, currency), True))
    rows += [(f"Credit from {use.note_number}", money(-use.amount, currency), False) for use in invoice.credits]
    if invoice.carried:
        rows.append(("Carried to your next invoice", money(invoice.carried, currency), False))
    return _sums([*rows, (f"Amount due, {currency}", money(invoice.amount_due, currency), True)])


def _merchants_side(invoice: Invoice) -> Flowable:
    currency = invoice.currency
    commission = f"Commission, {decimal_text(invoice.commission_percent)} % of {money(invoice.net, currency)}"
    return _sums([
        ("Net sales", money(invoice.net, currency), False),
        (commission, money(-invoice.commission, currency), False),
        (f"Net to you, {currency}", money(invoice.merchant_net, currency), True),
    ])  # fmt: skip


def _proof(invoice: Invoice) -> list[Flowable]:
    """What it rests on, and how to check it."""
    if not invoice.records:
        return []
    rows = [[Paragraph(word, style(7.5, bold=True)) for word in ("Period", "Records", "SHA-256 of their export")]]
    rows += [
        [Paragraph(proof.period, style(7)), Paragraph(f"{proof.count:,}", style(7)), Paragraph(proof.sha256, style(7))]
        for proof in invoice.records
    ]
    table = Table(rows, colWidths=[20 * mm, 24 * mm, WIDTH - 44 * mm], hAlign="LEFT")
    table.setStyle(_bare())
    how = (
        "Anybody can compute this invoice again from the usage records that it rests on: export them, then run "
        "scripts/verify_invoice with this file. It needs no network."
    )
    return [KeepTogether([_heading("Proof"), Paragraph(how, style(7.5, quiet=True)), Spacer(1, 1.5 * mm), table])]
