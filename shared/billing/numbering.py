"""Invoice numbers: consecutive within an issuer's financial year and series, at most 16 characters, of `A-Z 0-9 -` only
(India's CGST Rule 46(b); nobody asks for more). Six digits, and a seventh when there are a million."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from shared.kernel.documents import StoredModel

NUMBER_CHARACTERS_MAX = 16
LAST_MAX = 9_999_999


class Numbers(StoredModel):
    """The last number that was given out: in a series and financial year, under `seq:{series}:{year}`; to the versions
    of a service's plan, under `seq:plan:{service_id}`."""

    kind: Literal["sequence"] = "sequence"
    last: Annotated[int, Field(ge=0)]


def sequence_document(series: str, financial_year: str) -> str:
    """Name the document that has the last number of a series in a financial year, in the merchant's partition."""
    return f"seq:{series}:{financial_year}"


def financial_year(day: date, first_month: int) -> str:
    """Name the financial year of a day as numbers have it: `26` when it is the calendar year, else `2627`."""
    begins = day.year if day.month >= first_month else day.year - 1
    return f"{begins % 100:02d}" if first_month == 1 else f"{begins % 100:02d}{(begins + 1) % 100:02d}"


def invoice_number(prefix: str, year: str, last: int) -> str:
    """Make an invoice's number. `prefix` is 1 to 4 characters, `year` as `financial_year` gives it. Raises ValueError
    when the series is full."""
    return _number(prefix, year, "-", last)


def note_number(prefix: str, year: str, last: int) -> str:
    """Make a credit note's number, told apart by a `C`. Raises ValueError when the series is full."""
    return _number(prefix, year, "C", last)


def _number(prefix: str, year: str, separator: str, last: int) -> str:
    if not 1 <= last <= LAST_MAX:
        raise ValueError(f"a series has numbers from 1 to {LAST_MAX}")
    number = f"{prefix}{year}{separator}{last:06d}"
    if len(number) > NUMBER_CHARACTERS_MAX:
        raise ValueError(f"{number} is over {NUMBER_CHARACTERS_MAX} characters")
    return number
