"""Where a call comes from, and whether a key may be used from there.

`X-Forwarded-For` grows to the right: every proxy appends the address that it was called from. Only what our own proxies
wrote counts, so the client's address is the entry `hops` from the end; what a client writes itself stands to the left.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

FORWARDED = "x-forwarded-for"
NETWORKS_CACHED_MAX = 4_096

IpAddress = IPv4Address | IPv6Address


def client_address(headers: Mapping[str, str], hops: int) -> IpAddress | None:
    """Find the address of whoever called; None when it is not known: `hops` is 0, there are fewer entries, or the entry
    is no address."""
    entries = headers.get(FORWARDED, "").split(",")
    return None if hops == 0 or len(entries) < hops else parse_address(entries[-hops])


def parse_address(text: str) -> IpAddress | None:
    """Read an address as proxies write it: `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]:443`; an IPv4
    address mapped into IPv6 is that of IPv4."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def is_allowed(networks: Sequence[str], address: IpAddress | None) -> bool:
    """Say whether calls may come from an address: from anywhere when no network is named; from an address that is not
    known, only then."""
    if not networks:
        return True
    return address is not None and any(address in _network(network) for network in networks)


@lru_cache(maxsize=NETWORKS_CACHED_MAX)
def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text)
