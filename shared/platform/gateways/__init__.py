"""The gateways port: tell the API gateway in front of AMS which services there are. It never decides who may call.

`publish` and `withdraw` are idempotent: they are repeated until they succeed.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayService:
    """A service as the gateway needs it. `openapi` is a vetted document (JSON text), if there is one."""

    service_id: str
    slug: str
    name: str
    description: str
    openapi: str | None


class Gateway(Protocol):
    """Tells an API gateway which services there are."""

    async def publish(self, offer: GatewayService) -> None:
        """Make the service callable through the gateway, or bring it up to date. Raises Unavailable."""
        ...

    async def withdraw(self, service_id: str) -> None:
        """Take it away; that it is not there is fine. Raises Unavailable."""
        ...

    async def close(self) -> None: ...
