"""What a document begins with: whose it is, what it is, and the two whom it concerns."""

import io
from collections.abc import Sequence

from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.platypus import Flowable, Image, Spacer, Table, TableStyle

from shared.billing.tax.ids import EU, gst_state_name
from shared.billing.tax.models import Party
from shared.billing.tax.rules import place_of_supply, treatment
from shared.pdf.document import WIDTH
from shared.pdf.fonts import ACCENT, FONT, style, text

LOGO_HEIGHT, LOGO_WIDTH = 18 * mm, 70 * mm
LOGO_PIXELS_MAX = 600
"""On the longer side: some 200 in an inch as printed. More is scaled down, so that a file stays small."""

RIGHT = 76 * mm
_REGISTERED_AS = {"vat": "VAT id", "gst": "GST no.", "in_gst": "GSTIN"}


def picture(logo: bytes | None) -> Image | None:
    """Make the logo's picture from PNG, JPEG or WebP, on white; None for what is none of these."""
    if logo is None:
        return None
    from PIL import Image as Pillow  # slow to import, and not every seller has a logo

    try:
        with Pillow.open(io.BytesIO(logo), formats=("PNG", "JPEG", "WEBP")) as opened:
            opened.thumbnail((LOGO_PIXELS_MAX, LOGO_PIXELS_MAX))
            rgba = opened.convert("RGBA")
            flat = Pillow.new("RGB", rgba.size, "white")
            flat.paste(rgba, mask=rgba.getchannel("A"))
    except (OSError, ValueError, SyntaxError, Pillow.DecompressionBombError):  # all that Pillow says of broken ones
        return None
    png = io.BytesIO()
    flat.save(png, "PNG")
    width, height = ImageReader(png).getSize()
    scale = min(LOGO_WIDTH / width, LOGO_HEIGHT / height)
    png.seek(0)
    return Image(png, width * scale, height * scale, hAlign="LEFT")


def head(
    kind: str, seller: Party, logo: Image | None, facts: Sequence[tuple[str, str]], amount: tuple[str, str]
) -> list[Flowable]:
    """Lay out the head of a document: the logo, or else the name, on the left; `kind`, `facts` and `amount`, what
    people look for first, on the right."""
    left: Flowable = logo if logo is not None else text(seller.name, style(16, bold=True))
    rows = [[text(word, style(8, quiet=True)), text(value, style(9))] for word, value in facts]
    rows.append([text(amount[0], style(8, quiet=True)), text(amount[1], style(13, bold=True))])
    last = len(rows) - 1
    table = Table(rows, colWidths=[22 * mm, RIGHT - 22 * mm], hAlign="LEFT")
    table.setStyle(
        TableStyle(
            [
                *bare().getCommands(),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
                ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
                ("LINEABOVE", (0, last), (-1, last), 0.8, ACCENT),
                ("TOPPADDING", (0, last), (-1, last), 4),
                ("BOTTOMPADDING", (0, last - 1), (-1, last - 1), 4),
            ]
        )
    )
    right = [text(kind, style(20, bold=True)), Spacer(1, 2.5 * mm), table]
    return [_halves(left, right), Spacer(1, 6 * mm)]


def parties(seller: Party, buyer: Party, pseudonym: str) -> Flowable:
    """Lay out seller and buyer side by side, with the ids that tax law wants named."""
    return _halves(
        _party("From", seller, _seller_ids(seller, buyer)),
        _party("Billed to", buyer, [*_buyer_ids(seller, buyer), ("Customer", pseudonym)]),
    )


def invoice_kind(seller: Party, buyer: Party) -> str:
    """Name an invoice as the law has it: where there is GST (Australia, India, Singapore), it is a `Tax invoice`."""
    under = treatment(seller, buyer).registration
    return "Tax invoice" if under is not None and under.kind in ("gst", "in_gst") else "Invoice"


def _buyer_ids(seller: Party, buyer: Party) -> list[tuple[str, str]]:
    country = "" if buyer.address is None else buyer.address.country
    name = "VAT id" if country in EU else "GSTIN" if country == "IN" else "Tax id"
    state = place_of_supply(seller, buyer)
    return [(name, buyer.tax_id), ("Place of supply", f"{gst_state_name(state)} ({state})" if state else "")]


def _seller_ids(seller: Party, buyer: Party) -> list[tuple[str, str]]:
    """The registration that this buyer is billed under, and what the seller is known by otherwise."""
    under = treatment(seller, buyer).registration
    if under is None:
        return [("Tax id", seller.tax_id)]
    others = [] if seller.tax_id in ("", under.number) else [("Tax id", seller.tax_id)]
    return [(_REGISTERED_AS[under.kind], under.number), *others]


def _party(word: str, party: Party, ids: Sequence[tuple[str, str]]) -> list[Flowable]:
    address = party.address
    lines: list[str] = []
    if address is not None:
        place = f"{address.postal_code} {address.city}"
        lines = [*address.lines, place, ", ".join(filter(str.strip, (address.region, address.country)))]
    lines += [f"{name} {value}" for name, value in ids if value and value != party.name]
    shown = [text(line) for line in lines if line.strip()]
    return [text(word, style(8, quiet=True)), text(party.name, style(10, bold=True)), *shown]


def _halves(left: Flowable | Sequence[Flowable], right: Flowable | Sequence[Flowable]) -> Table:
    gap = 6 * mm
    # Names and addresses as long as they may be go over a page, and over its end.
    return Table([[left, "", right]], colWidths=[WIDTH - RIGHT - gap, gap, RIGHT], style=bare(), splitInRow=1)


def bare() -> TableStyle:
    """Style a table without any padding or rules."""
    sides = ("LEFTPADDING", "RIGHTPADDING", "TOPPADDING", "BOTTOMPADDING")
    face = ("FONTNAME", (0, 0), (-1, -1), FONT)  # also of empty cells: the library's own would be named, not embedded
    return TableStyle([face, ("VALIGN", (0, 0), (-1, -1), "TOP"), *((side, (0, 0), (-1, -1), 0) for side in sides)])


def heading(words: str) -> Flowable:
    """Make the heading of a part of the page."""
    return text(words, style(10, bold=True))
