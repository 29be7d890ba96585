"""Where a call comes from: what our own proxies wrote counts, what the client wrote does not."""

from ipaddress import ip_address

import pytest

from shared.access.keys.networks import client_address, is_allowed, parse_address


@pytest.mark.parametrize(
    ("header", "hops", "found"),
    [
        ("192.0.2.1", 1, "192.0.2.1"),
        ("192.0.2.1:51234", 1, "192.0.2.1"),
        ("[2001:db8::1]:443", 1, "2001:db8::1"),
        ("2001:db8::1", 1, "2001:db8::1"),
        ("[2001:db8::1]", 1, "2001:db8::1"),
        ("fe80::1%eth0", 1, "fe80::1"),
        ("::ffff:192.0.2.1", 1, "192.0.2.1"),
        ("[::ffff:192.0.2.1]:9", 1, "192.0.2.1"),
        ("10.0.0.1, 192.0.2.1:4", 1, "192.0.2.1"),
        ("10.0.0.1,192.0.2.1, 198.51.100.7", 2, "192.0.2.1"),
        ("10.0.0.1, 192.0.2.1", 0, None),
        ("192.0.2.1", 2, None),
        ("10.0.0.1, ", 1, None),
        ("10.0.0.1, unknown", 1, None),
        ("", 1, None),
        ("10.0.0.1, 192.0.2.1 198.51.100.7", 1, None),
        ("192.0.2.01", 1, None),
        ("[192.0.2.1", 1, "192.0.2.1"),
    ],
)
def test_the_clients_address_is_what_our_proxies_wrote(header: str, hops: int, found: str | None) -> None:
    headers = {"x-forwarded-for": header} if header else {}
    assert client_address(headers, hops) == (None if found is None else ip_address(found))


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        ((), "203.0.113.9", True),
        ((), None, True),
        (("192.0.2.0/24",), "192.0.2.255", True),
        (("192.0.2.0/24",), "192.0.3.0", False),
        (("192.0.2.0/24",), None, False),
        (("192.0.2.0/24", "2001:db8::/48"), "2001:db8:0:1::1", True),
        (("192.0.2.0/24", "2001:db8::/48"), "2001:db9::1", False),
        (("192.0.2.0/24",), "::ffff:192.0.2.7", True),
        (("0.0.0.0/0",), "2001:db8::1", False),
        (("192.0.2.7/32",), "192.0.2.7", True),
    ],
)
def test_a_key_is_good_within_its_networks(networks: tuple[str, ...], address: str | None, allowed: bool) -> None:
    assert is_allowed(networks, None if address is None else parse_address(address)) is allowed
