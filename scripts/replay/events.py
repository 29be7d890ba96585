"""From a log's lines to batches of usage reports.

The log is read twice: once to know it (its hash, its clients, its newest time), once to send it. So memory holds the
clients and one unfinished batch for each key, however long the log is.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from scripts.replay.keys import SERVICE_SLUG, Replay
from scripts.replay.log_format import LineMalformed, LogLine, LogUnreadable, decode_line, numbered_lines, parse_line
from shared.kernel.clock import format_time
from shared.metering.consume.parsing import EVENTS_PER_BATCH_MAX, REPORT_BYTES_MAX
from shared.metering.consume.recorder import PATH_CHARACTERS_MAX
from shared.metering.events import EVENT_TYPE

MALFORMED_SHOWN_MAX = 5


@dataclass(slots=True)
class Survey:
    """What the first reading found: `log` is the SHA-256 of the unpacked log, `addresses` numbers the clients by first
    appearance."""

    log: str = ""
    lines: int = 0
    events: int = 0
    newest: datetime | None = None
    addresses: dict[str, int] = field(default_factory=dict)
    malformed: int = 0
    first_malformed: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Batch:
    """Usage events of one consumer, encoded, to be reported in one request. `slot` is the number of the consumer."""

    slot: int
    events: list[bytes]


def survey_log(path: Path) -> Survey:
    """Read a log for the first time. Raises LogUnreadable."""
    survey, digest = Survey(), sha256()
    for number, raw in numbered_lines(path):
        digest.update(raw)
        survey.lines = number
        if not raw.strip():
            continue
        try:
            line = parse_line(decode_line(raw))
        except LineMalformed as error:
            survey.malformed += 1
            if len(survey.first_malformed) < MALFORMED_SHOWN_MAX:
                survey.first_malformed.append((number, str(error)))
            continue
        survey.events += 1
        survey.addresses.setdefault(line.address, len(survey.addresses))
        if survey.newest is None or line.time > survey.newest:
            survey.newest = line.time
    survey.log = digest.hexdigest()
    return survey


def encode_event(number: int, line: LogLine, source: str, time: datetime) -> bytes:
    """Write the usage report of one line, as CloudEvents JSON."""
    data: dict[str, Any] = {"status_code": line.status, "response_bytes": line.response_bytes}
    if line.method is not None and line.path is not None:
        data["metadata"] = {"method": line.method, "path": line.path[:PATH_CHARACTERS_MAX]}
    event = {
        "specversion": "1.0",
        "type": EVENT_TYPE,
        "id": f"line-{number}",
        "source": source,
        "subject": SERVICE_SLUG,
        "time": format_time(time),
        "data": data,
    }
    return msgspec.json.encode(event)


def batches(path: Path, survey: Survey, replay: Replay, shift: timedelta) -> Iterator[Batch]:
    """Gather the log's events by key into batches that AMS takes. Raises LogUnreadable."""
    gathering: dict[int, list[bytes]] = {}
    sizes: Counter[int] = Counter()
    for number, raw in islice(numbered_lines(path), survey.lines):
        try:
            line = parse_line(decode_line(raw))
        except LineMalformed:
            continue  # counted by the survey
        if line.address not in survey.addresses:
            raise LogUnreadable("it changed while it was read: replay a copy")
        slot = replay.slot(survey.addresses[line.address])
        event = encode_event(number, line, replay.source, line.time + shift)
        events = gathering.setdefault(slot, [])
        size = len(event) + 1  # and a comma or bracket
        if len(events) == EVENTS_PER_BATCH_MAX or sizes[slot] + size >= REPORT_BYTES_MAX:
            yield Batch(slot, events)
            events = gathering[slot] = []
            sizes[slot] = 0
        events.append(event)
        sizes[slot] += size
    for slot, events in gathering.items():
        yield Batch(slot, events)
