"""Fonts and text: Noto Sans, embedded as the subset that a document uses. It has Latin, Cyrillic, Greek and the signs
of currencies; what it lacks is shown as �, so nobody takes it for nothing."""

import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Paragraph
from reportlab.platypus.paraparser import ParaFrag

FONT, BOLD = "NotoSans", "NotoSans-Bold"
INK, QUIET, ACCENT, FAINT, BAND = (HexColor(c) for c in ("#1c2430", "#667085", "#1d4f91", "#d5dbe3", "#f3f6fa"))
_FILES = Path(__file__).parent / "noto"
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
"""Controls, also those that turn the direction of writing around: none may decide how a document reads."""


@cache
def _glyphs() -> frozenset[int]:
    """Registers the fonts, once a process; what characters both have."""
    for name, file in ((FONT, "NotoSans-Regular.ttf"), (BOLD, "NotoSans-Bold.ttf")):
        pdfmetrics.registerFont(TTFont(name, _FILES / file))
    pdfmetrics.registerFontFamily(FONT, normal=FONT, bold=BOLD, italic=FONT, boldItalic=BOLD)
    return frozenset.intersection(*(frozenset(_font(name).face.charToGlyph) for name in (FONT, BOLD)))


def _font(name: str) -> Any:
    """A TTFont: the library's types do not say what it has."""
    return pdfmetrics.getFont(name)


def plain(words: str) -> str:
    """Reduce words to characters that the font has, on as many lines as the text."""
    return "".join(map(_shown, unicodedata.normalize("NFC", words)))


def _shown(character: str) -> str:
    if character == "\n" or character == "\u00a0":
        return character
    if character.isspace():
        return " "
    unseen = unicodedata.category(character) in _UNSEEN or ord(character) not in _glyphs()
    return "�" if unseen else character


@cache
def style(size: float = 9, *, bold: bool = False, right: bool = False, quiet: bool = False) -> ParagraphStyle:
    """Make the style of a paragraph; `size` is in points."""
    _glyphs()
    look = ParagraphStyle(f"{size}{bold}{right}{quiet}", fontName=BOLD if bold else FONT, fontSize=size)
    look.leading, look.textColor = size * 1.36, QUIET if quiet else INK
    look.splitLongWords = 1
    if right:
        look.alignment = TA_RIGHT
    return look


@cache
def _fragment(of: ParagraphStyle) -> ParaFrag:
    return Paragraph("x", of).frags[0]


def text(words: str, of: ParagraphStyle | None = None) -> Paragraph:
    """Make one paragraph. It is made without the library's markup, so `words` mean nothing but themselves; and in one
    piece, since the library lets long words of several pieces run out of their column."""
    look = of or style()
    seen = " ".join(plain(words).replace("\n", " ").split(" ")).strip()
    return Paragraph("", look, frags=[_fragment(look).clone(text=seen)]) if seen else Paragraph("", look)


def block(words: str, of: ParagraphStyle | None = None) -> list[Paragraph]:
    """Make a paragraph for each line that is not empty."""
    return [text(line, of) for line in words.splitlines() if line.strip()]
