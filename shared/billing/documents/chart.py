"""Bars of a month: requests by local day."""

from collections.abc import Sequence

from reportlab.platypus import Flowable

from shared.billing.usage.models import DayUsage
from shared.pdf.fonts import ACCENT, FAINT, FONT, QUIET


class DayChart(Flowable):
    """Draws a bar of requests for each local day of a month; `width` and `height` are in points."""

    def __init__(self, days: Sequence[DayUsage], width: float, height: float = 78) -> None:
        super().__init__()
        self.width, self.height = width, height
        self._days = days

    def wrap(self, *_: float) -> tuple[float, float]:
        """Say how much room the chart takes, as reportlab asks before it draws."""
        return self.width, self.height

    def draw(self) -> None:
        """Draw grid, scale, bars and numbers of days onto the canvas, as reportlab asks."""
        canvas, foot, head = self.canv, 11, 10
        most = max((day.requests for day in self._days), default=0)
        step = self.width / max(len(self._days), 1)
        tall = self.height - foot - head
        canvas.setLineWidth(0.4)
        canvas.setStrokeColor(FAINT)
        for share in (0, 0.5, 1):
            canvas.line(0, foot + tall * share, self.width, foot + tall * share)
        canvas.setFont(FONT, 6.5)
        canvas.setFillColor(QUIET)
        canvas.drawRightString(self.width, foot + tall + 2.5, f"{most:,}")
        for number, day in enumerate(self._days):
            if day.requests and most:
                canvas.setFillColor(ACCENT)
                canvas.rect(
                    number * step + step * 0.14, foot, step * 0.72, tall * day.requests / most, stroke=0, fill=1
                )
            if number % (2 if len(self._days) > 16 else 1) == 0:
                canvas.setFillColor(QUIET)
                canvas.drawCentredString((number + 0.5) * step, 2, str(int(day.day[-2:])))
