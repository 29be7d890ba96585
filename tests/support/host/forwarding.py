"""What tests of forwarded calls share."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any, Self

from shared.catalog.models import Service
from tests.emulators.upstream import Behaviour, Request, UpstreamPeer
from tests.support.host.client import Answer, Header
from tests.support.host.hosting import Customer, Host, Operator

_numbers = count(1)


@dataclass
class Route:
    """A service whose calls go to the upstream peer at `/base`, and a customer who may call it."""

    host: Host
    operator: Operator
    upstream: UpstreamPeer
    service: Service
    customer: Customer

    @classmethod
    def make(cls, host: Host, operator: Operator, upstream: UpstreamPeer, **service: Any) -> Self:
        """With a merchant, a service and a customer of its own. `service` is what `Operator.service` takes."""
        made = operator.service(f"{upstream.url}/base", **service)
        return cls(host, operator, upstream, made, operator.customer(made))

    def another(self, **service: Any) -> Self:
        return self.make(self.host, self.operator, self.upstream, **service)

    def target(self, path: str = "") -> str:
        return f"/api/consume/{self.service.slug}/{path}"

    def call(
        self, path: str = "", method: str = "GET", headers: Iterable[Header] = (), body: bytes | None = None
    ) -> Answer:
        return self.host.client.call(method, self.target(path), self.customer.clear, headers, body)

    def arrived(self, given: Answer) -> Request:
        """The request that the upstream answered so."""
        return self.upstream.of(given.request_id)

    def behave(self, behaviour: Behaviour) -> str:
        """A path where the upstream does this."""
        path = f"path-{next(_numbers)}"
        self.upstream.behaviours[f"/base/{path}"] = behaviour
        return path
