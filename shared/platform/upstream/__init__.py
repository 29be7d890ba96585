"""The upstream port: one HTTP call to a merchant's API, streamed both ways.

No redirect is followed, nothing is decoded, no header is added beside `Host` and the body's framing. The address a host
name resolves to is checked and then connected to, in one step, so a name cannot be rebound in between: private,
loopback, link-local, metadata and otherwise not public addresses are refused unless the operator allows them.
"""

import ipaddress
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol

CALL_S_MAX = 230.0
"""No call takes longer in all: Azure's front end gives up then."""

_NOT_CALLED = tuple(
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",  # Azure's wire server, on a public-looking address
        "192.0.0.0/24",  # protocol assignments, a cloud's metadata among them; older Pythons call parts of it global
        "192.88.99.0/24",  # the retired anycast relay of 6to4
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_UNICAST = ipaddress.IPv6Network("2000::/3")
"""All that was ever allocated of IPv6 to be called from anywhere."""


class UpstreamError(Exception):
    """The upstream did not give an answer that can be passed on."""


class UpstreamUnreachable(UpstreamError):
    """No connection, a broken one, or an address that is refused. The message may name the reason, never an address."""


class UpstreamTimeout(UpstreamError):
    """The upstream was too slow."""


def is_public(address: str) -> bool:
    """Say whether an IP address (text) may be called when private upstreams are not allowed."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        embedded = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if embedded is None and ip in _NAT64:
            embedded = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if embedded is not None:
            return is_public(str(embedded))
        return ip.is_global and ip in _UNICAST
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _NOT_CALLED)


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """A call to a merchant's API; `url` is used byte for byte. `body` None sends none; with `content_length` None it is
    sent in chunks."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: AsyncIterator[bytes] | None
    content_length: int | None
    timeout_s: float


class UpstreamResponse(Protocol):
    """A response of a merchant's API, whose body is read or streamed once."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> list[tuple[str, str]]: ...

    @property
    def content_length(self) -> int | None: ...

    async def read(self) -> bytes:
        """Read the whole body. Only for bodies whose length is known and small. Raises UpstreamError."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Iterate over the body as it comes, still in its content coding. Raises UpstreamError."""
        ...

    def close(self) -> None:
        """Give the connection back when the body was read to its end, drop it otherwise. May be called twice."""
        ...


class Upstream(Protocol):
    """Calls merchants' APIs."""

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        """Send a call; returns with the response's headers. Raises UpstreamUnreachable, UpstreamTimeout, and whatever
        iterating `request.body` raised."""
        ...

    async def close(self) -> None: ...
