"""A real host with its stores at hand: what the tests of the functions share.

`Operator` changes what consume checks from a process of its own (the test's), as an operator would; `Host` adds to the
installation of the end-to-end tests what only tests of single functions need.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote
from zlib import crc32

from shared.access.keys.format import PREFIX_CHARACTERS, KeyHasher, new_key
from shared.access.models import ApiKey, Consumer, Grant, KeyOwner
from shared.access.store import AccessStore
from shared.catalog.models import CallLimits, Merchant, Service, UpstreamConfig
from shared.catalog.store import CatalogStore
from shared.kernel.documents import StoredModel
from shared.platform.documents.sqlite import SqliteDocuments
from tests.support import market
from tests.support.host.client import Answer, Client
from tests.support.host.installation import Ams, children_of
from tests.support.market import MarketBuilder

NO_LIMITS = CallLimits()
PEPPER = "a pepper for tests"
VISIBLE_S = 3.0
"""The promise: an acknowledged event is in the summary after this long. Waiting is allowed more, for a busy machine."""

WAIT_S = 60.0
_POLL_S = 0.02
T = TypeVar("T")
Model = TypeVar("Model", bound=StoredModel)


@dataclass
class Customer:
    """A consumer with one key. `clear` is the key as its holder knows it; `marker` another key, for a service that only
    `settled` uses."""

    consumer: Consumer
    key: ApiKey
    clear: str
    grants: dict[str, Grant]
    marker: str


class Operator:
    """Merchants, services, consumers, grants and keys, made and changed behind the host's back."""

    def __init__(self, data: Path) -> None:
        self._runner = asyncio.Runner()
        documents = SqliteDocuments(data / "documents.db")
        self.access = AccessStore(documents)
        self._documents = documents
        self._hasher = KeyHasher({1: PEPPER}, 1)
        self._builder = MarketBuilder(self.access, CatalogStore(documents), self._load_hasher)
        self._numbers = count(1)
        self._marked = self.service()

    async def _load_hasher(self) -> KeyHasher:
        return self._hasher

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._documents.close())
        self._runner.close()

    def merchant(self, **fields: Any) -> Merchant:
        number = next(self._numbers)
        return self.put(market.merchant(id=f"mer_{number}", slug=f"mer-{number}", **fields))

    def service(
        self,
        url: str | None = None,
        *,
        merchant: Merchant | None = None,
        limits: CallLimits = NO_LIMITS,
        **upstream: Any,
    ) -> Service:
        """With an upstream at `url`, or without one: then it only takes usage reports."""
        number = next(self._numbers)
        return self.put(
            market.service(
                f"svc-{number}",
                id=f"svc_{number}",
                merchant_id=(merchant or self.merchant()).id,
                upstream=UpstreamConfig(base_url=url, **upstream) if url else None,
                limits=limits,
            )
        )

    def customer(self, *services: Service, shards: int = 1, **key: Any) -> Customer:
        """A consumer with an approved grant for each service, and a key for all of them."""
        consumer = self.put(market.consumer(id=f"con_{next(self._numbers)}", shards=shards))
        grants = {
            service.id: self.put(market.grant(consumer_id=consumer.id, service_id=service.id))
            for service in (*services, self._marked)
        }
        _, marker = self.key(consumer, self._marked)
        return Customer(consumer, *self.key(consumer, *services, **key), grants, marker)

    def key(self, consumer: Consumer, *services: Service, **fields: Any) -> tuple[ApiKey, str]:
        """One more key of a consumer, and its clear text."""
        made = {"id": f"key_{next(self._numbers)}", "consumer_id": consumer.id}
        service_ids = tuple(service.id for service in services)
        return self._runner.run(self._builder.key(new_key("test"), **{**made, "service_ids": service_ids, **fields}))

    def rotate(self, key: ApiKey) -> str:
        """The clear text of a key's new secret, stored as by a rotation without an overlap."""
        clear = new_key("test")
        owner = KeyOwner(consumer_id=key.consumer_id, key_id=key.id)
        self._runner.run(self.access.add_hash(self._hasher.hash(clear), owner))
        self.put(key, hash=self._hasher.hash(clear), prefix=clear[:PREFIX_CHARACTERS], last4=clear[-4:])
        return clear

    def put(self, model: Model, **changes: Any) -> Model:
        """Store a model, changed."""
        return self._runner.run(self._builder.put(model, **changes))


class Host(Ams):
    """One running host, its operator and a client."""

    def __init__(self, data: Path, workers: int = 1, **settings: str) -> None:
        defaults = {"AMS_SECRET_KEY_PEPPER_V1": PEPPER, "AMS_UPSTREAM_ALLOW_PRIVATE": "true"}
        super().__init__(data, workers, **{**defaults, **settings})
        self.client = Client(self.port)

    def summary(self, customer: Customer, group_by: str = "", clear: str | None = None) -> dict[str, Any]:
        """Everything that a key may still have reported, however long ago."""
        now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        start, end = quote((now - timedelta(days=37)).isoformat()), quote((now + timedelta(hours=2)).isoformat())
        target = f"/api/v1/usage/summary?from={start}&to={end}&group_by={group_by}"
        answer = self.client.call("GET", target, clear or customer.clear)
        assert answer.status == 200, answer
        summary: dict[str, Any] = answer.json()
        return summary

    def total(self, customer: Customer) -> dict[str, Any]:
        total: dict[str, Any] = self.summary(customer)["total"]
        return total

    def counted(self, customer: Customer, events: int) -> dict[str, Any]:
        """Wait until at least `events` are counted; then the totals, which must be of exactly that many."""
        total = eventually(lambda: self.total(customer), lambda total: total["events"] >= events)
        assert total["events"] == events, total
        return total

    def settled(self, customer: Customer) -> dict[str, Any]:
        """The totals of the customer's key when everything that was taken in before is counted.

        A shard's batches are counted one after another, but a batch in several transactions, not in the order of its
        events: the first marker may be seen before others of its batch. The second one, sent after that, is in a later
        batch, so what came before the first marker is counted when the second is.
        """
        eventually(lambda: self.metric("ams_spool_events"), lambda waiting: waiting == 0)
        self._count_marker(customer)
        self._count_marker(customer)
        return self.total(customer)

    def _count_marker(self, customer: Customer) -> None:
        """Report an event to each shard of the customer by its marker key, and wait until they are counted."""
        before = self.summary(customer, clear=customer.marker)["total"]["events"]
        (marked,) = set(customer.grants) - set(customer.key.service_ids)
        sound = {"specversion": "1.0", "type": "ams.usage.v1", "source": "marker", "subject": marked}
        for name in _one_id_per_shard(customer.consumer.shards):
            answer = self.client.report(customer.marker, {**sound, "id": name})
            assert answer.status == 202, answer
        eventually(
            lambda: self.summary(customer, clear=customer.marker)["total"]["events"],
            lambda events: events == before + customer.consumer.shards,
        )

    def metric(self, name: str, **labels: str) -> float:
        """The sum over all series of a metric that carry these labels."""
        answer = self.client.call("GET", "/api/metrics")
        assert answer.status == 200, answer
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        total = 0.0
        for line in answer.body.decode().splitlines():
            series, _, value = line.rpartition(" ")
            if series.partition("{")[0] == name and all(label in series for label in wanted):
                total += float(value)
        return total

    def records(self, customer: Customer, count: int) -> list[dict[str, Any]]:
        """Wait for the customer's raw events of the last days, and return them: exactly `count`."""
        found = eventually(lambda: list(self._records(customer)), lambda found: len(found) >= count)
        assert len(found) == count, found
        return found

    def record(self, customer: Customer) -> dict[str, Any]:
        """The customer's only event."""
        return self.records(customer, 1)[0]

    def _records(self, customer: Customer) -> Iterator[dict[str, Any]]:
        today = datetime.now(UTC).date()
        for day in (today - timedelta(days=1), today):
            answer = self.client.call("GET", f"/api/v1/usage/events?date={day}&limit=1000", customer.clear)
            assert answer.status == 200, answer
            yield from answer.json()["items"]

    def forward(self, customer: Customer, service: Service, path: str, method: str = "GET", **rest: Any) -> Answer:
        return self.client.call(method, f"/api/consume/{service.slug}/{path}", customer.clear, **rest)

    def workers_now(self) -> list[int]:
        """Process ids of the HTTP workers."""
        return [
            pid for pid in children_of(self.pid) if b"scripts.host.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]


def _one_id_per_shard(shards: int) -> list[str]:
    found: dict[int, str] = {}
    numbers = count(time.monotonic_ns())
    while len(found) < shards:
        name = str(next(numbers))
        found.setdefault(crc32(name.encode()) % shards, name)
    return list(found.values())


@contextmanager
def hosting(data: Path, workers: int = 1, **settings: str) -> Iterator[Host]:
    """A host that runs as long as the block."""
    host = Host(data, workers, **settings)
    try:
        host.start()
        yield host
    finally:
        host.close()


def eventually(look: Callable[[], T], good: Callable[[T], bool], wait_s: float = WAIT_S) -> T:
    """What `look` returns as soon as it is good; else its last word, for the test to fail on."""
    deadline = time.monotonic() + wait_s
    while not good(found := look()) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    assert good(found), found
    return found


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
