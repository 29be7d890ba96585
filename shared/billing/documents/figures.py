"""Numbers as documents show them, and the tables that they stand in."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Table, TableStyle

from shared.billing.tax.models import TaxLine
from shared.kernel.money import EXACT, decimal_text, exponent, money_text
from shared.pdf.document import HEIGHT
from shared.pdf.fonts import ACCENT, BAND, FAINT, FONT, INK, style, text

DIGITS_MAX = 12
"""After the point, of what is exact: no price has more."""

KEPT_MAX = 12
"""Rows that stay on one page, at most: more would leave much of the one before empty, and must fit on one."""


def money(amount: Decimal, currency: str) -> str:
    """Write an amount with its currency's digits, thousands apart. A minus sign is ASCII's, which survives being
    copied."""
    return _thousands(money_text(amount, currency))


def number(value: Decimal | None, digits: int = 0) -> str:
    """Write a number exactly, as far as twelve digits after the point, with at least `digits` of them."""
    if value is None:
        return ""
    cut = value.quantize(Decimal(1).scaleb(-DIGITS_MAX), context=EXACT) if _digits(value) > DIGITS_MAX else value
    whole, _, rest = decimal_text(cut).partition(".")
    rest = rest.ljust(digits, "0")
    return _thousands(f"{whole}.{rest}" if rest else whole)


def _digits(value: Decimal) -> int:
    return -int(value.as_tuple().exponent)


def _thousands(written: str) -> str:
    whole, point, rest = written.partition(".")
    sign = "-" if whole.startswith("-") else ""
    return f"{sign}{int(whole.removeprefix('-')):,}{point}{rest}"


def price(value: Decimal | None, currency: str) -> str:
    """Write a price exactly, with at least its currency's digits."""
    return number(value, exponent(currency))


SUMS_WIDTHS = (38 * mm, 24 * mm, 26 * mm)
"""As wide as the last three columns of an invoice's lines."""


class TotalRow(NamedTuple):
    """One row of totals: what it is called, its amount as written, a note in small print; `last` stands out as what is
    due."""

    words: str
    amount: str
    note: str = ""
    size: float = 9
    bold: bool = False
    last: bool = False


def tax_sums(taxes: Iterable[TaxLine], currency: str) -> list[TotalRow]:
    """Make a row of totals for each tax: name, rate and what it applies to, with what the law wants said about it."""
    return [TotalRow(_tax_words(tax, currency), money(tax.amount, currency), tax.note) for tax in taxes]


def _tax_words(tax: TaxLine, currency: str) -> str:
    name, taxable = tax.name[:1].upper() + tax.name[1:], money(tax.taxable, currency)
    rated = tax.category in ("S", "Z")  # the others have no rate, rather than one of 0 %
    return f"{name} {decimal_text(tax.percent)} % of {taxable}" if rated else f"{name}, on {taxable}"


class _Rows(Table):
    """What is to stay together is parted all the same when a whole page is too small for it."""

    _nosplitCmds: list[Any]  # noqa: N815 - its name

    def split(self, availWidth: float, availHeight: float) -> list[Any]:  # noqa: N803 - its names
        parts: list[Any] = super().split(availWidth, availHeight)
        if not parts and self._nosplitCmds and availHeight > HEIGHT - 1:
            self._nosplitCmds = []
            parts = super().split(availWidth, availHeight)
        return parts


class AmountTable:
    """A table of rows whose last column is amounts; its head is repeated on every page, and what belongs together is
    not parted by the end of one."""

    def __init__(self, columns: Sequence[tuple[str, float]], right_from: int) -> None:
        """`columns` are heads and widths; those from `right_from` on are numbers."""
        self._widths = [width for _, width in columns]
        heads = [text(word, style(8, bold=True, right=at >= right_from)) for at, (word, _) in enumerate(columns)]
        self.rows: list[list[Any]] = [heads]
        self._looks: list[tuple[Any, ...]] = [
            ("FONTNAME", (0, 0), (-1, -1), FONT),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("TOPPADDING", (0, 0), (-1, -1), 2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
            ("LEFTPADDING", (0, 0), (-1, -1), 4),
            ("RIGHTPADDING", (0, 0), (-1, -1), 4),
            ("BACKGROUND", (0, 0), (-1, 0), BAND),
            ("LINEBELOW", (0, 0), (-1, 0), 0.8, ACCENT),
        ]

    def add(self, rows: Sequence[list[Any]]) -> None:
        """Add the rows about one thing, under a thin rule. They stay on one page, unless they are long."""
        first = len(self.rows)
        self._looks.append(("LINEABOVE", (0, first), (-1, first), 0.4, FAINT))
        self._looks += [_tight(first + at) for at in range(1, len(rows))]
        self.rows += rows
        if len(rows) > 1:
            self._keep(first, first + min(len(rows), KEPT_MAX) - 1)

    def total(self, sums: Sequence[TotalRow]) -> None:
        """Add the totals right under the amounts, on the page of the last of them: no page has totals alone."""
        first, column = len(self.rows), len(self._widths) - 3
        for row, each in enumerate(sums, first):
            self.rows.append([*[""] * column, *_sum_cells(each)])
            self._looks += [_tight(row), *_sum_looks(each, column, row)]
        self._looks += [
            ("LINEABOVE", (0, first), (-1, first), 0.8, ACCENT),
            ("TOPPADDING", (0, first), (-1, first), 6),
        ]
        end = len(self.rows) - 1
        if end - first < KEPT_MAX:
            self._keep(first - 1, end)
        else:  # credit from many notes
            self._keep(first - 1, first + KEPT_MAX // 2)
            self._keep(end - KEPT_MAX // 2, end)

    def _keep(self, first: int, last: int) -> None:
        self._looks.append(("NOSPLIT", (0, first), (-1, last)))

    def table(self) -> Table:
        """Make the table of all rows that were added."""
        return _Rows(self.rows, colWidths=self._widths, repeatRows=1, style=TableStyle(self._looks))


def _tight(row: int) -> tuple[Any, ...]:
    return ("TOPPADDING", (0, row), (-1, row), 0.5)


def sums_table(sums: Sequence[TotalRow]) -> Table:
    """Make a table of totals alone, on the right of the page."""
    looks: list[tuple[Any, ...]] = [("FONTNAME", (0, 0), (-1, -1), FONT), ("VALIGN", (0, 0), (-1, -1), "TOP")]
    looks.append(("LEFTPADDING", (0, 0), (-1, -1), 4))
    looks += [("RIGHTPADDING", (0, 0), (-1, -1), 4), ("TOPPADDING", (0, 0), (-1, -1), 0.5)]
    looks.append(("BOTTOMPADDING", (0, 0), (-1, -1), 2))
    for row, each in enumerate(sums):
        looks += _sum_looks(each, 0, row)
    cells = [_sum_cells(each) for each in sums]
    return Table(cells, colWidths=SUMS_WIDTHS, hAlign="RIGHT", style=TableStyle(looks))


def _sum_cells(of: TotalRow) -> list[Any]:
    words: list[Flowable] = [text(of.words, style(of.size, bold=of.bold))]
    words += [text(of.note, style(7.5, quiet=True))] if of.note else []
    amount = text(of.amount, style(of.size, bold=of.bold, right=True))
    return [words, amount, ""] if of.last else [words, "", amount]


def _sum_looks(of: TotalRow, column: int, row: int) -> list[tuple[Any, ...]]:
    """Of a row whose words begin in `column`. Its amount may be wider than the column of amounts: the last one is
    large, and names the currency."""
    words = column + (0 if of.last else 1)
    looks: list[tuple[Any, ...]] = [("SPAN", (column, row), (words, row))]
    if of.last:
        looks += [
            ("SPAN", (column + 1, row), (-1, row)),
            ("BACKGROUND", (column, row), (-1, row), BAND),
            ("TOPPADDING", (0, row), (-1, row), 5),
            ("BOTTOMPADDING", (0, row), (-1, row), 7),
        ]
    elif of.bold:
        looks.append(("TOPPADDING", (0, row), (-1, row), 3))
    if of.bold:
        looks.append(("LINEABOVE", (column, row), (-1, row), 0.8 if of.last else 0.4, INK))
    return looks
