"""Numbers: no gap, no duplicate, whoever issues at the same time."""

import asyncio
from datetime import date

import pytest

from shared.billing.invoices.models import invoice_id
from shared.billing.month_close.issuing import Draft
from shared.billing.month_close.subscribers import BilledSubscriber
from shared.billing.numbering import NUMBER_CHARACTERS_MAX, financial_year, invoice_number, note_number
from tests.support.billing.books import Books

ISSUED = 1_000


async def _drafts(books: Books, number: int) -> list[Draft]:
    """As many drafts, of a consumer each."""
    await books.use(3)
    profile = await books.bill()
    period = await books.closer.next_period(profile)
    basis = await books.drafter.load_basis(await books.closer.draft_close(profile, period))
    subscriber = BilledSubscriber(consumer_id="con_1", pseudonym="cus_1", subscribed=frozenset())
    [draft] = await books.drafter.draft_invoices(basis, subscriber)
    return [
        Draft(
            draft.close,
            draft.invoice.model_copy(update={"id": _id(n)}),
            None,
        )
        for n in range(number)
    ]


def _id(consumer: int) -> str:
    return invoice_id(merchant_id="mer_1", consumer_id=f"con_{consumer}", period="2026-03", currency="EUR")


async def test_a_thousand_at_once_from_four_processes(books: Books) -> None:
    drafts = await _drafts(books, ISSUED)
    issuers = [books.issuer, *(books.again().issuer for _ in range(3))]
    await asyncio.gather(*(issuer.issue(drafts[n::4]) for n, issuer in enumerate(issuers)))
    assert {draft.outcome for draft in drafts} == {"issued"}
    stored = await books.invoices()
    assert [invoice.number for invoice in stored] == [f"ACME26-{n:06d}" for n in range(1, ISSUED + 1)]
    assert {invoice.id for invoice in stored} == {draft.invoice.id for draft in drafts}


async def test_the_same_draft_from_everybody_is_one_invoice(books: Books) -> None:
    [draft] = await _drafts(books, 1)
    copies = [Draft(draft.close, draft.invoice, None) for _ in range(50)]
    issuers = [books.again().issuer for _ in range(5)]
    await asyncio.gather(*(issuer.issue(copies[n::5]) for n, issuer in enumerate(issuers)))
    assert sorted(copy.outcome or "" for copy in copies) == ["issued"] + ["known"] * 49
    assert {copy.invoice.number for copy in copies} == {"ACME26-000001"}
    assert len(await books.invoices()) == 1


@pytest.mark.parametrize(
    ("day", "first_month", "year"),
    [
        (date(2026, 1, 1), 1, "26"),
        (date(2026, 12, 31), 1, "26"),
        (date(2026, 3, 31), 4, "2526"),
        (date(2026, 4, 1), 4, "2627"),
        (date(2099, 12, 31), 4, "9900"),
    ],
)
def test_financial_years(day: date, first_month: int, year: str) -> None:
    assert financial_year(day, first_month) == year


def test_numbers_keep_to_sixteen_characters() -> None:
    assert invoice_number("ACME", "2627", 9_999_999) == "ACME2627-9999999"
    assert len(invoice_number("ACME", "2627", 9_999_999)) == NUMBER_CHARACTERS_MAX
    assert note_number("A", "26", 7) == "A26C000007"
    with pytest.raises(ValueError, match="a series has numbers from 1 to"):
        invoice_number("ACME", "2627", 10_000_000)
    with pytest.raises(ValueError, match="over 16 characters"):
        invoice_number("ACMEX", "2627", 1_000_000)
