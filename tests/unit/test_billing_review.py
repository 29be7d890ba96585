"""What months do to each other: credit that comes back, late usage after voids and changes, fees of what is gone."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.audit.models import Actor
from shared.billing.computing import total_up
from shared.billing.credits import with_back, without
from shared.billing.models import Credit, CreditUse, Invoice
from shared.billing.store import BILLING, credit_document
from tests.unit.billing_support import PER_REQUEST, Books, open_books
from tests.unit.invoice_samples import make_line
from tests.unit.test_receivables import Receiving

ACTOR = Actor("acc_1", "merchant")
CLOSED = {
    "2026-03": datetime(2026, 4, 2, 1, tzinfo=UTC),
    "2026-04": datetime(2026, 5, 2, 1, tzinfo=UTC),
    "2026-05": datetime(2026, 6, 2, 1, tzinfo=UTC),
    "2026-06": datetime(2026, 7, 2, 1, tzinfo=UTC),
}


@pytest.fixture
async def books(tmp_path: Path) -> AsyncIterator[Books]:
    books = await open_books(tmp_path)
    yield books
    await books.journal.drain()
    await books.market.close()


async def close(books: Books, month: str, currency: str = "EUR") -> Invoice | None:
    """The month's invoice of the one consumer."""
    books.time.moment = CLOSED[month]
    await books.closer.run()
    found = [each for each in await books.invoices() if (each.period, each.currency) == (month, currency)]
    return found[0] if found else None


async def close_to_invoice(books: Books, month: str, currency: str = "EUR") -> Invoice:
    invoice = await close(books, month, currency)
    assert invoice is not None
    return invoice


async def left(books: Books) -> dict[str, str]:
    """Credit by note."""
    held = await books.store.credit("mer_1", "con_1", "EUR")
    found = [] if held is None else [(use.note_number, str(use.amount)) for use in held.value.left]
    assert len(dict(found)) == len(found)
    return dict(found)


async def test_credit_that_a_void_invoice_gives_back_is_used_by_the_next(books: Books) -> None:
    credit = Credit(consumer_id="con_1", currency="EUR", left=(CreditUse(note_number="N1", amount=Decimal(89)),))
    await books.documents.create(BILLING, "mer_1", credit_document("con_1", "EUR"), credit.to_json())
    await books.price({**PER_REQUEST, "base_fee": "100"})
    march = await close_to_invoice(books, "2026-03")
    assert (march.amount_due, await left(books)) == (11, {})
    await Receiving(books).desk.void(ACTOR, "mer_1", march.id, "a mistake")
    assert await left(books) == {"N1": "89"}
    await books.price({**PER_REQUEST, "base_fee": "50"}, number=2, effective_from=march.end)
    april = await close_to_invoice(books, "2026-04")
    assert (april.status, await left(books)) == ("paid", {"N1": "39"})


@given(notes=st.lists(st.integers(1, 50), max_size=4), dues=st.lists(st.tuples(st.integers(1, 60), st.booleans())))
def test_credit_is_neither_made_nor_lost(notes: list[int], dues: list[tuple[int, bool]]) -> None:
    """Whatever is used and, by voids, comes back: in all there is what the notes gave, each one's as it was."""
    left = start = tuple(CreditUse(note_number=f"N{n}", amount=Decimal(of)) for n, of in enumerate(notes))
    kept: list[CreditUse] = []
    for due, is_void in dues:
        uses = total_up([make_line(str(due))], (), left, "EUR").credits
        left = without(left, uses)
        if is_void:
            left = with_back(left, uses)
        else:
            kept += uses
        assert with_back(left, kept) == start


async def test_credit_of_another_currency_stays(books: Books) -> None:
    credit = Credit(consumer_id="con_1", currency="EUR", left=(CreditUse(note_number="N1", amount=Decimal(5)),))
    await books.documents.create(BILLING, "mer_1", credit_document("con_1", "EUR"), credit.to_json())
    await books.price({**PER_REQUEST, "base_fee": "1"}, currency="KWD")
    march = await close_to_invoice(books, "2026-03", "KWD")
    assert (march.amount_due, await left(books)) == (1, {"N1": "5"})
