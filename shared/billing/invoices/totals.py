"""Totals of an invoice: sums of its lines and taxes, the credit that it uses, and the platform's commission."""

from collections.abc import Sequence
from decimal import Decimal, localcontext
from typing import NamedTuple

from shared.billing.invoices.models import CreditUse, Line
from shared.billing.tax.models import TaxLine
from shared.kernel.money import EXACT, ZERO, round_money


class Totals(NamedTuple):
    """The amounts of an invoice that are sums, as `shared.billing.invoices.models.Invoice` defines them."""

    subtotal: Decimal
    discounts: Decimal
    top_ups: Decimal
    net: Decimal
    total: Decimal
    credits: tuple[CreditUse, ...]
    carried: Decimal
    amount_due: Decimal


def total_up(lines: Sequence[Line], taxes: Sequence[TaxLine], credit: Sequence[CreditUse], currency: str) -> Totals:
    """Sum up an invoice. `credit` is what the consumer has, oldest first; as much of it is used as there is to pay."""
    subtotal = sum((line.amount for line in lines), ZERO)
    discounts = sum((line.discount for line in lines), ZERO)
    top_ups = sum((line.top_up for line in lines), ZERO)
    net = subtotal - discounts + top_ups
    total = net + sum((tax.amount for tax in taxes), ZERO)
    left, uses = max(total, ZERO), []
    for each in credit:
        use = min(left, each.amount)
        if use:
            uses.append(CreditUse(note_number=each.note_number, amount=round_money(use, currency)))
            left -= use
    carried = max(-total, ZERO)

    def rounded(amount: Decimal) -> Decimal:
        return round_money(amount, currency)  # exact already; this gives it the currency's digits

    return Totals(
        subtotal=rounded(subtotal),
        discounts=rounded(discounts),
        top_ups=rounded(top_ups),
        net=rounded(net),
        total=rounded(total),
        credits=tuple(uses),
        carried=rounded(carried),
        amount_due=rounded(left),
    )


def commission_of(net: Decimal, percent: Decimal, currency: str) -> Decimal:
    """Compute the platform's share of what a merchant sells, without tax; rounded once."""
    with localcontext(EXACT):
        return round_money(net * percent / 100, currency)
