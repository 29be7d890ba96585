"""How credit notes are cut: whatever the cuts, their parts sum to the invoice's, and none is below zero."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.billing.invoices.models import Invoice, NoteShare
from shared.billing.receivables.credit_notes import left_of, split_amount
from shared.billing.tax.models import Party
from shared.catalog.models import Address
from shared.kernel.money import ZERO, exponent
from tests.support.billing.invoice_samples import BUYER, INDIAN_SELLER, SELLER, make_invoice, make_line

MUMBAI = Party(name="B", address=Address(lines=("x",), city="Mumbai", region="Maharashtra", country="IN"))


def with_note(invoice: Invoice, amount: Decimal) -> Invoice:
    """No part of a note is below zero."""
    of = split_amount(invoice, amount)
    note = NoteShare(number="N", net=of.net, taxes=of.taxes, total=amount)
    assert min(of.net, *of.taxes) >= 0
    assert of.net + sum(of.taxes) == amount
    return invoice.model_copy(update={"notes": (*invoice.notes, note)})


@given(
    currency=st.sampled_from(["EUR", "JPY", "KWD", "INR"]),
    units=st.integers(1, 100_000),
    cuts=st.lists(st.tuples(st.sampled_from(["percent of what is left", "units"]), st.integers(1, 100)), max_size=60),
    two_taxes=st.booleans(),
)
def test_parts_sum_to_the_invoice_in_every_currency(
    currency: str, units: int, cuts: list[tuple[str, int]], *, two_taxes: bool
) -> None:
    unit = Decimal(1).scaleb(-exponent(currency))
    seller, buyer = (INDIAN_SELLER, MUMBAI) if two_taxes else (SELLER, BUYER)
    invoice = make_invoice([make_line(f"{units * unit}")], seller, buyer, currency)
    assert len(invoice.taxes) == 1 + two_taxes
    for of, size in cuts:
        wanted = size * unit if of == "units" else (left_of(invoice) * size / 100 // unit) * unit
        amount = min(wanted, left_of(invoice))
        invoice = with_note(invoice, amount) if amount else invoice
    if left_of(invoice):
        invoice = with_note(invoice, left_of(invoice))
    for note in invoice.notes:
        assert note.net.as_tuple().exponent == -exponent(currency)
    assert left_of(invoice) == 0
    assert sum((note.net for note in invoice.notes), ZERO) == invoice.net
    for number, tax in enumerate(invoice.taxes):
        assert sum((note.taxes[number] for note in invoice.notes), ZERO) == tax.amount


def test_cent_by_cent_each_part_keeps_to_its_proportion() -> None:
    """CGST and SGST, being equal, are due for their next cent at the same note: one of them waits for another."""
    invoice = make_invoice([make_line("1")], seller=INDIAN_SELLER, buyer=MUMBAI, currency="INR")
    assert (invoice.net, invoice.total) == (Decimal(1), Decimal("1.18"))
    for count in range(1, 119):
        invoice = with_note(invoice, Decimal("0.01"))
        fair = invoice.net * count / 118
        assert abs(sum((note.net for note in invoice.notes), ZERO) - fair) <= Decimal("0.01")
    assert left_of(invoice) == 0


def test_a_note_over_all_of_it_is_the_invoice() -> None:
    invoice = make_invoice([make_line("33.33")], seller=INDIAN_SELLER, buyer=MUMBAI, currency="INR")
    of = split_amount(invoice, invoice.total)
    assert (of.net, of.taxes) == (invoice.net, tuple(tax.amount for tax in invoice.taxes))


@pytest.mark.parametrize("units", [1, 2, 3, 4, 5, 6])
def test_no_part_gives_more_than_it_has(units: int) -> None:
    """Many taxes of a cent each: rounded alone, all of them would wait, and the net give what it has not."""
    [line], cent = make_invoice([make_line("1")]).taxes, Decimal("0.01")
    taxes = tuple(line.model_copy(update={"amount": cent}) for _ in range(5))
    invoice = make_invoice([make_line("1")], taxes=taxes, net=cent, total=6 * cent)
    while left_of(invoice):
        invoice = with_note(invoice, min(units * cent, left_of(invoice)))
    assert sum(note.net for note in invoice.notes) == cent
    assert [sum(note.taxes[number] for note in invoice.notes) for number in range(5)] == [cent] * 5
