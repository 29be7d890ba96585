"""What a consumer has for its next invoices of a merchant: how it is used, and comes back."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

from shared.billing.invoices.models import CreditUse
from shared.kernel.documents import Identifier, StoredModel
from shared.kernel.money import ZERO, Currency

Left = Sequence[CreditUse]
"""Of each note, oldest first, and of each once."""


class Credit(StoredModel):
    """What is left, under `credit:{consumer_id}:{currency}`."""

    kind: Literal["credit"] = "credit"
    consumer_id: Identifier
    currency: Currency
    left: tuple[CreditUse, ...]


def without(left: Left, uses: Left) -> tuple[CreditUse, ...]:
    """After an invoice that uses some of it."""
    used = _by_note(uses)
    return _those_left({number: amount - used.get(number, ZERO) for number, amount in _by_note(left).items()})


def with_back(left: Left, uses: Left) -> tuple[CreditUse, ...]:
    """After an invoice that used some of it is void: each part goes to what is left of its note. A note of which
    nothing is left comes first again, since the oldest are used first."""
    back, there = _by_note(uses), _by_note(left)
    gone = {number: amount for number, amount in back.items() if number not in there}
    return _those_left(gone | {number: amount + back.get(number, ZERO) for number, amount in there.items()})


def _by_note(uses: Left) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for use in uses:
        found[use.note_number] = found.get(use.note_number, ZERO) + use.amount
    return found


def _those_left(amounts: dict[str, Decimal]) -> tuple[CreditUse, ...]:
    return tuple(CreditUse(note_number=number, amount=amount) for number, amount in amounts.items() if amount)
