"""What sums do not tell: different values, the largest, each event's amount; of records and of their export alike."""

import io
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from shared.billing.charges import CHARGE, Charge
from shared.billing.prices.models import UsedPlan
from shared.billing.usage.from_records import ChargeAggregate, RecordAggregates
from shared.billing.usage.records import RecordsWriter, parse_csv
from shared.kernel.periods import period
from shared.metering.events import UsageEvent
from tests.support.billing.quantities import MARCH, at, charge, used
from tests.support.embedded import usage_event

TIME = "2026-03-10T10:00:00.000Z"
PERCENTAGE = CHARGE.validate_python(
    {"id": "c", "metric": "quantity", "feature": "tiles", "model": "percentage", "rate_percent": "1"}
)


def with_metadata(metadata: str, id: str = "e", **data: Any) -> UsageEvent:
    return at(TIME, id, metadata=msgspec.Raw(metadata.encode()), **data)


def gather(of: Charge, events: Iterable[UsageEvent], *plans: UsedPlan) -> ChargeAggregate:
    """The charge's in all of March, as AMS gathers it, and as a verifier does from the export."""
    events = list(events)
    found = []
    for each in (events, exported(events)):
        gathering = RecordAggregates(plans or (used(MARCH, of),))
        for event in each:
            gathering.add(event)
        found.append(gathering.of(of, "svc_maps", MARCH.start, MARCH.end))
    assert found[0] == found[1]
    return found[0]


def exported(events: Iterable[UsageEvent]) -> Iterable[UsageEvent]:
    writer = RecordsWriter()
    for event in events:
        writer.add(event)
    return parse_csv(io.StringIO(writer.take().decode(), newline=""))


def different(*metadata: str) -> Decimal:
    """How many users there are."""
    return gather(charge("unique"), (with_metadata(text, str(n)) for n, text in enumerate(metadata))).quantity


@pytest.mark.parametrize(
    "metadata",
    [
        ('{"user":"ann"}', '{ "user" : "ann", "more": 1 }', '{"user":"\\u0061nn"}'),
        ('{"user":{"a":1,"b":[2]}}', '{"user": {"b":[2], "a":1}}'),
        ('{"user":"é"}', '{"user":"\\u00e9"}'),
        ('{"user":1.0}', '{"user":1.00}'),
        ('{"user":""}', '{"user":""}'),
        ('{"user":false}',),
        ('{"user":"bob","user":"ann"}', '{"user":"ann"}'),
    ],
)
def test_values_that_are_the_same_json_are_one(metadata: tuple[str, ...]) -> None:
    assert different(*metadata) == 1


@pytest.mark.parametrize(
    "metadata",
    [
        ('{"user":1}', '{"user":"1"}'),
        ('{"user":1}', '{"user":1.0}'),
        ('{"user":1}', '{"user":true}'),
        ('{"user":"Ann"}', '{"user":"ann"}'),
        ('{"user":[1,2]}', '{"user":[2,1]}'),
        ('{"user":0}', '{"user":false}'),
        ('{"user":9007199254740993}', '{"user":9007199254740992}'),
        ('{"user":"é"}', '{"user":"e\\u0301"}'),
        ('{"user":"null"}', '{"user":""}'),
    ],
)
def test_values_that_are_other_json_are_two(metadata: tuple[str, ...]) -> None:
    assert different(*metadata) == 2


@pytest.mark.parametrize("metadata", ["", "{}", '{"user":null}', '{"other":"ann"}', '{"in":{"user":"ann"}}'])
def test_a_record_without_the_field_has_no_value(metadata: str) -> None:
    assert different(metadata) == 0


def test_a_value_is_the_same_on_all_days_of_the_month() -> None:
    days = [f"2026-03-{day:02d}T10:00:00.000Z" for day in range(1, 31)]
    metadata = [msgspec.Raw(f'{{"user":"{n % 7}"}}'.encode()) for n in range(30)]
    events = [at(time, time, metadata=text) for time, text in zip(days, metadata, strict=True)]
    assert gather(charge("unique"), events).quantity == 7


def test_the_largest_is_compared_as_a_number() -> None:
    quantities = ["9", "10.000000001", "010", "1"]
    assert gather(charge("max"), (at(TIME, q, feature="tiles", quantity=q) for q in quantities)).quantity == Decimal(
        "10.000000001"
    )
    assert gather(charge("max"), []).quantity == 0


def test_amounts_are_in_the_order_of_the_records() -> None:
    events = [at(f"2026-03-{n + 1:02d}T10:00:00.000Z", feature="tiles", quantity=f"{n}.50") for n in (4, 2, 8)]
    events.insert(1, at(TIME, feature="tiles"))  # without a quantity there is no amount
    assert gather(PERCENTAGE, events).amounts == [Decimal("4.5"), Decimal("2.5"), Decimal("8.5")]


@pytest.mark.parametrize("of", [charge("unique", client_errors=(404,)), charge("max", client_errors=(404,))])
@pytest.mark.parametrize(("status", "counts"), [(None, 1), (200, 1), (404, 1), (400, 0), (500, 0)])
def test_a_status_decides_as_it_does_for_sums(of: Charge, status: int | None, counts: int) -> None:
    event = with_metadata('{"user":"ann"}', status_code=status, feature="tiles", quantity="1")
    assert gather(of, [event]).quantity == counts


@pytest.mark.parametrize("status", [403, 503])
def test_what_failed_has_no_amount(status: int) -> None:
    assert gather(PERCENTAGE, [at(TIME, feature="tiles", quantity="1", status_code=status)]).amounts == []


def test_only_the_service_the_feature_and_the_period_count() -> None:
    fields: dict[str, Any] = {"feature": "tiles", "quantity": "7"}
    others = [
        usage_event("1", time=TIME, service_id="svc_geo", data=fields),
        at(TIME, "2", feature="routes", quantity="8"),
        at("2026-02-28T23:59:59.999Z", "3", **fields),
        at("2026-04-01T00:00:00.000Z", "4", **fields),
    ]
    assert gather(charge("max"), others).quantity == 0
    assert gather(charge("max"), [*others, at("2026-03-31T23:59:59.999Z", "5", **fields)]).quantity == 7


def two_versions(before: Charge, after: Charge) -> tuple[datetime, tuple[UsedPlan, UsedPlan]]:
    """A plan that changes on 15 March."""
    cut = datetime(2026, 3, 15, tzinfo=UTC)
    return cut, (used(MARCH, before).model_copy(update={"end": cut}), used(MARCH, after, start=cut))


def test_what_is_no_sum_is_of_all_of_the_versions_that_have_it() -> None:
    """In the newest one's words: it prices the whole."""
    _, plans = two_versions(charge("unique"), charge("unique", unit_price="2"))
    events = [with_metadata('{"user":"ann"}', "1"), at("2026-03-20T10:00:00.000Z", "2")]
    assert gather(plans[1].plan.charges[0], events, *plans).quantity == 1


def test_what_begins_with_a_version_begins_with_it() -> None:
    cut, plans = two_versions(charge("unique", id="other", field="team"), charge("unique"))
    gathering = RecordAggregates(plans)
    gathering.add(with_metadata('{"user":"ann","team":"a"}'))
    assert gathering.of(plans[1].plan.charges[0], "svc_maps", cut, MARCH.end).quantity == 0


def test_amounts_are_those_of_a_version_s_own_part() -> None:
    cut, plans = two_versions(PERCENTAGE, PERCENTAGE)
    gathering = RecordAggregates(plans)
    for time in (TIME, "2026-03-14T23:59:59.999Z", "2026-03-15T00:00:00.000Z"):
        gathering.add(at(time, feature="tiles", quantity="1"))
    assert len(gathering.of(PERCENTAGE, "svc_maps", MARCH.start, cut).amounts) == 2
    assert len(gathering.of(PERCENTAGE, "svc_maps", cut, MARCH.end).amounts) == 1


def test_records_are_asked_for_only_by_charges_that_need_them() -> None:
    assert not RecordAggregates([used(MARCH, charge("requests"), charge("quantity"))]).needed
    for of in (charge("unique"), charge("max"), PERCENTAGE):
        assert RecordAggregates([used(MARCH, charge("requests"), of)]).needed


def test_a_period_s_edges_are_those_of_its_zone() -> None:
    of = period("2026-03", "Asia/Kathmandu")
    plan = used(of, charge("max"))
    gathering = RecordAggregates([plan])
    for time, quantity in (("2026-02-28T18:14:59.999Z", "9"), ("2026-02-28T18:15:00.000Z", "1")):
        gathering.add(at(time, feature="tiles", quantity=quantity))
    assert gathering.of(charge("max"), "svc_maps", of.start, of.end).quantity == 1
