"""Fonts and text: Noto Sans, embedded as the subset that a document uses. It has Latin, Cyrillic, Greek and the signs
of currencies; what it lacks is shown as �, so nobody takes it for nothing."""

from functools import cache
from pathlib import Path
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

FONT, BOLD = "NotoSans", "NotoSans-Bold"
INK, QUIET, ACCENT, FAINT, BAND = (HexColor(c) for c in ("#1c2430", "#667085", "#1d4f91", "#d5dbe3", "#f3f6fa"))
_FILES = Path(__file__).parent / "fonts"


@cache
def _glyphs() -> frozenset[int]:
    """Registers the fonts, once a process; what characters they have."""
    for name, file in ((FONT, "NotoSans-Regular.ttf"), (BOLD, "NotoSans-Bold.ttf")):
        pdfmetrics.registerFont(TTFont(name, _FILES / file))
    pdfmetrics.registerFontFamily(FONT, normal=FONT, bold=BOLD, italic=FONT, boldItalic=BOLD)
    return frozenset(pdfmetrics.getFont(FONT).face.charToGlyph)  # type: ignore[attr-defined]  # a TTFont's


def plain(text: str) -> str:
    """Characters that the font has, on as many lines as the text."""
    has = _glyphs()
    return "".join(c if c == "\n" or ord(c) in has else " " if c.isspace() else "�" for c in text)


def marked(text: str) -> str:
    """For a Paragraph: people's text is never read as markup."""
    return escape(plain(text)).replace("\n", "<br/>")


@cache
def style(size: float = 9, *, bold: bool = False, right: bool = False, quiet: bool = False) -> ParagraphStyle:
    _glyphs()
    style = ParagraphStyle(f"{size}{bold}{right}{quiet}", fontName=BOLD if bold else FONT, fontSize=size)
    style.leading, style.textColor = size * 1.36, QUIET if quiet else INK
    style.splitLongWords = 1
    if right:
        style.alignment = TA_RIGHT
    return style
