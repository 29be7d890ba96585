"""What months do to each other: credit that comes back, late usage after voids and changes, fees of what is gone."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.audit.models import Actor
from shared.billing.charges import CHARGE, Charge
from shared.billing.invoices.corrections import billed_lines, correction_lines
from shared.billing.invoices.credit import Credit, give_back, use_credit
from shared.billing.invoices.lines import compute_lines
from shared.billing.invoices.models import CreditUse, Invoice
from shared.billing.invoices.store import credit_document
from shared.billing.invoices.totals import total_up
from shared.billing.month_close.run import CloseRun
from shared.billing.month_close.store import close_document
from shared.billing.prices.models import Plan, UsedPlan
from shared.billing.store import BILLING
from shared.kernel.documents import Stored
from tests.support.billing.books import Books
from tests.support.billing.invoice_samples import make_line
from tests.support.billing.prices import package, per_unit, tiered
from tests.support.billing.receiving import Receiving
from tests.support.market import PER_REQUEST

ACTOR = Actor("acc_1", "merchant")
CLOSED = {
    "2026-03": datetime(2026, 4, 2, 1, tzinfo=UTC),
    "2026-04": datetime(2026, 5, 2, 1, tzinfo=UTC),
    "2026-05": datetime(2026, 6, 2, 1, tzinfo=UTC),
    "2026-06": datetime(2026, 7, 2, 1, tzinfo=UTC),
}


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
    stored = await books.invoice_store.credit("mer_1", "con_1", "EUR")
    found = [] if stored is None else [(use.note_number, str(use.amount)) for use in stored.value.left]
    assert len(dict(found)) == len(found)
    return dict(found)


async def test_credit_that_a_void_invoice_gives_back_is_used_by_the_next(books: Books) -> None:
    credit = Credit(consumer_id="con_1", currency="EUR", left=(CreditUse(note_number="N1", amount=Decimal(89)),))
    await books.documents.create(BILLING, "mer_1", credit_document("con_1", "EUR"), credit.to_json())
    await books.price({**PER_REQUEST, "base_fee": "100"})
    march = await close_to_invoice(books, "2026-03")
    assert (march.amount_due, await left(books)) == (11, {})
    await Receiving(books).receivables.void(ACTOR, "mer_1", march.id, "a mistake")
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
        left = use_credit(left, uses)
        if is_void:
            left = give_back(left, uses)
        else:
            kept += uses
        assert give_back(left, kept) == start


async def test_credit_of_another_currency_stays(books: Books) -> None:
    credit = Credit(consumer_id="con_1", currency="EUR", left=(CreditUse(note_number="N1", amount=Decimal(5)),))
    await books.documents.create(BILLING, "mer_1", credit_document("con_1", "EUR"), credit.to_json())
    await books.price({**PER_REQUEST, "base_fee": "1"}, currency="KWD")
    march = await close_to_invoice(books, "2026-03", "KWD")
    assert (march.amount_due, await left(books)) == (1, {"N1": "5"})


class Days:
    """Requests by day of March."""

    def __init__(self, of: dict[int, int]) -> None:
        self._of = of

    def quantity(self, charge: Charge, service_id: str, start: datetime, end: datetime) -> Decimal:
        days = range(start.day, start.day + (end - start).days)
        return Decimal(sum(count for day, count in self._of.items() if day in days))

    def amounts(self, charge: Charge, service_id: str, start: datetime, end: datetime) -> Sequence[Decimal]:
        raise AssertionError("no charge here is a percentage")

    def used(self, service_id: str, start: datetime, end: datetime) -> bool:
        return True


def versions_of_march(*versions: Sequence[dict[str, Any]], changes_on: Sequence[int] = (11,)) -> list[UsedPlan]:
    """The first from the 1st on."""
    starts = [datetime(2026, 3, day, tzinfo=UTC) for day in (1, *changes_on)]
    ends = [*starts[1:], datetime(2026, 4, 1, tzinfo=UTC)]
    pieces = []
    for number, (start, end, version) in enumerate(zip(starts, ends, versions, strict=True), 1):
        charges = [CHARGE.validate_python({"id": "c", "name": "C", "metric": "requests", **each}) for each in version]
        plan = Plan(
            service_id="svc_maps",
            merchant_id="mer_1",
            number=number,
            name="P",
            currency="EUR",
            charges=tuple(charges),
            effective_from=start,
            created_at=start,
            created_by="acc_1",
        )
        pieces.append(UsedPlan(start=start, end=end, period="2026-03", service_name="Maps", subscribed=True, plan=plan))
    return pieces


def march_nets(days: dict[int, int], *versions: dict[str, Any], changes_on: Sequence[int] = (11,)) -> list[str]:
    """What lines cost under versions of a charge."""
    pieces = versions_of_march(*([version] for version in versions), changes_on=changes_on)
    return [f"{line.net:.2f}" for line in compute_lines(pieces, "UTC", 31, Days(days))]


UNIT = {"model": "per_unit", "unit_price": "1"}


@pytest.mark.parametrize(
    ("first", "second", "days", "nets"),
    [
        ({"minimum_spend": "310"}, {"minimum_spend": "310"}, {}, ["310.00"]),
        ({"minimum_spend": "310"}, {}, {}, ["100.00"]),
        ({}, {"minimum_spend": "310"}, {}, ["210.00"]),
        ({"minimum_spend": "310"}, {"minimum_spend": "620"}, {}, ["520.00"]),
        ({"minimum_spend": "310"}, {"minimum_spend": "620"}, {1: 500, 11: 5}, ["500.00", "20.00"]),
        ({"maximum_spend": "310"}, {"maximum_spend": "310"}, {1: 500, 11: 500}, ["310.00", "0.00"]),
        ({"maximum_spend": "310"}, {}, {1: 500, 11: 500}, ["100.00", "500.00"]),
        ({}, {"maximum_spend": "310"}, {1: 500, 11: 500}, ["500.00", "210.00"]),
        ({"maximum_spend": "310"}, {"maximum_spend": "620"}, {1: 100, 11: 900}, ["100.00", "420.00"]),
        ({"minimum_spend": "620"}, {"maximum_spend": "31"}, {11: 900}, ["200.00"]),
    ],
)
def test_bounds_of_versions_are_shared_by_days(
    first: dict[str, str], second: dict[str, str], days: dict[int, int], nets: list[str]
) -> None:
    assert march_nets(days, UNIT | first, UNIT | second) == nets


def test_bounds_of_a_charge_that_is_not_there_all_the_time() -> None:
    other = UNIT | {"id": "d", "unit_price": "0"}
    versions = [UNIT | {"minimum_spend": "310"}, other, UNIT | {"minimum_spend": "310"}]
    assert march_nets({}, *versions, changes_on=(11, 21)) == ["210.00"]


def fee_at_zero(at_zero: bool) -> dict[str, Any]:
    tiers = [{"up_to": "100", "unit_price": "1", "flat_fee": "10"}, {"up_to": None, "unit_price": "1"}]
    return {"model": "graduated", "tiers": tiers, "flat_fee_at_zero": at_zero}


@pytest.mark.parametrize(
    ("first", "second", "days", "nets"),
    [
        (fee_at_zero(True), fee_at_zero(True), {}, ["10.00"]),
        (fee_at_zero(True), fee_at_zero(True), {11: 5}, ["10.00", "5.00"]),
        (fee_at_zero(False), fee_at_zero(True), {11: 5}, ["15.00"]),
        (fee_at_zero(False), fee_at_zero(True), {}, ["10.00"]),
        (fee_at_zero(False), fee_at_zero(True), {1: 5}, ["15.00"]),
        (UNIT, fee_at_zero(True), {11: 5}, ["15.00"]),
        (UNIT | {"free_units": "9"}, fee_at_zero(True) | {"free_units": "9"}, {1: 5, 11: 5}, ["0.00", "11.00"]),
    ],
)
def test_a_fee_that_is_due_without_usage_comes_once(
    first: dict[str, Any], second: dict[str, Any], days: dict[int, int], nets: list[str]
) -> None:
    assert march_nets(days, first, second) == nets


FEE = PER_REQUEST | {"base_fee": "9.90"}


@pytest.mark.parametrize("status", ["suspended", "retired"])
async def test_nobody_pays_fees_for_a_service_that_cannot_be_called(books: Books, status: str) -> None:
    await books.price(FEE)
    service = await books.catalog.service("svc_maps")
    assert service is not None
    await books.builder.put(service.model_copy(update={"status": status}))
    assert await close(books, "2026-03") is None


@pytest.mark.parametrize("status", ["suspended", "disabled"])
async def test_nobody_pays_fees_to_a_merchant_who_is_stopped(books: Books, status: str) -> None:
    await books.price(FEE)
    merchant = await books.catalog.merchant("mer_1")
    assert merchant is not None
    await books.builder.put(merchant.model_copy(update={"status": status}))
    assert await close(books, "2026-03") is None


async def test_who_is_restricted_or_suspended_pays_for_usage_and_its_fee_only(books: Books) -> None:
    await books.price(FEE)
    await books.subscribe(restricted=True)
    await books.use(10, "2026-03-10")
    await books.subscribe("con_2", restricted=True)
    await books.subscribe("con_3")
    await books.builder.consumer(id="con_3", name="Three", status="suspended")
    assert (await close_to_invoice(books, "2026-03")).net == 10
    assert len(await books.invoices()) == 1


async def test_a_service_that_was_used_before_it_was_retired_is_paid(books: Books) -> None:
    await books.price(FEE)
    await books.use(10, "2026-03-10")
    service = await books.catalog.service("svc_maps")
    assert service is not None
    await books.builder.put(service.model_copy(update={"status": "retired"}))
    assert (await close_to_invoice(books, "2026-03")).net == 10
    assert await close(books, "2026-04") is None


@st.composite
def changing_prices(draw: st.DrawFn) -> list[UsedPlan]:
    """A month under one to three versions, each with one or two charges."""
    changes_on = draw(st.lists(st.integers(2, 31), max_size=2, unique=True).map(sorted))
    bounds = st.sampled_from([{}, {"minimum_spend": "31"}, {"maximum_spend": "9.3"}, {"base_fee": "3"}])
    price = st.one_of(per_unit, tiered("graduated"), tiered("volume"), package())
    version = st.lists(st.builds(lambda price, bound: price | bound, price, bounds), min_size=1, max_size=2)
    versions = [
        [charge | {"id": f"c{n}"} for n, charge in enumerate(draw(version))] for _ in range(len(changes_on) + 1)
    ]
    return versions_of_march(*versions, changes_on=changes_on)


VOLUME = {"model": "volume", "tiers": [{"up_to": "90", "unit_price": "1"}, {"up_to": None, "unit_price": "0.1"}]}

DISCOUNTED = {"model": "graduated", "tiers": [{"up_to": None, "unit_price": "1.803", "flat_fee": "0.293"}]}
"""46 of it are 83.231, of which half is 41.6155: the line rounds down, its discount up."""


@example(price=DISCOUNTED, bound={"percentage_discount": "50"}, days={1: 46, 2: 18}, changes_on=[2])
@example(price=VOLUME, bound={"maximum_spend": "50"}, days={1: 90, 11: 10}, changes_on=[11])
@example(price=VOLUME, bound={"maximum_spend": "9"}, days={1: 90, 11: 10, 21: 90}, changes_on=[11, 21])
@given(
    price=st.one_of(per_unit, tiered("graduated"), tiered("volume"), package()),
    bound=st.sampled_from([{}, {"minimum_spend": "31"}, {"maximum_spend": "9.3"}, {"percentage_discount": "50"}]),
    days=st.dictionaries(st.integers(1, 31), st.integers(0, 90), max_size=4),
    changes_on=st.lists(st.integers(2, 31), max_size=2, unique=True).map(sorted),
)
def test_a_version_that_changes_nothing_changes_no_total(
    price: dict[str, Any], bound: dict[str, str], days: dict[int, int], changes_on: list[int]
) -> None:
    """But for rounding: half a cent for each line, of which the month has one more, and again for its discount."""
    charge = price | bound
    split = march_nets(days, *([charge] * (len(changes_on) + 1)), changes_on=changes_on)
    whole = march_nets(days, charge, changes_on=())
    half_cents = (len(changes_on) + 2) * (2 if "percentage_discount" in bound else 1)
    assert abs(sum(map(Decimal, split)) - sum(map(Decimal, whole))) <= Decimal("0.005") * half_cents


by_day = st.dictionaries(st.integers(1, 31), st.integers(0, 90), max_size=4)


@given(plans=changing_prices(), stages=st.lists(by_day, min_size=2, max_size=4))
def test_corrections_bring_a_month_to_what_it_costs_in_all(plans: list[UsedPlan], stages: list[dict[int, int]]) -> None:
    """Late usage of several closes, under any prices: what was billed in the end is what all of it costs at once."""
    counted: Counter[int] = Counter()
    invoices: list[Invoice] = []
    for number, late in enumerate(stages):
        counted.update(late)
        usage = Days(dict(counted))
        if number == 0:
            lines = compute_lines(plans, "UTC", 31, usage)
        else:
            should = compute_lines(plans, "UTC", 31, usage, empty=True)
            lines = correction_lines("2026-03", should, billed_lines("2026-03", invoices))
        period = f"2026-{3 + number:02d}"
        invoices.append(Invoice.model_construct(period=period, lines=tuple(lines)))
    final = {key: net for key, (_, net) in billed_lines("2026-03", invoices).items() if net}
    at_once = compute_lines(plans, "UTC", 31, Days(dict(counted)))
    assert final == {(line.service_id, line.charge_id, line.start): line.net for line in at_once if line.net}


async def test_a_minimum_that_late_usage_reaches_is_given_back(books: Books) -> None:
    charge = PER_REQUEST | {"unit_price": "1", "minimum_spend": "31"}
    await books.price(charge)
    await books.price(charge, number=2, effective_from=datetime(2026, 3, 11, tzinfo=UTC))
    await books.use(10, "2026-03-05")
    assert (await close_to_invoice(books, "2026-03")).net == 31
    await books.use(30, "2026-03-06")
    await books.subscribe(status="withdrawn")
    april = await close_to_invoice(books, "2026-04")
    assert [(line.corrects, line.plan_number, line.net) for line in april.lines] == [
        ("2026-03", 1, 30),
        ("2026-03", 2, -21),
    ]
    assert april.net == 9


async def test_a_close_is_not_over_while_another_process_holds_somebody(books: Books) -> None:
    profile = await books.bill()
    of = await books.closer.next_period(profile)
    await books.closer.close(profile, of)  # nobody used anything
    stored = await books.closes.close("mer_1", of.name)
    assert stored is not None
    running = stored.value.model_copy(update={"status": "running", "finished_at": None, "after": ""})
    etag = await books.documents.upsert(BILLING, "mer_1", close_document(of.name), running.to_json())
    run = CloseRun(
        Stored(running, etag),
        await books.drafter.load_basis(running),
        closes=books.closes,
        subscribers=books.subscribers,
        drafter=books.drafter,
        issuer=books.issuer,
        journal=books.journal,
        mails=books.mails,
        now=books.time,
    )
    await run.process_remaining()
    further = running.model_copy(update={"after": "cus_zzz", "held": {"cus_zzz": "counters and records differ"}})
    await books.documents.upsert(BILLING, "mer_1", close_document(of.name), further.to_json())
    assert (await run.finish()).status == "running"
    stored = await books.closes.close("mer_1", of.name)
    assert stored is not None
    assert (stored.value.status, list(stored.value.held)) == ("running", ["cus_zzz"])
