"""The month's close on real stores: what is billed, once, whatever happens in between."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from shared.billing.invoices.credit import Credit
from shared.billing.invoices.models import CreditUse
from shared.billing.invoices.store import credit_document
from shared.billing.month_close.service import PeriodNotBegun
from shared.billing.store import BILLING
from shared.metering.counting.record_ids import RECORD_PREFIX
from shared.metering.events import partition_of
from shared.metering.store import USAGE
from shared.platform.documents import Query, Where
from tests.support.billing.books import Books, event
from tests.support.market import PER_REQUEST


async def test_a_month_becomes_one_invoice(books: Books) -> None:
    await books.use(250)
    assert await books.closer.run() == 1
    [invoice] = await books.invoices()
    assert invoice.number == "ACME26-000001"
    assert invoice.status == "issued"
    [line] = invoice.lines
    assert (line.description, str(line.quantity), str(line.net)) == ("API calls", "250", "2.5")
    assert str(invoice.total) == "2.5"
    assert str(invoice.commission) == "0.25"
    assert invoice.records[0].count == 250
    assert sum(day.requests for day in invoice.days) == 250
    assert len(invoice.days) == 31


async def test_closing_again_changes_nothing(books: Books) -> None:
    await books.use(250)
    await books.closer.run()
    before = await books.invoices()
    assert await books.closer.run() == 0
    assert await books.again().closer.run() == 0
    assert await books.invoices() == before


async def test_nothing_is_closed_within_the_grace(books: Books) -> None:
    await books.use(3)
    books.time.moment = datetime(2026, 4, 1, 23, 59, tzinfo=UTC)
    assert await books.closer.run() == 0
    books.time.moment = datetime(2026, 4, 2, 0, 0, tzinfo=UTC)
    assert await books.closer.run() == 1


async def test_a_month_that_has_not_begun_is_never_closed(books: Books) -> None:
    """Whoever mistypes the year of a month must not use up numbers for decades of empty ones."""
    books.time.moment = datetime(2026, 2, 28, 23, 59, tzinfo=UTC)
    profile = await books.bill()
    due = await books.closer.next_period(profile)
    with pytest.raises(PeriodNotBegun, match="2026-03 has not begun"):
        await books.closer.close(profile, due, early=True)
    assert await books.closes.close("mer_1", "2026-03") is None
    books.time.moment = datetime(2026, 3, 1, tzinfo=UTC)
    assert (await books.closer.close(profile, due, early=True)).status == "done"


async def test_every_month_that_was_missed_is_closed(books: Books) -> None:
    await books.use(100, "2026-03-10")
    await books.use(200, "2026-05-10")
    books.time.moment = datetime(2026, 7, 2, 0, 0, tzinfo=UTC)
    assert await books.closer.run() == 4
    assert [(invoice.period, str(invoice.net)) for invoice in await books.invoices()] == [
        ("2026-03", "1"),
        ("2026-05", "2"),
    ]


async def test_failures_are_not_billed_unless_the_merchant_says_so(books: Books) -> None:
    await books.price({**PER_REQUEST, "client_errors": [404]})
    start = datetime(2026, 3, 10, 8, tzinfo=UTC)
    statuses = [200, 204, 304, 400, 404, 429, 500, 503, None]
    await books.count(*(event(f"e{n}", start, status_code=status) for n, status in enumerate(statuses)))
    await books.closer.run()
    [invoice] = await books.invoices()
    assert str(invoice.lines[0].quantity) == "5"  # 200, 204, 304, 404, none


async def test_late_usage_is_a_correction_on_the_next_invoice(books: Books) -> None:
    await books.use(100, "2026-03-10")
    await books.closer.run()
    await books.use(7, "2026-03-31")
    await books.use(50, "2026-04-10")
    books.time.moment = datetime(2026, 5, 2, 1, tzinfo=UTC)
    assert await books.closer.run() == 1
    march, april = await books.invoices()
    assert [(line.corrects, str(line.net)) for line in april.lines] == [(None, "0.5"), ("2026-03", "0.07")]
    assert str(april.net) == "0.57"
    assert march == (await books.invoices())[0]
    assert [proof.period for proof in april.records] == ["2026-04", "2026-03"]


async def test_a_correction_is_made_once(books: Books) -> None:
    await books.use(100, "2026-03-10")
    await books.closer.run()
    await books.use(7, "2026-03-31")
    books.time.moment = datetime(2026, 5, 2, 1, tzinfo=UTC)
    await books.closer.run()
    books.time.moment = datetime(2026, 6, 2, 1, tzinfo=UTC)
    await books.closer.run()
    assert [(i.period, str(i.net)) for i in await books.invoices()] == [("2026-03", "1"), ("2026-04", "0.07")]


async def test_a_correction_below_zero_is_credit_for_the_next_invoice(books: Books) -> None:
    tiers = [{"up_to": "100", "unit_price": "1"}, {"up_to": None, "unit_price": "0.1"}]
    await books.price({"id": "calls", "name": "API calls", "metric": "requests", "model": "volume", "tiers": tiers})
    await books.use(100, "2026-03-10")
    await books.closer.run()
    await books.use(10, "2026-03-31")
    books.time.moment = datetime(2026, 5, 2, 1, tzinfo=UTC)
    await books.closer.run()
    _march, april = await books.invoices()
    assert (str(april.total), str(april.carried), str(april.amount_due), april.status) == ("-89", "89", "0", "paid")
    await books.use(50, "2026-05-10")
    books.time.moment = datetime(2026, 6, 2, 1, tzinfo=UTC)
    await books.closer.run()
    may = (await books.invoices())[-1]
    assert (str(may.total), str(may.amount_due)) == ("50", "0")
    assert [(use.note_number, str(use.amount)) for use in may.credits] == [(april.number, "50")]
    stored = await books.invoice_store.credit("mer_1", "con_1", "EUR")
    assert stored is not None
    assert [str(each.amount) for each in stored.value.left] == ["39"]


async def test_a_base_fee_is_due_without_usage(books: Books) -> None:
    await books.price({**PER_REQUEST, "base_fee": "9.90"})
    await books.closer.run()
    [invoice] = await books.invoices()
    assert str(invoice.total) == "9.9"


async def test_who_has_no_access_and_no_usage_gets_no_invoice(books: Books) -> None:
    await books.price({**PER_REQUEST, "base_fee": "9.90"})
    await books.subscribe(status="withdrawn")
    await books.subscribe("con_2", status="requested", decided_at=None)
    await books.subscribe("con_3", decided_at=datetime(2026, 4, 1, tzinfo=UTC))
    await books.closer.run()
    assert await books.invoices() == []


async def test_a_plan_that_changes_within_the_month_goes_on_counting(books: Books) -> None:
    tiers = [{"up_to": "100", "unit_price": "1"}, {"up_to": None, "unit_price": "0.5"}]
    charge = {"id": "calls", "name": "API calls", "metric": "requests", "base_fee": "31"}
    await books.price({**charge, "model": "per_unit", "unit_price": "2"})
    changes = datetime(2026, 3, 11, tzinfo=UTC)
    await books.price({**charge, "model": "graduated", "tiers": tiers}, number=2, effective_from=changes)
    await books.use(60, "2026-03-10")
    await books.use(60, "2026-03-12")
    await books.closer.run()
    [invoice] = await books.invoices()
    first, second = invoice.lines
    assert (str(first.net), first.plan_number) == ("130", 1)  # 60 × 2, and 10 of 31 days of the fee
    assert (str(second.net), second.plan_number) == ("71", 2)  # 40 × 1 and 20 × 0.5, and 21 days


async def test_usage_that_counters_and_records_tell_differently_is_held(books: Books) -> None:
    await books.use(10)
    await books.subscribe("con_2")
    await books.use(20, consumer_id="con_2")
    query = Query(partition_of("con_1", 0), (Where("id", "starts_with", RECORD_PREFIX),), limit=1)
    [lost] = (await books.documents.query(USAGE, query)).items
    await books.documents.delete(USAGE, lost.partition, lost.id)
    assert await books.closer.run() == 0
    assert [str(invoice.net) for invoice in await books.invoices()] == ["0.2"]
    stored = await books.closes.close("mer_1", "2026-03")
    assert stored is not None
    assert stored.value.status == "running"
    assert list(stored.value.held.values()) == ["counters and records of 2026-03 differ"]
    await books.documents.create(USAGE, lost.partition, lost.id, lost.body)
    assert await books.closer.run() == 1
    assert [str(invoice.net) for invoice in await books.invoices()] == ["0.2", "0.1"]


async def test_two_who_close_at_once_bill_once(books: Books) -> None:
    for number in range(2, 90):
        await books.subscribe(f"con_{number}")
        await books.use(number, consumer_id=f"con_{number}")
    closed = await asyncio.gather(*(books.again().closer.run() for _ in range(4)))
    assert max(closed) == 1
    invoices = await books.invoices()
    assert [invoice.number for invoice in invoices] == [f"ACME26-{n:06d}" for n in range(1, 89)]
    assert sorted(int(invoice.lines[0].quantity) for invoice in invoices) == list(range(2, 90))


async def test_credit_is_used_in_the_invoices_transaction(books: Books) -> None:
    credit = Credit(consumer_id="con_1", currency="EUR", left=(CreditUse(note_number="N1", amount="1.20"),))
    await books.documents.create(BILLING, "mer_1", credit_document("con_1", "EUR"), credit.to_json())
    await books.use(250)
    await books.closer.run()
    [invoice] = await books.invoices()
    assert (str(invoice.total), str(invoice.amount_due)) == ("2.5", "1.3")
    assert await books.invoice_store.credit("mer_1", "con_1", "EUR") is None


async def test_a_month_ends_where_the_merchant_is(books: Books) -> None:
    await books.bill(time_zone="Asia/Kolkata", billing_from=datetime(2026, 3, 15, tzinfo=UTC))
    inside = [datetime(2026, 2, 28, 18, 30, tzinfo=UTC), datetime(2026, 3, 31, 18, 29, 59, tzinfo=UTC)]
    outside = [datetime(2026, 2, 28, 18, 29, 59, tzinfo=UTC), datetime(2026, 3, 31, 18, 30, tzinfo=UTC)]
    await books.count(*(event(f"e{n}", moment) for n, moment in enumerate([*inside, *outside])))
    await books.closer.run()
    [invoice] = await books.invoices()
    assert str(invoice.lines[0].quantity) == "2"
    assert [day.requests for day in invoice.days] == [1, *[0] * 29, 1]


async def test_a_month_in_which_clocks_change(books: Books) -> None:
    await books.bill(time_zone="America/New_York", billing_from=datetime(2026, 3, 5, tzinfo=UTC))
    books.time.moment = datetime(2026, 4, 2, 4, tzinfo=UTC)
    hours = [datetime(2026, 3, 1, 5, tzinfo=UTC) + timedelta(hours=n) for n in range(31 * 24 - 1)]
    for start in range(0, len(hours), 200):
        await books.count(*(event(f"e{n}", hours[n]) for n in range(start, min(start + 200, len(hours)))))
    await books.closer.run()
    [invoice] = await books.invoices()
    assert str(invoice.lines[0].quantity) == "743"
    assert [day.requests for day in invoice.days] == [23 if day == 8 else 24 for day in range(1, 32)]


async def test_a_merchant_who_moves_bills_every_hour_once(books: Books) -> None:
    await books.bill(time_zone="America/New_York", billing_from=datetime(2026, 3, 5, tzinfo=UTC))
    books.time.moment = datetime(2026, 4, 2, 4, tzinfo=UTC)
    await books.closer.run()
    await books.bill(time_zone="Asia/Tokyo")
    moments = [datetime(2026, 4, 1, 3, 59, tzinfo=UTC), datetime(2026, 4, 1, 4, tzinfo=UTC)]
    moments += [datetime(2026, 4, 30, 14, 59, tzinfo=UTC), datetime(2026, 4, 30, 15, tzinfo=UTC)]
    await books.count(*(event(f"e{n}", moment) for n, moment in enumerate(moments)))
    books.time.moment = datetime(2026, 6, 5, tzinfo=UTC)
    await books.closer.run()
    found = {i.period: {line.corrects: str(line.quantity) for line in i.lines} for i in await books.invoices()}
    assert found == {"2026-04": {None: "2", "2026-03": "1"}, "2026-05": {None: "1"}}


async def test_an_anchor_on_the_31st(books: Books) -> None:
    await books.bill(anchor_day=31, billing_from=datetime(2026, 3, 31, tzinfo=UTC))
    days = [datetime(2026, 3, 30, 23, 59, tzinfo=UTC), datetime(2026, 3, 31, tzinfo=UTC)]
    days += [datetime(2026, 4, 29, 23, 59, tzinfo=UTC), datetime(2026, 4, 30, tzinfo=UTC)]
    await books.count(*(event(f"e{n}", moment) for n, moment in enumerate(days)))
    books.time.moment = datetime(2026, 5, 2, tzinfo=UTC)
    await books.closer.run()
    assert [(i.period, str(i.lines[0].quantity)) for i in await books.invoices()] == [("2026-03", "2")]


async def test_a_key_revoked_and_a_service_suspended_within_the_month_are_billed_until_then(books: Books) -> None:
    await books.use(10, "2026-03-10")
    key = await books.access.key("con_1", "key_1")
    service = await books.catalog.service("svc_maps")
    assert key is not None
    assert service is not None
    await books.builder.put(key.model_copy(update={"status": "revoked"}))
    await books.builder.put(service.model_copy(update={"status": "suspended"}))
    await books.subscribe(status="withdrawn")
    await books.closer.run()
    assert [str(invoice.net) for invoice in await books.invoices()] == ["0.1"]


async def test_an_invoice_of_the_old_year_has_the_new_years_number_when_it_is_issued_in_it(books: Books) -> None:
    await books.bill(financial_year_month=4)
    await books.use(10, "2026-03-31")
    await books.closer.run()
    [invoice] = await books.invoices()
    assert (invoice.number, invoice.issued_on, invoice.due_on) == ("ACME2627-000001", "2026-04-02", "2026-05-02")


async def test_a_preview_is_what_the_close_issues(books: Books) -> None:
    await books.price({**PER_REQUEST, "base_fee": "5", "minimum_spend": "8"})
    await books.use(123)
    profile = await books.bill()
    close = await books.closer.draft_close(profile, await books.closer.next_period(profile))
    basis = await books.drafter.load_basis(close)
    [subscriber] = [found async for found in books.subscribers.behind(close, "")]
    [preview] = await books.drafter.draft_invoices(basis, subscriber)
    await books.closer.run()
    [invoice] = await books.invoices()
    numbered = {"number": invoice.number, "status": "issued", "due": invoice.due}
    assert preview.invoice.model_copy(update=numbered).to_json() == invoice.to_json()
