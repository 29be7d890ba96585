"""When versions of a price plan hold: the schedule of a period, and the moments that a merchant may choose."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.audit.models import Actor
from shared.billing.charges import CHARGE
from shared.billing.month_close.models import Close
from shared.billing.month_close.store import close_document
from shared.billing.prices.models import Plan
from shared.billing.prices.service import VERSIONS_MAX, Calendar, Plans, PlanVersion, prices_at, schedule
from shared.billing.prices.store import plan_document
from shared.billing.store import BILLING
from shared.billing.tasks import TellPriceChange
from shared.billing.tax.models import Party
from shared.kernel.errors import Problem
from tests.support.billing.books import Books
from tests.support.market import PER_REQUEST

MIA = Actor("acc_1", "merchant")
CALLS = CHARGE.validate_python(PER_REQUEST)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def plan(number: int, effective_from: datetime, **changes: Any) -> Plan:
    fields = {
        "service_id": "svc_maps",
        "merchant_id": "mer_1",
        "number": number,
        "name": "Standard",
        "currency": "EUR",
        "charges": (CALLS,),
        "effective_from": effective_from,
        "created_at": BEGIN,
        "created_by": "acc_1",
    }
    return Plan(**{**fields, **changes})


def hours(number: int) -> datetime:
    return BEGIN + timedelta(hours=number)


VERSIONS = st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=8)


@given(VERSIONS, st.integers(0, 40), st.integers(0, 40), st.randoms(use_true_random=False))
def test_every_instant_has_the_newest_version_that_took_effect(
    versions: list[tuple[int, bool]], start: int, end: int, random: Any
) -> None:
    plans = [plan(n, hours(at), charges=(CALLS,) if priced else ()) for n, (at, priced) in enumerate(versions, 1)]
    others = [plan(9, hours(0), service_id="svc_other")]
    shuffled = random.sample(plans + others, len(plans) + 1)

    parts = schedule(shuffled, "svc_maps", hours(start), hours(end))

    for first, last, _ in parts:
        assert hours(start) <= first < last <= hours(end)
    for (_, before, _), (after, _, _) in pairwise(parts):
        assert before <= after
    for hour in range(start, end):
        # Half past, so that no part's bound is hit: versions take effect at whole hours here.
        moment = hours(hour) + timedelta(minutes=30)
        begun = sorted((at, n) for n, (at, _) in enumerate(versions, 1) if hours(at) <= moment)
        expected = begun[-1][1] if begun and versions[begun[-1][1] - 1][1] else None
        holding = [each.number for first, last, each in parts if first <= moment < last]
        assert holding == ([] if expected is None else [expected])


def test_a_plan_without_charges_ends_the_prices_before_it() -> None:
    plans = [plan(1, hours(0)), plan(2, hours(10), charges=()), plan(3, hours(20))]

    parts = schedule(plans, "svc_maps", hours(5), hours(30))

    assert [(first, last, each.number) for first, last, each in parts] == [
        (hours(5), hours(10), 1),
        (hours(20), hours(30), 3),
    ]


def test_an_offer_is_what_holds_and_what_comes_next() -> None:
    plans = [plan(1, hours(0)), plan(2, hours(10)), plan(3, hours(10)), plan(4, hours(20))]

    at = {hour: prices_at(plans, hours(hour)) for hour in (-1, 0, 10, 20)}

    numbers = {hour: (o.current and o.current.number, o.next and o.next.number) for hour, o in at.items()}
    assert numbers == {-1: (None, 1), 0: (1, 3), 10: (3, 4), 20: (4, None)}


def chosen(now: str, asked: str | None, zone: str, anchor: int = 1, *, first: bool = False) -> str:
    calendar = Calendar(zone, anchor, datetime.fromisoformat(now).astimezone(UTC))
    begins = calendar.start_of_version(None if asked is None else datetime.fromisoformat(asked), first=first)
    assert begins.utcoffset() == timedelta(0)
    return begins.isoformat()[:16]


@pytest.mark.parametrize(
    ("now", "zone", "anchor", "begins"),
    [
        ("2026-11-21T10:00Z", "UTC", 1, "2026-12-01T00:00"),
        ("2026-11-30T18:29Z", "Asia/Kolkata", 1, "2026-11-30T18:30"),
        ("2026-11-30T18:30Z", "Asia/Kolkata", 1, "2026-12-31T18:30"),
        ("2026-10-31T12:00Z", "America/New_York", 1, "2026-11-01T04:00"),  # the day on which clocks go back
        ("2026-03-07T12:00Z", "America/New_York", 8, "2026-03-08T05:00"),  # … and forward
        ("2026-02-10T12:00Z", "America/New_York", 31, "2026-02-28T05:00"),
        ("2026-02-28T05:00Z", "America/New_York", 31, "2026-03-31T04:00"),
    ],
)
def test_without_a_moment_it_is_the_next_period(now: str, zone: str, anchor: int, begins: str) -> None:
    assert chosen(now, None, zone, anchor) == begins
    assert chosen(now, None, zone, anchor, first=True) == begins


@pytest.mark.parametrize(
    ("now", "asked", "zone", "begins"),
    [
        ("2026-11-21T18:29Z", "2026-11-22T00:00+05:30", "Asia/Kolkata", "2026-11-21T18:30"),
        ("2026-10-20T00:00Z", "2026-11-01T00:00-04:00", "America/New_York", "2026-11-01T04:00"),
        ("2026-10-20T00:00Z", "2026-11-02T00:00-05:00", "America/New_York", "2026-11-02T05:00"),
        ("2026-03-01T00:00Z", "2026-03-08T05:00Z", "America/New_York", "2026-03-08T05:00"),
        ("2026-03-01T00:00Z", "2026-03-09T04:00Z", "America/New_York", "2026-03-09T04:00"),
        # Clocks skip midnight: the day begins at one o'clock.
        ("2026-04-01T00:00Z", "2026-04-24T01:00+03:00", "Africa/Cairo", "2026-04-23T22:00"),
        # Midnight comes twice: the day begins with the first.
        ("2026-10-01T00:00Z", "2026-11-01T00:00-04:00", "America/Havana", "2026-11-01T04:00"),
    ],
)
def test_a_midnight_of_the_merchant_is_taken(now: str, asked: str, zone: str, begins: str) -> None:
    assert chosen(now, asked, zone) == begins


@pytest.mark.parametrize(
    ("asked", "zone", "rule"),
    [
        ("2026-11-22T00:00Z", "Asia/Kolkata", "must be a midnight in Asia/Kolkata, such as 2026-11-21T18:30:00.000Z"),
        ("2026-11-22T00:00:00.001+05:30", "Asia/Kolkata", "must be a midnight"),
        ("2026-12-01T04:00Z", "America/New_York", "must be a midnight in America/New_York"),  # summer's
        ("2026-11-20T18:30Z", "Asia/Kolkata", "must be in the future"),
        ("2026-11-21T10:00Z", "UTC", "must be in the future"),
        ("0001-01-01T00:00+12:00", "Asia/Kolkata", "must be in the future"),
        ("2031-12-01T00:00Z", "UTC", "must be within five years"),
        ("9999-12-31T23:59-12:00", "America/New_York", "must be within five years"),
    ],
)
def test_any_other_moment_is_refused(asked: str, zone: str, rule: str) -> None:
    with pytest.raises(Problem) as refused:
        chosen("2026-11-21T10:00Z", asked, zone)

    [error] = refused.value.errors
    assert (refused.value.status, error.field) == (400, "effective_from")
    assert error.rule.startswith(rule)


def test_the_first_version_may_go_back_to_the_start_of_the_running_period() -> None:
    now = "2026-11-21T10:00Z"

    assert chosen(now, "2026-10-31T18:30Z", "Asia/Kolkata", first=True) == "2026-10-31T18:30"
    assert chosen(now, "2026-11-20T18:30Z", "Asia/Kolkata", first=True) == "2026-11-20T18:30"
    for asked in ("2026-10-30T18:30Z", "2026-10-31T18:29Z"):
        with pytest.raises(Problem, match="must not be before the running period"):
            chosen(now, asked, "Asia/Kolkata", first=True)


def test_the_first_version_does_not_reach_into_a_closed_period() -> None:
    """The merchant went from New York's midnight to that of Kolkata, nine and a half hours earlier."""
    closed = datetime(2026, 11, 1, 4, tzinfo=UTC)
    calendar = Calendar("Asia/Kolkata", 1, datetime(2026, 11, 21, tzinfo=UTC), closed)

    assert calendar.start_of_version(closed, first=True) == closed
    with pytest.raises(Problem, match="which began at 2026-11-01T04:00"):
        calendar.start_of_version(datetime(2026, 10, 31, 18, 30, tzinfo=UTC), first=True)


@given(st.dates(date(2026, 1, 1), date(2027, 12, 31)), st.sampled_from(["Asia/Kolkata", "America/New_York", "UTC"]))
def test_every_coming_day_can_be_chosen_by_its_midnight(day: date, zone: str) -> None:
    begins = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    calendar = Calendar(zone, 1, BEGIN - timedelta(days=2))

    assert calendar.start_of_version(begins, first=False) == begins
    with pytest.raises(Problem):
        calendar.start_of_version(begins + timedelta(minutes=15), first=False)


# The service, on real stores


@pytest.fixture
async def books(books: Books) -> Books:
    """Acme bills in UTC; it is 2 April 2026, 1:00. `svc_maps` has no plan."""
    await books.documents.delete(BILLING, "mer_1", plan_document("svc_maps", 1))
    books.journal.on(TellPriceChange, _nothing)
    return books


async def _nothing(task_id: str, task: TellPriceChange) -> None: ...


def plans(books: Books) -> Plans:
    return Plans(
        plans=books.plans, profiles=books.profiles, catalog=books.catalog, journal=books.journal, now=books.time
    )


async def add(books: Books, effective_from: str | None = None) -> PlanVersion:
    begins = None if effective_from is None else datetime.fromisoformat(effective_from)
    return await plans(books).add(
        MIA, "svc_maps", name="Standard", currency="EUR", charges=[CALLS], effective_from=begins
    )


async def test_versions_follow_each_other_through_time(books: Books) -> None:
    first = await add(books, "2026-04-01T00:00Z")
    second = await add(books)
    states = [first.state, second.state]
    books.time.moment = datetime(2026, 5, 1, tzinfo=UTC)

    page = await plans(books).page("svc_maps", 10, None)

    assert states == ["in_force", "announced"]
    assert [(each.plan.number, each.state) for each in page.items] == [(2, "in_force"), (1, "past")]
    assert second.plan.effective_from == datetime(2026, 5, 1, tzinfo=UTC)


async def test_ten_at_once_are_ten_numbers_or_a_clear_conflict(books: Books) -> None:
    found = await asyncio.gather(*(add(books) for _ in range(10)), return_exceptions=True)

    refused = [each for each in found if isinstance(each, BaseException)]
    assert all(isinstance(each, Problem) and (each.status, each.code) == (409, "conflict") for each in refused)
    numbers = [each.number for each in await books.plans.plans("mer_1", "svc_maps")]
    assert numbers == list(range(1, 10 - len(refused) + 1))
    assert numbers
    assert (await add(books)).plan.number == len(numbers) + 1


async def test_one_can_be_withdrawn_until_its_moment(books: Books) -> None:
    version = await add(books)  # for 1 May
    books.time.moment = datetime(2026, 5, 1, tzinfo=UTC)
    with pytest.raises(Problem, match=r"409 state_invalid: Version 1 took effect at 2026-05-01T00:00:00\.000Z"):
        await plans(books).withdraw(MIA, "svc_maps", 1, f'"{version.etag}"')
    books.time.moment -= timedelta(milliseconds=1)

    await plans(books).withdraw(MIA, "svc_maps", 1, f'"{version.etag}"')

    assert await books.plans.plans("mer_1", "svc_maps") == []
    assert (await add(books)).plan.number == 2  # a number is given once


async def test_two_withdrawals_at_once_are_one(books: Books) -> None:
    version = await add(books)

    found = await asyncio.gather(
        *(plans(books).withdraw(MIA, "svc_maps", 1, f'"{version.etag}"') for _ in range(5)), return_exceptions=True
    )

    assert [each for each in found if each is None] == [None]
    assert {each.status for each in found if isinstance(each, Problem)} <= {404, 409}


async def test_none_takes_effect_before_one_that_is_announced(books: Books) -> None:
    await add(books, "2026-04-10T00:00Z")
    with pytest.raises(Problem, match=r"409 state_invalid: Version 1 is announced for 2026-04-10T00:00:00\.000Z"):
        await add(books, "2026-04-09T00:00Z")

    again = await add(books, "2026-04-10T00:00Z")

    books.time.moment = datetime(2026, 4, 10, tzinfo=UTC)
    assert (await plans(books).read("svc_maps", 1)).state == "past"
    assert (await plans(books).read("svc_maps", again.plan.number)).state == "in_force"


async def test_a_second_version_does_not_go_back(books: Books) -> None:
    await add(books, "2026-04-01T00:00Z")

    with pytest.raises(Problem, match="must be in the future"):
        await add(books, "2026-04-02T00:00Z")


async def test_the_profile_says_when_days_begin(books: Books) -> None:
    await books.bill(time_zone="Asia/Kolkata", anchor_day=10)

    assert (await add(books)).plan.effective_from == datetime(2026, 4, 9, 18, 30, tzinfo=UTC)
    with pytest.raises(Problem, match="must be a midnight in Asia/Kolkata"):
        await add(books, "2026-04-11T00:00Z")


async def test_what_is_closed_is_not_priced_afterwards(books: Books) -> None:
    """The close ended later than Kolkata's April began."""
    profile = await books.bill(time_zone="Asia/Kolkata")
    close = Close(
        merchant_id="mer_1",
        period="2026-03",
        start=datetime(2026, 3, 1, tzinfo=UTC),
        time_zone="UTC",
        end=datetime(2026, 4, 1, tzinfo=UTC),
        issued_on="2026-04-02",
        due_on="2026-05-02",
        financial_year="2026",
        commission_percent="10",
        seller=Party(name="Acme"),
        profile=profile,
        begun_at=books.time(),
        status="done",
    )
    await books.documents.upsert(BILLING, "mer_1", close_document("2026-03"), close.to_json())

    with pytest.raises(Problem, match="began at 2026-04-01T00:00"):
        await add(books, "2026-03-31T18:30Z")
    assert (await add(books, "2026-04-01T00:00Z")).plan.effective_from == close.end


async def test_there_are_so_many_versions_and_no_more(books: Books) -> None:
    """One that was written otherwise, as a seed does, counts too."""
    await books.price(PER_REQUEST, number=VERSIONS_MAX - 1)

    assert (await add(books)).plan.number == VERSIONS_MAX
    with pytest.raises(Problem, match="409 limit_reached"):
        await add(books)
