"""The records of an invoice: in order, in one canonical form, with one hash; and back from it."""

import csv
import io
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.billing.usage import records as records_module
from shared.billing.usage.records import COLUMNS, RecordsError, export_csv, parse_csv
from shared.kernel.clock import format_time
from shared.metering.events import UsageEvent
from tests.support.billing.quantities import MARCH, from_records, hash_of, shown
from tests.support.embedded import usage_event
from tests.support.paths import ROOT

HEADER = ",".join(COLUMNS)


async def csv_of(events: Sequence[UsageEvent]) -> bytes:
    async def given() -> Any:
        for event in events:
            yield event

    return b"".join([piece async for piece in export_csv(given())])


def parse(text: str | bytes) -> list[UsageEvent]:
    """As from a file that was opened with `newline=""`."""
    text = text.decode() if isinstance(text, bytes) else text
    return list(parse_csv(io.StringIO(text, newline="")))


def full_event(**data: Any) -> UsageEvent:
    fields: dict[str, Any] = {
        "requests": 2,
        "request_bytes": 10,
        "response_bytes": 20,
        "response_time_ms": 3.25,
        "status_code": 200,
        "executions": 1,
        "duration_ms": 40,
        "image": "repo/app:1",
        "version": "1.2",
        "feature": "tiles",
        "resource": "/a",
        "quantity": "1.50",
        "metadata": msgspec.Raw(b'{"user":"ann"}'),
    }
    return usage_event("e-1", project_id="prj_1", data=fields | data)


# The form


async def test_the_form_is_what_the_documentation_says() -> None:
    plain = usage_event("e-2", time="2026-03-15T10:07:31.000Z", data={"requests": 0})
    assert (await csv_of([full_event(), plain])).decode() == (
        "id,source,time,service_id,api_key_id,project_id,status_code,requests,request_bytes,response_bytes,"
        "response_time_ms,executions,duration_ms,image,version,feature,resource,quantity,metadata\n"
        "e-1,tests,2026-03-15T10:07:30.000Z,svc_maps,key_1,prj_1,200,2,10,20,3.25,1,40,repo/app:1,1.2,tiles,/a,1.50,"
        '"{""user"":""ann""}"\n'
        "e-2,tests,2026-03-15T10:07:31.000Z,svc_maps,key_1,,,0,0,0,,0,0,,,,,,\n"
    )


def test_every_column_is_documented() -> None:
    documented = (ROOT / "docs/billing-records.md").read_text()
    assert [name for name in COLUMNS if f"`{name}`" not in documented] == []


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1", "-1", "@x", "'quoted", "a,b", 'a"b', " a ", "é日本🎉", "\u2028", "null"]
)
async def test_cells_are_what_was_recorded(cell: str) -> None:
    event = full_event(feature=cell, metadata=msgspec.Raw(msgspec.json.encode({cell: [cell]})))
    assert [shown(each) for each in parse(await csv_of([event]))] == [shown(event)]


@pytest.mark.parametrize("white", ["\n", "\r\n", "\r", "\t", " "])
async def test_metadata_with_line_ends_stays_one_row_in_any_reader(white: str) -> None:
    """JSON allows them between tokens; some readers of CSV end a row at a lone CR, even in the middle of a cell."""
    metadata = f'{{{white}"a":{white}"line\\nend"{white}}}'.encode()
    written = await csv_of([full_event(metadata=msgspec.Raw(metadata)), full_event()])
    assert written.count(b"\n") == len(written.decode().splitlines()) == 3
    back = parse(written)
    assert msgspec.json.decode(back[0].data.metadata) == {"a": "line\nend"}
    assert shown(back[1]) == shown(full_event())
    assert await csv_of(back) == written


async def test_no_records_are_a_header() -> None:
    assert await csv_of([]) == f"{HEADER}\n".encode()
    assert parse(f"{HEADER}\n") == []
    assert hash_of([]) == (sha256(f"{HEADER}\n".encode()).hexdigest(), 0)


async def test_the_hash_is_that_of_the_file_however_long() -> None:
    events = [full_event(resource=f"/{n:0500d}") for n in range(400)]
    written = await csv_of(events)
    assert len(written) > 3 * records_module.CHUNK_BYTES
    assert hash_of(events) == (sha256(written).hexdigest(), 400)


async def test_an_export_comes_in_pieces() -> None:
    async def many() -> Any:
        for number in range(2_000):
            yield full_event(resource=f"/{number:0100d}")

    sizes = [len(piece) async for piece in export_csv(many())]
    assert len(sizes) > 3
    assert max(sizes) < 2 * records_module.CHUNK_BYTES


TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
EVENTS = st.builds(
    lambda name, source, second, project, fields, metadata: usage_event(
        name,
        source=source,
        time=format_time(MARCH.start + timedelta(seconds=second)),
        project_id=project,
        data=fields | ({"metadata": msgspec.Raw(msgspec.json.encode(metadata))} if metadata else {}),
    ),
    TEXTS,
    TEXTS,
    st.integers(0, 2_000_000),
    st.none() | TEXTS,
    st.fixed_dictionaries(
        {"requests": st.integers(0, 10**6), "response_bytes": st.integers(0, 10**12)},
        optional={
            "status_code": st.integers(100, 599),
            "response_time_ms": st.floats(0, 10**6),
            "feature": TEXTS,
            "image": TEXTS,
            "version": TEXTS,
            "resource": TEXTS,
            "duration_ms": st.integers(0, 10**10),
            "quantity": st.from_regex(r"[0-9]{1,15}(\.[0-9]{1,9})?", fullmatch=True, alphabet="0123456789."),
        },
    ),
    st.dictionaries(TEXTS, JSON, max_size=3),
)


@given(st.lists(EVENTS, max_size=10))
async def test_what_is_written_reads_back_as_it_was(events: list[UsageEvent]) -> None:
    written = await csv_of(events)
    back = parse(written)
    assert [shown(event) for event in back] == [shown(event) for event in events]
    assert await csv_of(back) == written
    assert from_records(back).fingerprint() == from_records(events).fingerprint()
    rows = list(csv.DictReader(io.StringIO(written.decode(), newline="")))  # nothing but the standard library
    assert sum(Decimal(row["quantity"] or 0) for row in rows) == sum(Decimal(e.data.quantity or 0) for e in events)
    assert sum(int(row["requests"]) for row in rows) == sum(event.data.requests for event in events)


# What is no export

ROW = {
    **dict.fromkeys(COLUMNS, ""),
    "id": "e",
    "source": "s",
    "time": "2026-03-10T10:00:00.000Z",
    "requests": "1",
    "request_bytes": "0",
    "response_bytes": "0",
    "executions": "0",
    "duration_ms": "0",
}


def text_with(**cells: str) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows([ROW, ROW | cells])
    return text.getvalue()


def test_a_row_that_is_well_is_read() -> None:
    assert len(parse(text_with())) == 2


@pytest.mark.parametrize(
    ("cells", "rule"),
    [
        ({"requests": ""}, "int"),
        ({"requests": "1.5"}, "int"),
        ({"requests": "1_000"}, "int"),
        ({"requests": "-1"}, ">= 0"),
        ({"request_bytes": "9" * 40}, ""),
        ({"status_code": "600"}, "<= 599"),
        ({"response_time_ms": "NaN"}, ""),
        ({"response_time_ms": "soon"}, "float"),
        ({"quantity": "1e5"}, "regex"),
        ({"quantity": "NaN"}, "regex"),
        ({"quantity": "-1"}, "regex"),
        ({"feature": "x" * 129}, "<= 128"),
        ({"metadata": "{"}, ""),
        ({"metadata": "[1]"}, "object"),
        ({"metadata": '{"a":' * 2_000}, ""),
        ({"time": ""}, ""),
        ({"time": "2026-03-10"}, ""),
        ({"time": "2026-03-10T10:00:00Z"}, "UTC with milliseconds"),
        ({"time": "2026-03-10T10:00:00.000+01:00"}, "UTC with milliseconds"),
        ({"time": "2026-02-30T10:00:00.000Z"}, ""),
        ({"time": "0001-01-01T00:00:00.000+14:00"}, ""),
        ({"id": "x" * 200_000}, "field larger"),
    ],
)
def test_a_cell_that_no_record_has_is_refused_by_its_line(cells: dict[str, str], rule: str) -> None:
    with pytest.raises(RecordsError, match=rf"(?s)^line 3: .*{rule}"):
        parse(text_with(**cells))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("id,source\n", 1),
        (f"\ufeff{HEADER}\n", 1),
        (f"{HEADER}\ne,s\n", 2),
        (f'{HEADER}\n"e"x,\n', 2),
        (f'{HEADER}\n"e', 2),
    ],
)
def test_a_file_that_is_no_export_is_refused_by_line(text: str, line: int) -> None:
    with pytest.raises(RecordsError, match=f"^line {line}: "):
        parse(text)
