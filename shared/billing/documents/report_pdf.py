"""A usage report on paper: what it is about, totals, requests by day, the table. The same sheet, the same bytes."""

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.billing.reports.document import Sheet


def render(sheet: "Sheet") -> bytes:
    """The PDF. CPU-bound: to be run beside an event loop, never in it."""
    from reportlab.lib.pagesizes import A4, landscape
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import LongTable, Paragraph, SimpleDocTemplate

    target = io.BytesIO()
    doc = SimpleDocTemplate(target, pagesize=landscape(A4), invariant=1)
    styles = getSampleStyleSheet()
    table = [sheet.columns, *([str(row.get(c, "")) for c in sheet.columns] for row in sheet.rows)]
    doc.build([Paragraph(sheet.report.contents.name, styles["Title"]), LongTable(table)])
    return target.getvalue()
