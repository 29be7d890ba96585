"""How credit notes are cut: whatever the cuts, their parts sum to the invoice's, and none is below zero."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from shared.billing.models import Invoice, NoteShare, Party
from shared.billing.notes import left_of, share
from shared.catalog.models import Address
from shared.kernel.money import ZERO, exponent
from tests.unit.invoice_samples import BUYER, INDIAN_SELLER, SELLER, make_invoice, make_line

MUMBAI = Party(name="B", address=Address(lines=("x",), city="Mumbai", region="Maharashtra", country="IN"))


def with_note(invoice: Invoice, amount: Decimal) -> Invoice:
    of = share(invoice, amount)
    note = NoteShare(number="N", net=of.net, taxes=of.taxes, total=amount)
    return invoice.model_copy(update={"notes": (*invoice.notes, note)})


@given(
    currency=st.sampled_from(["EUR", "JPY", "KWD", "INR"]),
    units=st.integers(1, 100_000),
    cuts=st.lists(st.integers(1, 100), max_size=30),
    two_taxes=st.booleans(),
)
def test_parts_sum_to_the_invoice_in_every_currency(
    currency: str, units: int, cuts: list[int], *, two_taxes: bool
) -> None:
    unit = Decimal(1).scaleb(-exponent(currency))
    seller, buyer = (INDIAN_SELLER, MUMBAI) if two_taxes else (SELLER, BUYER)
    invoice = make_invoice([make_line(f"{units * unit}")], seller, buyer, currency)
    assert len(invoice.taxes) == 1 + two_taxes
    for percent in [*cuts, 100]:
        amount = max(unit, (left_of(invoice) * percent / 100 // unit) * unit)
        if left_of(invoice):
            invoice = with_note(invoice, min(amount, left_of(invoice)))
    for note in invoice.notes:
        assert min(note.net, *note.taxes) >= 0
        assert note.net + sum(note.taxes) == note.total
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
    of = share(invoice, invoice.total)
    assert (of.net, of.taxes) == (invoice.net, tuple(tax.amount for tax in invoice.taxes))
