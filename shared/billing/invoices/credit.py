"""Credit: what a consumer has for its next invoices of a merchant, how invoices use it, and how it comes back."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

from shared.billing.invoices.models import CreditUse
from shared.kernel.documents import Identifier, StoredModel
from shared.kernel.money import ZERO, Currency

CreditUses = Sequence[CreditUse]
"""Amounts by credit note, oldest first, each note once."""


class Credit(StoredModel):
    """Stored credit: what a consumer has left of each credit note for its next invoices of a merchant, under
    `credit:{consumer_id}:{currency}`."""

    kind: Literal["credit"] = "credit"
    consumer_id: Identifier
    currency: Currency
    left: tuple[CreditUse, ...]


def use_credit(left: CreditUses, uses: CreditUses) -> tuple[CreditUse, ...]:
    """Compute what is left of credit after an invoice that uses some of it."""
    used = _by_note(uses)
    return _what_is_left({number: amount - used.get(number, ZERO) for number, amount in _by_note(left).items()})


def give_back(left: CreditUses, uses: CreditUses) -> tuple[CreditUse, ...]:
    """Compute what is left of credit after an invoice that used some of it is void: each part goes back to its note. A
    note of which nothing was left comes first again, since the oldest are used first."""
    returned, remaining = _by_note(uses), _by_note(left)
    used_up = {number: amount for number, amount in returned.items() if number not in remaining}
    added = {number: amount + returned.get(number, ZERO) for number, amount in remaining.items()}
    return _what_is_left(used_up | added)


def _by_note(uses: CreditUses) -> dict[str, Decimal]:
    amounts: dict[str, Decimal] = {}
    for use in uses:
        amounts[use.note_number] = amounts.get(use.note_number, ZERO) + use.amount
    return amounts


def _what_is_left(amounts: dict[str, Decimal]) -> tuple[CreditUse, ...]:
    return tuple(CreditUse(note_number=number, amount=amount) for number, amount in amounts.items() if amount)
