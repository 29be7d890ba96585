"""How long is something still allowed after it was taken away? Measured over HTTP on a host with two workers.

Five things are taken away in each lane and round, by whoever decides on them. Meanwhile connections to each worker keep
asking for them. All decisions go through one worker, since it forgets what it remembered at each; so the other one's
cache is as warm as it gets. What is measured is the time from the answer to the decision until the last request began
that still got through; 0 when none did. Then everything is given back.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from tests.support.host.client import Answer, Connection
from tests.support.host.workers import client_of_one, connect_to_each
from tests.support.journeys.people import ACCEPTED, ADMIN, CREATED, EMPTY, PROMISE_S, WAIT_S, Market, Person, until
from tests.support.journeys.steps import make_key, offer, open_shop

WATCH_S = PROMISE_S + 0.5
PAUSE_S = 0.02
PEOPLE = ("cora", "dora", "moe")
SERVICES = ("used", "granted", "active")


@dataclass(frozen=True)
class Probe:
    """A request that is allowed with 200, until it is refused with this status and code."""

    target: str
    header: tuple[str, str]
    status: int
    code: str

    def send(self, connection: Connection) -> Answer:
        return connection.call("GET", self.target, headers=[self.header])


@dataclass(frozen=True)
class Subject:
    """What is taken away and given back, and the requests that show it."""

    what: str
    take: Callable[[], object]
    give: Callable[[], object]
    probes: Sequence[Probe]


class Watch:
    """Asks on its connections, one to each worker, again and again, until a round has begun after its end."""

    def __init__(self, probe: Probe, connections: Sequence[Connection]) -> None:
        self._probe = probe
        self._connections = connections
        self._warm = threading.Event()
        self.end = float("inf")
        self.admitted_last = 0.0

    def run(self) -> None:
        """Raises AssertionError for an answer that is neither 200 nor the refusal, and when nothing was refused."""
        is_last = False
        while not is_last:
            is_last = time.monotonic() >= self.end
            refused = [self._is_refused(connection) for connection in self._connections]
            self._warm.set()
            time.sleep(PAUSE_S)
        assert all(refused), f"{self._probe} is still allowed"

    def wait_until_warm(self) -> None:
        assert self._warm.wait(WAIT_S), f"{self._probe} is not answered"

    def _is_refused(self, connection: Connection) -> bool:
        began = time.monotonic()
        answer = self._probe.send(connection)
        if answer.status == 200:
            self.admitted_last = began
            return False
        answer.problem(self._probe.status, self._probe.code)
        return True


class Bench:
    """Lanes of subjects on a running market. `base_url` is a merchant's API. To be closed."""

    def __init__(self, market: Market, base_url: str, lanes: int) -> None:
        self._ams = market.ams
        self._http = client_of_one(market.ams)
        admin = market.sign_in(ADMIN)
        shop = open_shop(market, admin, "meteo")
        services = [
            [
                offer(shop, admin, f"{name}-{lane}", base_url, auto_approve=True)
                for name in ("used", "granted", "active")
            ]
            for lane in range(lanes)
        ]
        people = [[market.sign_in(f"{name}{lane}@example.com") for name in PEOPLE] for lane in range(lanes)]
        self._subjects = [
            subject
            for who, what in zip(people, services, strict=True)
            for subject in _Lane([one.through(self._http) for one in (admin, *who)], what).subjects()
        ]

    def close(self) -> None:
        self._http.close()

    def round(self) -> list[tuple[str, float]]:
        """What was taken away, and for how many seconds it was still allowed."""
        probes = [probe for subject in self._subjects for probe in subject.probes]
        with ExitStack() as stack, ThreadPoolExecutor(len(self._subjects)) as pool:
            of_workers = connect_to_each(self._ams, stack, len(probes))
            connections = dict(zip(probes, zip(*of_workers, strict=True), strict=True))
            measured = list(pool.map(lambda subject: _measure(subject, connections), self._subjects))
            list(pool.map(lambda subject: _give_back(subject, connections), self._subjects))
        return measured


Connections = Mapping[Probe, Sequence[Connection]]


def _measure(subject: Subject, connections: Connections) -> tuple[str, float]:
    with ThreadPoolExecutor(len(subject.probes)) as pool:
        watches = [Watch(probe, connections[probe]) for probe in subject.probes]
        watching = [pool.submit(watch.run) for watch in watches]
        for watch in watches:
            watch.wait_until_warm()
        try:
            subject.take()
        finally:
            taken = time.monotonic()
            for watch in watches:
                watch.end = taken + WATCH_S
        for each in watching:
            each.result()
        return subject.what, max(0.0, *(watch.admitted_last - taken for watch in watches))


def _give_back(subject: Subject, connections: Connections) -> None:
    subject.give()

    def is_allowed() -> bool:
        return all(probe.send(each).status == 200 for probe in subject.probes for each in connections[probe])

    until(is_allowed, f"{subject.what}, to be taken back")


class _Lane:
    """People and services of its own, so that lanes do not disturb each other."""

    def __init__(self, people: Sequence[Person], services: Sequence[dict[str, Any]]) -> None:
        self._admin, self._cora, self._dora, self._moe = people
        self._used, self._granted, self._active = services

    def subjects(self) -> list[Subject]:
        return [self._key(), self._grant(), self._service(), self._consumer(), self._member()]

    def _key(self) -> Subject:
        key = self._keyed(self._cora, self._used)
        path = f"{self._cora.tenant}/keys/{key['id']}"
        return Subject(
            "key disabled",
            lambda: self._cora.post(f"{path}/disable"),
            lambda: self._cora.post(f"{path}/enable"),
            [_call(self._used, key, "key_disabled")],
        )

    def _grant(self) -> Subject:
        key = self._keyed(self._cora, self._granted)
        path = f"{self._cora.tenant}/grants/{self._granted['id']}"
        return Subject(
            "grant withdrawn",
            lambda: self._cora.change(path, "DELETE"),
            lambda: _request(self._cora, self._granted),
            [_call(self._granted, key, "service_not_granted")],
        )

    def _service(self) -> Subject:
        key = self._keyed(self._cora, self._active)
        path, why = f"/admin/services/{self._active['id']}", {"reason": "measuring"}
        return Subject(
            "service suspended",
            lambda: self._admin.post(f"{path}/disable", why),
            lambda: self._admin.post(f"{path}/restore", why),
            [_call(self._active, key, "service_suspended")],
        )

    def _consumer(self) -> Subject:
        key = self._keyed(self._dora, self._used)
        path, why = f"/admin{self._dora.tenant}", {"reason": "measuring"}
        return Subject(
            "consumer suspended",
            lambda: self._admin.post(f"{path}/suspend", why),
            lambda: self._admin.post(f"{path}/restore", why),
            [_call(self._used, key, "consumer_suspended")],
        )

    def _member(self) -> Subject:
        """The key that the member made, and what they see of the project."""
        project = self._cora.post(f"{self._cora.tenant}/projects", {"name": "measured"}, CREATED)
        path = f"{self._cora.tenant}/projects/{project['id']}"
        invite = {"email": self._moe.email, "role": "manager"}
        self._cora.post(f"{path}/invites", invite, ACCEPTED)
        key = make_key(self._moe, self._used["id"], home=path)

        def give_back() -> None:
            self._cora.post(f"{path}/invites", invite, ACCEPTED)
            self._cora.post(f"{self._cora.tenant}/keys/{key['id']}/enable")

        seen = Probe(f"/api/v1{path}", ("Authorization", f"Bearer {self._moe.token}"), 404, "not_found")
        return Subject(
            "member removed",
            lambda: self._cora.change(f"{path}/members/{self._moe.account['id']}", "DELETE", EMPTY),
            give_back,
            [_call(self._used, key, "key_disabled"), seen],
        )

    def _keyed(self, person: Person, service: dict[str, Any]) -> dict[str, Any]:
        if not any(g["service_id"] == service["id"] for g in person.get(f"{person.tenant}/grants")["items"]):
            _request(person, service)
        return make_key(person, service["id"])


def _request(person: Person, service: dict[str, Any]) -> None:
    """Services of a lane approve at once."""
    granted = person.post(f"{person.tenant}/access-requests", {"service": service["id"]}, CREATED)
    assert granted["status"] == "approved"


def _call(service: dict[str, Any], key: dict[str, Any], code: str) -> Probe:
    return Probe(f"/api/consume/{service['slug']}/", ("X-AMS-Key", key["key"]), 403, code)
