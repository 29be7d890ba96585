"""The judge of the chaos runs finds what it is there to find."""

import copy
import random
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.support.chaos.ledger import DeliveryAttempt, Ledger, place_of, plan
from tests.support.chaos.market import API, KEYS, SERVICES
from tests.support.chaos.verify import CALL_SOURCE, Record, StoredUsage, judge, summaries_wrong

EVENTS = 40
TIME = "2026-01-31T10:20:00.000Z"


@pytest.fixture
def ledger() -> Ledger:
    """Everything was sent and acknowledged but the last event, and one call was answered."""
    ledger = plan(EVENTS, 1, random.Random(1), datetime(2026, 1, 31, 12, tzinfo=UTC))
    ledger.sending(ledger.events)
    ledger.acknowledge(ledger.events[:-1])
    ledger.attempts.append(DeliveryAttempt("whole/10/0", "GET", KEYS[0], 0, 10, "req_1", 200, 10))
    return ledger


@pytest.fixture
def stored(ledger: Ledger) -> StoredUsage:
    """What AMS should have: all that was acknowledged."""
    records: list[Record] = [
        {
            "id": event.id,
            "source": event.source,
            "time": event.time,
            "consumerid": event.key.consumer,
            "apikeyid": event.key.id,
            "serviceid": SERVICES[event.service],
            "data": event.data,
        }
        for event in ledger.acknowledged
    ]
    data: Record = {"response_bytes": 10, "status_code": 200, "metadata": {"method": "GET", "path": "whole/10/0"}}
    call: Record = {"id": "req_1", "source": CALL_SOURCE, "time": TIME, "consumerid": KEYS[0].consumer}
    records.append({**call, "apikeyid": KEYS[0].id, "serviceid": SERVICES[API], "data": data})
    days = [_counter(record, record["time"][:10], _quarter(record)) for record in records]
    months = [_counter(record, record["time"][:7], "month") for record in records]
    return StoredUsage(records, days, months, rows=3 * len(records), published=len(records))


def _quarter(record: Record) -> str:
    return f"{record['time'][11:14]}{int(record['time'][14:16]) // 15 * 15:02}"


def _counter(record: Record, period: str, bucket: str) -> Record:
    """A counter of one record: sums over counters do not mind how many there are."""
    data = record["data"]
    requests = data.get("requests", 1)
    sums = {
        "events": 1,
        "requests": requests,
        "request_bytes": data.get("request_bytes", 0),
        "response_bytes": data["response_bytes"],
        "quantity": data.get("quantity", "0"),
        "status": {str(data["status_code"]): requests},
    }
    who = {"consumer_id": record["consumerid"], "api_key_id": record["apikeyid"], "service_id": record["serviceid"]}
    return {**who, "period": period, "buckets": {bucket: sums}}


def test_what_is_right_is_found_right(ledger: Ledger, stored: StoredUsage) -> None:
    verdict = judge(ledger, stored)
    assert verdict.wrong == []
    assert (verdict.counted, verdict.lost, verdict.double, verdict.counted_unacknowledged) == (EVENTS, 0, 0, 0)


@pytest.mark.parametrize("index", [0, -1], ids=["a report", "a call"])
def test_a_missing_record_is_a_lost_event(ledger: Ledger, stored: StoredUsage, index: int) -> None:
    del stored.records[index]
    verdict = judge(ledger, stored)
    assert verdict.lost == 1
    assert any(line.startswith("lost: ") for line in verdict.wrong)


@pytest.mark.parametrize("index", [0, -1], ids=["a report", "a call"])
def test_a_second_record_is_a_double_event(ledger: Ledger, stored: StoredUsage, index: int) -> None:
    stored.records.append(copy.deepcopy(stored.records[index]))
    verdict = judge(ledger, stored)
    assert verdict.double == 1
    assert any(line.startswith("double: ") for line in verdict.wrong)


def test_a_counter_that_counts_an_event_again_is_double(ledger: Ledger, stored: StoredUsage) -> None:
    for counters in (stored.days, stored.months):
        counters.append(copy.deepcopy(counters[0]))
    stored.rows += 2
    verdict = judge(ledger, stored)
    assert verdict.double == 1
    assert Counter(line.split(" at ")[0] for line in verdict.wrong) == {
        "counter against records": 1,
        "counter against ledger": 1,
    }


def test_an_event_lost_in_record_and_counter_alike_is_lost(ledger: Ledger, stored: StoredUsage) -> None:
    for documents in (stored.records, stored.days, stored.months):
        del documents[0]
    stored.rows -= 3
    verdict = judge(ledger, stored)
    assert verdict.lost == 1
    assert any(line.startswith("counter against ledger") for line in verdict.wrong)


def test_an_event_that_was_never_sent_is_wrong(ledger: Ledger, stored: StoredUsage) -> None:
    stored.records[0]["id"] = "invented"
    wrong = judge(ledger, stored).wrong
    assert any(line.startswith("counted and never sent") for line in wrong)


@pytest.mark.parametrize("field", ["response_bytes", "request_bytes", "status_code"])
def test_other_content_than_was_sent_is_wrong(ledger: Ledger, stored: StoredUsage, field: str) -> None:
    stored.records[0]["data"] = {**stored.records[0]["data"], field: 499}
    assert any("sent as" in line for line in judge(ledger, stored).wrong)


def test_a_call_counted_with_other_bytes_than_were_received_is_wrong(ledger: Ledger, stored: StoredUsage) -> None:
    stored.records[-1]["data"]["response_bytes"] = 9
    assert any("counted with (0, 9) bytes" in line for line in judge(ledger, stored).wrong)


def test_an_unacknowledged_event_may_be_counted_once(ledger: Ledger, stored: StoredUsage) -> None:
    last = ledger.events[-1]
    consumer, key, service, _ = place_of(last)
    record = {
        "id": last.id,
        "source": last.source,
        "time": last.time,
        "consumerid": consumer,
        "apikeyid": key,
        "serviceid": service,
        "data": last.data,
    }
    stored.records.append(record)
    stored.days.append(_counter(record, last.time[:10], _quarter(record)))
    stored.months.append(_counter(record, last.time[:7], "month"))
    stored.rows += 3
    stored.published += 1
    verdict = judge(ledger, stored)
    assert verdict.wrong == []
    assert verdict.counted_unacknowledged == 1


def test_what_is_left_over_anywhere_is_wrong(ledger: Ledger, stored: StoredUsage) -> None:
    stored.rows += 1
    stored.spooled = 1
    stored.parked = ["parked/x.json"]
    stored.published = 0
    assert len(judge(ledger, stored).wrong) == 4


def test_a_summary_that_says_less_than_the_counters_is_wrong(stored: StoredUsage) -> None:
    assert summaries_wrong(_summaries(stored), stored) == []
    summaries = _summaries(stored)
    summaries[KEYS[0].id]["items"].pop()
    assert len(summaries_wrong(summaries, stored)) >= 2  # the place, and the total


def _summaries(stored: StoredUsage) -> dict[str, Record]:
    """As `/usage/summary` answers, with one line for each counter."""
    summaries: dict[str, Record] = {}
    for day in stored.days:
        ((name, sums),) = day["buckets"].items()
        item = {**sums, "service": day["service_id"], "start": f"{day['period']}T{name[:2]}:00:00.000Z"}
        summaries.setdefault(day["api_key_id"], {"items": []})["items"].append(item)
    for summary in summaries.values():
        items = summary["items"]
        total: Record = {name: sum(item[name] for item in items) for name in ("events", "requests")}
        total |= {name: sum(item[name] for item in items) for name in ("request_bytes", "response_bytes")}
        total["quantity"] = str(sum(Decimal(item["quantity"]) for item in items))
        total["status"] = dict(sum((Counter(item["status"]) for item in items), Counter()))
        summary["total"] = total
    return summaries
