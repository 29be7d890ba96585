"""Slices are a function of the counters: derived any number of times, killed anywhere, late or at once, they say the
same as the counters do."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from shared.metering.counters import Bucket, decode_counter, encode_counter
from shared.metering.rollups import deriving as rollups_module
from shared.metering.rollups import models as slice_models
from shared.metering.rollups import slices as slices_module
from shared.metering.rollups.deriving import OVERLAP, Rollups
from shared.metering.rollups.models import ROLLUPS, SliceHead, rows_document
from shared.metering.rollups.store import SliceStore
from shared.metering.store import USAGE, bodies_of
from shared.metering.views import summing as summing_module
from shared.metering.views.reader import UsageReader
from shared.platform.documents import DocumentsUnavailable, Query, Where
from tests.support.embedded import Embedded, raw, usage_event
from tests.support.metering.questions import END, START, TODAY, ask, requests_of

OLD = "2026-03-10"


def event(id: str, day: str = OLD, requests: int = 1, **changes: object) -> object:
    return usage_event(id, time=f"{day}T10:05:00.000Z", data={"requests": requests}, **changes)


async def count(embedded: Embedded, *events: object) -> None:
    await embedded.aggregator().apply(raw(*events))
    embedded.time.passes(seconds=1)


async def documents(embedded: Embedded) -> dict[tuple[str, str], bytes]:
    found = {}
    for scope in ("c:con_1:0", "c:con_2:0", "s:svc_maps", "s:svc_two", "p"):
        page = await embedded.documents.query(ROLLUPS, Query(scope, limit=1000))
        found |= {(document.partition, document.id): document.body for document in page.items}
    return found


async def of_service(embedded: Embedded, service_id: str = "svc_maps") -> int:
    return requests_of(await UsageReader(embedded.documents, embedded.time).services([service_id], ask()))


async def the_head(embedded: Embedded) -> SliceHead:
    """Of the one day of `svc_maps`."""
    [head] = [each async for each in SliceStore(embedded.documents).heads("s:svc_maps", START.date(), END.date())]
    return head


async def of_platform(embedded: Embedded) -> int:
    return requests_of(await UsageReader(embedded.documents, embedded.time).platform(ask()))


async def test_what_was_counted_is_in_the_slices_of_consumer_service_and_platform(embedded):
    await count(embedded, event("a", requests=2), event("b", TODAY, requests=4))
    await Rollups(embedded.documents, embedded.time).run()
    assert {(scope, name[:12]) for scope, name in await documents(embedded)} == {
        *((scope, f"{kind}:{OLD}") for scope in ("c:con_1:0", "s:svc_maps", "p") for kind in "tqr"),
        *((scope, f"{kind}:{TODAY}") for scope in ("s:svc_maps", "p") for kind in "tqr"),
    }
    assert (await of_service(embedded), await of_platform(embedded)) == (6, 6)


async def test_deriving_again_changes_nothing(embedded):
    await count(embedded, event("a"), event("b", TODAY), event("c", service_id="svc_two"))
    await Rollups(embedded.documents, embedded.time).run()
    once = await documents(embedded)
    await Rollups(embedded.documents, embedded.time).run()  # another process, which remembers nothing
    embedded.time.passes(minutes=1)
    await Rollups(embedded.documents, embedded.time).run()
    assert await documents(embedded) == once


async def test_late_events_of_a_settled_day_show_up_with_the_next_run(embedded):
    rollups = Rollups(embedded.documents, embedded.time)
    await count(embedded, event("a"))
    await rollups.run()
    assert (await SliceStore(embedded.documents).progress()).settled == "2026-03-14"
    await count(embedded, event("late", requests=10))
    assert await of_service(embedded) == 1
    await rollups.run()
    assert (await of_service(embedded), await of_platform(embedded)) == (11, 11)
    consumer = await embedded.access.consumer("con_1")
    assert requests_of(await UsageReader(embedded.documents, embedded.time).consumer(consumer, ask())) == 11


async def test_every_run_sees_what_was_stamped_before_the_last_one_and_written_after(embedded):
    rollups = Rollups(embedded.documents, embedded.time)
    await count(embedded, event("a", TODAY))
    embedded.time.passes(minutes=1)
    await rollups.run()
    document = await embedded.documents.get(USAGE, "con_1:0", f"d:key_1:{TODAY}:svc_maps")
    counter = decode_counter(document.body)
    counter.buckets["10:00"].requests += 5  # a slow write: its stamp is older than the run
    assert counter.changed > slice_models.decode_progress((await progress(embedded)).body).as_of
    await embedded.documents.upsert(USAGE, "con_1:0", document.id, encode_counter(counter))
    embedded.time.passes(minutes=1)
    await rollups.run()
    assert await of_service(embedded) == 6


async def progress(embedded: Embedded):
    return await embedded.documents.get(slice_models.JOBS, *slice_models.PROGRESS)


async def test_what_overlaps_is_derived_once_by_a_process(embedded, monkeypatch):
    rollups = Rollups(embedded.documents, embedded.time)
    derived = []
    real = rollups._derive

    async def noting(day, touched, **kw):
        derived.append(day)
        await real(day, touched, **kw)

    monkeypatch.setattr(rollups, "_derive", noting)
    await count(embedded, event("a", TODAY))
    await rollups.run()
    assert TODAY in derived
    derived.clear()
    embedded.time.passes(seconds=30)
    assert timedelta(seconds=30) < OVERLAP
    await rollups.run()
    assert derived == []
    await count(embedded, event("b", TODAY))
    await rollups.run()
    assert derived == [TODAY]


class Dying:
    """The real store; the nth write to a container and all after it fail."""

    def __init__(self, documents, container: str, writes: int) -> None:
        self._documents, self._container, self.writes = documents, container, writes

    def __getattr__(self, name):
        found = getattr(self._documents, name)
        if name not in {"transact", "create", "upsert", "replace", "delete"}:
            return found

        async def write(container, *arguments, **named):
            if container.name == self._container:
                self.writes -= 1
                if self.writes < 0:
                    raise DocumentsUnavailable("killed")
            return await found(container, *arguments, **named)

        return write


@pytest.mark.parametrize(("container", "writes"), [*(("rollups", n) for n in range(5)), ("jobs", 0), ("jobs", 1)])
async def test_what_was_killed_in_between_is_done_again(embedded, container, writes):
    await count(embedded, event("a"), event("b", TODAY), event("c", service_id="svc_two"))
    with pytest.raises(DocumentsUnavailable):
        await Rollups(Dying(embedded.documents, container, writes), embedded.time).run()
    embedded.time.passes(minutes=1)
    await Rollups(embedded.documents, embedded.time).run()
    assert (await of_service(embedded), await of_service(embedded, "svc_two"), await of_platform(embedded)) == (2, 1, 3)


async def test_counting_while_slices_are_derived_loses_nothing(embedded):
    rollups, aggregator = Rollups(embedded.documents, embedded.time), embedded.aggregator()
    days = [OLD, "2026-03-13", "2026-03-14", TODAY]

    async def counting():
        for number in range(40):
            await aggregator.apply(raw(event(f"e{number}", days[number % 4])))
            embedded.time.passes(seconds=1)

    async def deriving():
        for _ in range(15):
            await rollups.run()

    await asyncio.gather(counting(), deriving())
    embedded.time.passes(seconds=1)
    await rollups.run()
    assert (await of_service(embedded), await of_platform(embedded)) == (40, 40)


async def test_processes_that_derive_at_the_same_time_leave_the_newest(embedded):
    for number in range(5):
        await count(embedded, event(f"e{number}"))
        await asyncio.gather(*(Rollups(embedded.documents, embedded.time).run() for _ in range(4)))
        assert (await of_service(embedded), await of_platform(embedded)) == (number + 1, number + 1)


async def test_a_slice_that_somebody_wrote_meanwhile_is_derived_again(embedded):
    await count(embedded, event("a"))
    rollups, other = Rollups(embedded.documents, embedded.time), Rollups(embedded.documents, embedded.time)
    read = 0

    async def counters():
        nonlocal read
        read += 1
        found = [counter async for counter in rollups._service_counters("svc_maps", OLD)()]
        if read == 1:  # the other one reads and writes more between our read and our write
            await count(embedded, event("b"))
            await other._replace("s:svc_maps", OLD, other._service_counters("svc_maps", OLD))
        for counter in found:
            yield counter

    await rollups._replace("s:svc_maps", OLD, counters)
    assert read == 2
    assert (await the_head(embedded)).sums.requests == 2


async def test_counters_of_before_there_were_slices_are_found(embedded):
    await count(embedded, event("a", requests=2), event("b", TODAY, requests=4), event("c", "2026-03-14", requests=8))
    where = (Where("period", ">", "2026-03-01"),)
    async for body in bodies_of(embedded.documents, USAGE, Query("con_1:0", where)):
        counter = decode_counter(body)
        counter.view = counter.changed = ""
        await embedded.documents.upsert(USAGE, "con_1:0", counter.key.id, encode_counter(counter))
    await Rollups(embedded.documents, embedded.time).run()
    assert (await of_service(embedded), await of_platform(embedded)) == (14, 14)
    embedded.time.passes(minutes=1)
    await Rollups(embedded.documents, embedded.time).run()
    assert await of_service(embedded) == 14
    await count(embedded, event("d", TODAY, requests=16))
    await Rollups(embedded.documents, embedded.time).run()
    assert await of_service(embedded) == 30


async def test_settling_many_days_goes_on_in_the_next_run_and_is_not_complete_before(embedded, monkeypatch):
    days = [f"2026-03-{number:02d}" for number in range(1, 11)]
    await count(embedded, *(event(day, day) for day in days))
    monkeypatch.setattr(rollups_module, "RUN", timedelta(seconds=3))

    def hurried():
        embedded.time.passes(seconds=1)  # each look at the clock takes a second
        return embedded.time()

    rollups = Rollups(embedded.documents, hurried)
    runs = 0
    while runs == 0 or not (await SliceStore(embedded.documents).progress()).complete:
        await rollups.run()
        runs += 1
        assert await of_service(embedded) == 10  # from counters until then
    assert runs > 2
    assert await of_platform(embedded) == 10


async def test_a_slice_of_many_rows_is_several_parts_and_grows_without_being_read_twice(embedded, monkeypatch):
    monkeypatch.setattr(slices_module, "PART_BYTES_MAX", 600)
    rollups = Rollups(embedded.documents, embedded.time)
    for number in range(12):
        await count(embedded, usage_event(f"e{number}", time=f"{OLD}T10:05:00.000Z", data={"feature": f"f{number}"}))
        await rollups.run()
        features = await UsageReader(embedded.documents, embedded.time).services(["svc_maps"], ask(by=("feature",)))
        assert {group.values: group.sums.requests for group in features.groups} == {
            (f"f{n}",): 1 for n in range(number + 1)
        }
    head = await the_head(embedded)
    assert head.parts >= 4
    parts = {name for scope, name in await documents(embedded) if scope == "s:svc_maps" and name.startswith("r:")}
    assert parts == {rows_document(OLD, "svc_maps", head.parts, n) for n in range(head.parts)}  # the others are gone


async def test_rows_in_another_number_of_parts_than_their_slice_has_are_not_read(embedded):
    await count(embedded, event("a"))
    await Rollups(embedded.documents, embedded.time).run()
    row = slice_models.SliceRow(service_id="svc_maps", merchant_id="mer_1", sums=Bucket(requests=99))
    stray = slice_models.SliceRows(name="svc_maps", date=OLD, parts=2, rows=[row])
    await embedded.documents.upsert(
        ROLLUPS, "s:svc_maps", rows_document(OLD, "svc_maps", 2, 0), msgspec.json.encode(stray)
    )
    summed = await UsageReader(embedded.documents, embedded.time).services(["svc_maps"], ask(by=("api_key",)))
    assert requests_of(summed) == 1
    await embedded.documents.delete(ROLLUPS, "s:svc_maps", rows_document(OLD, "svc_maps", 1, 0))
    with pytest.raises(DocumentsUnavailable):
        await UsageReader(embedded.documents, embedded.time).services(["svc_maps"], ask(by=("api_key",)))


async def test_more_than_can_be_summed_at_once_is_refused(embedded, monkeypatch):
    await count(embedded, event("a"), event("b", service_id="svc_two"))
    monkeypatch.setattr(summing_module, "DOCUMENTS_MAX", 1)
    consumer = await embedded.access.consumer("con_1")
    with pytest.raises(Exception, match="range_invalid"):
        await UsageReader(embedded.documents, embedded.time).consumer(consumer, ask())
    monkeypatch.setattr(summing_module, "DOCUMENTS_MAX", 100)
    monkeypatch.setattr(summing_module, "GROUPS_MAX", 1)
    with pytest.raises(Exception, match="range_invalid"):
        await UsageReader(embedded.documents, embedded.time).consumer(consumer, ask(by=("service",)))
