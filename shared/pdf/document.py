"""A PDF from flowables: pages with numbers, a footer, metadata, attachments; equal input gives equal bytes."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import wraps
from hashlib import md5
from threading import Lock
from typing import Any, ParamSpec

from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfdoc import PDFArray, PDFDictionary, PDFName, PDFStream, PDFString
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageTemplate

from shared.pdf.fonts import FAINT, FONT, QUIET, plain, style

MARGIN = 18 * mm
WIDTH = A4[0] - 2 * MARGIN
_FOOT = 16 * mm
HEIGHT = A4[1] - 2 * MARGIN - _FOOT + 6 * mm
"""Of what is on a page, above its foot."""

_P = ParamSpec("_P")
_drawing = Lock()


def one_at_a_time(render: Callable[_P, bytes]) -> Callable[_P, bytes]:
    """Decorate a renderer so that one drawing is made at a time, of all in this process. The library keeps fonts, their
    subsets and colours for all threads together, and changes them without a lock: drawings at the same time would
    differ from those that are drawn alone."""

    @wraps(render)
    def drawn(*args: _P.args, **named: _P.kwargs) -> bytes:
        with _drawing:
            return render(*args, **named)

    return drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentInfo:
    """What a PDF says of itself. `dated` (UTC) is what the file says it was made at. `foot` is on every page, left of
    its number."""

    title: str
    author: str
    subject: str
    dated: datetime
    foot: str
    attachments: Mapping[str, bytes] = field(default_factory=dict)


def build(info: DocumentInfo, story: Sequence[Flowable]) -> bytes:
    """Lay out flowables as the pages of a PDF; returns its bytes."""
    style()  # registers the fonts
    out = io.BytesIO()
    template = BaseDocTemplate(
        out,
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN + _FOOT,
        title=plain(info.title),
        author=plain(info.author),
        subject=plain(info.subject),
        creator="AMS",
        producer="AMS with ReportLab",
        invariant=1,
        pageCompression=1,
        lang="en",
        initialFontName=FONT,
    )
    frame = Frame(
        MARGIN,
        MARGIN + _FOOT - 6 * mm,
        WIDTH,
        HEIGHT,
        leftPadding=0,
        rightPadding=0,
        topPadding=0,
        bottomPadding=0,
    )
    template.addPageTemplates([PageTemplate(frames=[frame])])
    template.build(list(story), canvasmaker=lambda *args, **options: _Pages(info, *args, **options))
    return out.getvalue()


class _Pages(Canvas):
    """Keeps the pages until the last is known: each says how many there are."""

    _doc: Any  # the library's types leave out what one needs for attachments
    _startPage: Any  # noqa: N815 - its name
    _pageNumber: int  # noqa: N815 - its name

    def __init__(self, info: DocumentInfo, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "invariant": 1})
        self._info = info
        self._kept: list[dict[str, Any]] = []
        self._date(info.dated)
        self.setViewerPreference("DisplayDocTitle", "true")

    def _date(self, moment: datetime) -> None:
        """The library writes the time of day, or 2000-01-01; a document's own date is what it is dated."""
        stamp = self._doc._timeStamp
        stamp.t, stamp.tzname, stamp.dhh, stamp.dmm = moment.timestamp(), "UTC", 0, 0
        stamp.lt = moment.astimezone(UTC).timetuple()
        stamp.YMDhms = tuple(stamp.lt)[:6]

    def showPage(self) -> None:  # noqa: N802 - the library's name
        self._kept.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        for page in self._kept:
            self.__dict__.update(page)
            self._foot(len(self._kept))
            super().showPage()
        self._attach(self._info.attachments)
        super().save()

    def _foot(self, pages: int) -> None:
        self.setStrokeColor(FAINT)
        self.setLineWidth(0.5)
        self.line(MARGIN, MARGIN + 6 * mm, A4[0] - MARGIN, MARGIN + 6 * mm)
        self.setFont(FONT, 7.5)
        self.setFillColor(QUIET)
        self.drawString(MARGIN, MARGIN + 2 * mm, _cut(plain(self._info.foot), WIDTH - 30 * mm, 7.5))
        self.drawRightString(A4[0] - MARGIN, MARGIN + 2 * mm, f"Page {self._pageNumber} of {pages}")

    def _attach(self, attachments: Mapping[str, bytes]) -> None:
        """Embedded files (ISO 32000-1, 7.11.4): what a reader shows as attachments."""
        if not attachments:
            return
        names: list[object] = []
        for name, data in sorted(attachments.items()):
            # MD5 is what the format asks for; nothing rests on it.
            checksum = PDFString(md5(data, usedforsecurity=False).digest(), escape=1, enc="raw")
            parameters = PDFDictionary({"Size": len(data), "CheckSum": checksum})
            stream = PDFStream(PDFDictionary({"Type": PDFName("EmbeddedFile"), "Params": parameters}), data)
            embedded = PDFDictionary({"F": self._doc.Reference(stream, f"embedded-{name}")})
            kind = {"Type": PDFName("Filespec"), "F": PDFString(name), "UF": PDFString(name), "EF": embedded}
            names += [PDFString(name), self._doc.Reference(PDFDictionary(kind), f"file-{name}")]
        self._doc.Catalog.Names = PDFDictionary({"EmbeddedFiles": PDFDictionary({"Names": PDFArray(names)})})


def _cut(words: str, width: float, size: float) -> str:
    """Cut words to as much as fits on a line."""
    if stringWidth(words, FONT, size) <= width:
        return words
    return next(cut for end in range(len(words), -1, -1) if stringWidth(cut := f"{words[:end]}…", FONT, size) <= width)
