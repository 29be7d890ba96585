"""A usage report on paper: what it is about, totals, requests by day, the table. Equal input gives equal bytes."""

from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from reportlab.graphics.shapes import Drawing, Line, Rect, String
from reportlab.platypus import Flowable, LongTable, Paragraph, Spacer, Table, TableStyle

from shared.pdf.document import WIDTH, DocumentInfo, build, one_at_a_time
from shared.pdf.fonts import ACCENT, BAND, FAINT, FONT, QUIET, style, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.metering.views.figures import Figures
    from shared.reports.document import PrintedReport

_HEADS = {
    "label": "When",
    "requests": "Requests",
    "request_bytes": "In",
    "response_bytes": "Out",
    "quantity": "Quantity",
    "errors_4xx": "4xx",
    "errors_5xx": "5xx",
    "p95_ms": "p95 ms",
    "service": "Service",
    "pseudonym": "Consumer",
    "api_key": "API key",
    "project": "Project",
    "image": "Image",
    "version": "Version",
    "feature": "Feature",
    "merchant": "Merchant",
}
_NUMBERS = ("requests", "request_bytes", "response_bytes", "quantity", "errors_4xx", "errors_5xx", "p95_ms")
_NARROW, _WHEN, _WHEN_HOURS = 44.0, 58.0, 96.0
"""Points: of a column of numbers, of days, and of hours."""

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_CHART_HEIGHT = 90.0


@one_at_a_time
def render(printed: "PrintedReport") -> bytes:
    """Render a report as PDF. It takes the processor for a while: never to be called in an event loop."""
    report = printed.report
    story: list[Flowable] = [
        text(report.contents.name, style(18, bold=True)),
        text("Usage report · not an invoice", style(9, quiet=True)),
        Spacer(0, 12),
        _pairs(printed.facts),
        Spacer(0, 12),
        _totals(printed.total),
    ]
    if len(printed.days) > 1:
        story += [Spacer(0, 16), text("Requests by day", style(10, bold=True)), _chart(printed.days)]
    story += [Spacer(0, 16), *_table(printed)]
    as_of = printed.as_of or "now"
    info = DocumentInfo(
        title=report.contents.name,
        author="AMS",
        subject="Usage report",
        dated=report.created_at,
        foot=f"{report.id} · counted as of {as_of}",
    )
    return build(info, story)


def _pairs(facts: "Sequence[tuple[str, str]]") -> Table:
    rows = [[text(name, style(8.5, quiet=True)), text(value, style(8.5))] for name, value in facts]
    look = TableStyle([_flush(), ("TOPPADDING", (0, 0), (-1, -1), 1), ("VALIGN", (0, 0), (-1, -1), "TOP")])
    return Table(rows, [90, WIDTH - 90], style=look, splitInRow=1)


def _totals(total: "Figures") -> Table:
    """The figures that people look for first, side by side."""
    rate = total["error_rate"]
    shown = (
        ("Requests", _number("requests", total["requests"])),
        ("Executions", _number("requests", total["executions"])),
        ("Data in", _number("request_bytes", total["request_bytes"])),
        ("Data out", _number("response_bytes", total["response_bytes"])),
        ("Errors", "–" if rate is None else f"{100 * Decimal(str(rate)):.2f} %"),
        ("p95", _number("p95_ms", total["p95_ms"]) + (" ms" if total["p95_ms"] is not None else "")),
    )
    cells = [[text(name, style(7.5, quiet=True)), text(value, style(12, bold=True))] for name, value in shown]
    look = TableStyle([("BACKGROUND", (0, 0), (-1, -1), BAND), ("VALIGN", (0, 0), (-1, -1), "TOP")])
    return Table([cells], [WIDTH / len(cells)] * len(cells), style=look)


def _chart(days: "Sequence[tuple[str, int]]") -> Drawing:
    """A bar a day; as many days are named as fit."""
    drawing, foot, head = Drawing(WIDTH, _CHART_HEIGHT), 14.0, 12.0
    most = max(requests for _, requests in days)
    tall, step = _CHART_HEIGHT - foot - head, WIDTH / len(days)
    for share in (0, 0.5, 1):
        y = foot + tall * share
        drawing.add(Line(0, y, WIDTH, y, strokeColor=FAINT, strokeWidth=0.4))
    drawing.add(_text(WIDTH, foot + tall + 3, f"{most:,}", "end"))
    every = -(-len(days) // 10)
    for number, (day, requests) in enumerate(days):
        if most and requests:
            height = tall * requests / most
            bar = Rect(number * step + step * 0.12, foot, step * 0.76, height)
            bar.fillColor, bar.strokeColor = ACCENT, None
            drawing.add(bar)
        if number % every == 0:
            last = number + every >= len(days) and len(days) > every
            drawing.add(_text(WIDTH, 3, days[-1][0], "end") if last else _text(number * step, 3, day, "start"))
    return drawing


def _text(x: float, y: float, text: str, anchor: Literal["start", "end"]) -> String:
    return String(x, y, text, fontName=FONT, fontSize=6.5, fillColor=QUIET, textAnchor=anchor)


def _table(printed: "PrintedReport") -> "list[Flowable]":
    if not printed.rows:
        return [text("Nothing was used.", style())]
    columns = [name for name in printed.columns if name in _HEADS and not _unused(name, printed)]
    named = [name for name in columns if name not in _NUMBERS and name != "label"]
    heads = [text(_HEADS[name], style(7.5, bold=True, right=name in _NUMBERS)) for name in columns]
    rows = [[_cell(name, row.get(name), printed) for name in columns] for row in printed.rows]
    when = _WHEN_HOURS if "hour" in printed.report.contents.by else _WHEN
    fixed = {name: when if name == "label" else _NARROW for name in columns if name not in named}
    left = (WIDTH - sum(fixed.values())) / len(named) if named else 0.0
    widths = [fixed.get(name, left) for name in columns] if named else [WIDTH / len(columns)] * len(columns)
    look = TableStyle(
        [
            ("LINEBELOW", (0, 0), (-1, 0), 0.8, QUIET),
            ("LINEBELOW", (0, 1), (-1, -1), 0.3, FAINT),
            ("TOPPADDING", (0, 0), (-1, -1), 2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
            ("LEFTPADDING", (0, 0), (-1, -1), 2),
            ("RIGHTPADDING", (0, 0), (-1, -1), 2),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ]
    )
    story: list[Flowable] = [LongTable([heads, *rows], widths, repeatRows=1, style=look, splitInRow=1)]
    if printed.left_out:
        more = f"{printed.left_out:,} more rows are in the totals above. Ask for the report as CSV to have all of them."
        story += [Spacer(0, 6), text(more, style(8.5, quiet=True))]
    return story


def _unused(name: str, printed: "PrintedReport") -> bool:
    """Decimals that nobody reports take no room."""
    return name == "quantity" and not Decimal(str(printed.total["quantity"]))


def _cell(name: str, value: object, printed: "PrintedReport") -> Paragraph:
    if name in _NUMBERS:
        return text(_number(name, value), style(7.5, right=True))
    if name in ("service", "merchant"):
        value = printed.names.get(str(value), value)
    if name == "label":
        value = str(value).replace("T", " ")  # with its offset: an hour of autumn comes twice
    return text(str(value) if value not in (None, "") else "–", style(7.5))


def _number(name: str, value: object) -> str:
    if value is None:
        return "–"
    if name.endswith("_bytes"):
        return _bytes(int(str(value)))
    amount = Decimal(str(value))
    return f"{amount:,}" if amount == amount.to_integral() and name != "quantity" else f"{amount.normalize():,f}"


def _bytes(count: int) -> str:
    """Powers of 1000."""
    size, unit = Decimal(count), 0
    while size >= 1000 and unit + 1 < len(_UNITS):
        size, unit = size / 1000, unit + 1
    return f"{count} B" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"


def _flush() -> tuple[str, tuple[int, int], tuple[int, int], int]:
    return ("LEFTPADDING", (0, 0), (0, -1), 0)
