"""`scripts/ams parked` beside a running AMS: look at events that could not be counted, replay them after a fix."""

import base64
import json
import re
import time
from datetime import timedelta
from pathlib import Path

import pytest

from shared.kernel.clock import format_time, utc_now
from shared.metering.counting.parked import Parked
from shared.metering.events import EVENT_TYPE, UsageData, UsageEvent, encode_event
from shared.platform.blobs.files import FileBlobs
from shared.platform.events.log import EventLog
from tests.support.host.installation import METRIC_S, Ams, market

UNREADABLE = b"\x00 is no event"


def _of_key(key_id: str) -> bytes:
    """A sound event on the stream, of a key that may not exist."""
    now = format_time(utc_now())
    return encode_event(
        UsageEvent(
            id="early-1",
            source="e2e",
            type=EVENT_TYPE,
            subject="ocr",
            time=now,
            consumer_id="con_one",
            api_key_id=key_id,
            service_id="svc_ocr",
            merchant_id="mer_one",
            received_at=now,
            data=UsageData(requests=3),
            specversion="1.0",
        )
    )


async def _publish(ams: Ams, *events: bytes) -> None:
    """Onto the stream of the running AMS, behind the back of consume, which would refuse such events."""
    log = EventLog(ams.data / "events.db")
    await log.publish("con_one:0", events)
    await log.close()
    ams.wait_until_counted()


async def _park(ams: Ams, event: bytes) -> None:
    """As the aggregator does when it meets an event that it cannot count."""
    blobs, log = FileBlobs(ams.data / "blobs"), EventLog(ams.data / "events.db")
    await Parked(blobs, log).park(event, "con_one:0", "key_unknown", "no such key then")
    await log.close()


def _names(ams: Ams) -> dict[str, str]:
    """Name → reason, as `parked list` prints them."""
    done = ams.run("parked", "list")
    assert done.returncode == 0, done.stderr
    found = dict(re.findall(r"^ ?((?:parked|replaying)/\S+) +(\S+)", done.stdout, re.MULTILINE))
    assert f"{len(found)} parked" in done.stdout
    return found


def _summary_path() -> str:
    """Of the days around now: a month may end between an event and the question."""
    hour = utc_now().replace(minute=0, second=0, microsecond=0)
    start, end = (format_time(hour + timedelta(days=days)) for days in (-1, 1))
    return f"/api/v1/usage/summary?from={start}&to={end}"


async def test_what_cannot_be_counted_is_listed_and_shown(ams: Ams) -> None:
    event = _of_key("key_absent")
    await _publish(ams, UNREADABLE, event)

    names = {reason: name for name, reason in _names(ams).items()}
    shown = {reason: json.loads(ams.run("parked", "show", name).stdout) for reason, name in names.items()}

    assert sorted(names) == ["key_unknown", "unreadable"]
    assert base64.b64decode(shown["unreadable"]["event_base64"]) == UNREADABLE
    assert shown["unreadable"]["event"] is None
    assert shown["key_unknown"]["event"] == json.loads(event)
    assert shown["key_unknown"]["partition_key"] == "con_one:0"
    assert "key_absent" in shown["key_unknown"]["detail"]


async def test_a_replayed_event_is_counted_once_when_what_was_wrong_is_mended(ams: Ams) -> None:
    await _publish(ams, _of_key("key_late"))
    (name,) = _names(ams)
    key = ams.seed(market("key_late"))["key_late"]

    deadline = time.monotonic() + METRIC_S  # what the host knows of keys may be a second old
    while _names(ams):
        assert time.monotonic() < deadline, "still parked"
        assert ams.run("parked", "replay", name).returncode == 0
        ams.wait_until_counted()

    status, summary = ams.call("GET", _summary_path(), key)
    assert (status, summary["total"]["requests"], summary["total"]["events"]) == (200, 3, 1)
    again = ams.run("parked", "replay", name)
    assert again.returncode == 1
    assert name in again.stderr


async def test_an_event_that_was_counted_is_not_counted_again_by_a_replay(ams: Ams) -> None:
    key = ams.seed(market("key_late"))["key_late"]
    event = _of_key("key_late")
    await _publish(ams, event)
    await _park(ams, event)

    assert ams.run("parked", "replay", "--all").stdout == "1 replayed\n"
    ams.wait_until_counted()

    assert _names(ams) == {}
    status, summary = ams.call("GET", _summary_path(), key)
    assert status == 200, summary
    assert summary["total"]["requests"] == 3


async def test_what_is_still_bad_is_parked_again_under_its_name(ams: Ams) -> None:
    await _publish(ams, UNREADABLE, _of_key("key_absent"))
    before = _names(ams)

    done = ams.run("parked", "replay", "--all")
    ams.wait_until_counted()

    assert done.stdout == "2 replayed\n"
    assert _names(ams) == before


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["replay"], 2, "names or --all"),
        (["replay", "--all", "parked/x.json"], 2, "names or --all"),
        (["replay", "parked/x.json", "../etc"], 1, "nothing is parked as ../etc"),
        (["show", "parked/x.json"], 1, "nothing is parked as parked/x.json"),
    ],
)
def test_mistakes_are_explained(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    done = Ams(tmp_path / "ams").run("parked", *arguments)

    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
