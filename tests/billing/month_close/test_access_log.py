"""A web server's log, billed by AMS, costs what awk says: docs/billing-records.md has the commands, which run here."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from scripts.replay.events import encode_event
from scripts.replay.keys import CONSUMERS_DEFAULT, PRICES
from scripts.replay.log_format import decode_line, numbered_lines, parse_line
from shared.billing.invoices.models import Invoice
from shared.metering.events import UsageEvent
from tests.support.billing.books import Books, open_books
from tests.support.embedded import IN_MEMORY, raw, usage_event
from tests.support.paths import ROOT

LOG = ROOT.parent / "shared" / "data" / "access.log.gz"
SHIFT = datetime(2026, 3, 20, tzinfo=UTC) - datetime(2015, 5, 20, tzinfo=UTC)
"""From the log's days into the month that the test's merchant bills."""

pytestmark = pytest.mark.skipif(
    not LOG.exists() or shutil.which("awk") is None, reason="needs awk, and the access log beside the project"
)


def commands() -> list[str]:
    return re.findall(r"```sh\n(gzip -dc access\.log\.gz .*?)```", (ROOT / "docs/billing-records.md").read_text(), re.S)


def run(command: str) -> str:
    """What it prints, where the log is."""
    done = subprocess.run(["sh", "-c", command], cwd=LOG.parent, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def replayed() -> Iterator[UsageEvent]:
    """What the replay reports, as AMS takes it: each of the first addresses is a consumer, all others are one more."""
    addresses: dict[str, int] = {}
    for number, line_bytes in numbered_lines(LOG):
        line = parse_line(decode_line(line_bytes))
        slot = min(addresses.setdefault(line.address, len(addresses)), CONSUMERS_DEFAULT)
        reported = msgspec.json.decode(encode_event(number, line, "replay", line.time + SHIFT))
        metadata = msgspec.Raw(msgspec.json.encode(reported["data"].pop("metadata", {})))
        yield usage_event(
            reported["id"],
            source=reported["source"],
            time=reported["time"],
            received_at=reported["time"],
            consumer_id=f"con_{slot}",
            api_key_id=f"key_{slot}",
            data={**reported["data"], "metadata": metadata},
        )


@pytest.fixture
async def books() -> AsyncIterator[Books]:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        opened = await open_books(Path(folder), *(charge.model_dump(mode="json") for charge in PRICES.charges))
        yield opened
        await opened.embedded.close()


async def bill_the_log(books: Books) -> list[Invoice]:
    events = list(replayed())
    for consumer_id in {event.consumer_id for event in events}:
        await books.subscribe(consumer_id)
        if consumer_id != "con_1":
            await books.embedded.put_key(id=consumer_id.replace("con_", "key_"), consumer_id=consumer_id)
    outcome = await books.embedded.aggregator().apply(raw(*events))
    assert (outcome.counted, outcome.parked) == (len(events), 0)
    assert await books.closer.run() == 1
    return await books.invoices()


async def test_the_logs_invoices_are_what_awk_says(books: Books) -> None:
    quantities, total = commands()
    invoices = await bill_the_log(books)
    assert len(invoices) == CONSUMERS_DEFAULT + 1

    by_charge = {"requests": Decimal(0), "data": Decimal(0)}
    for line in (line for invoice in invoices for line in invoice.lines):
        by_charge[line.charge_id] += line.quantity
    assert run(quantities) == f"{by_charge['requests']:f} requests, {by_charge['data']:.6f} MB"
    assert run(total) == f"{len(invoices)} invoices, {sum(invoice.total for invoice in invoices)} EUR in total"


def test_the_log_has_what_is_not_charged_for() -> None:
    """Else the commands could leave out the condition."""
    assert {200, 403, 404, 500} <= {event.data.status_code for event in replayed()}
