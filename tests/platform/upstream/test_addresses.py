"""The upstream port: where no call may go, whatever a name or an address looks like."""

import ipaddress
import socket
from collections.abc import Iterator

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from shared.platform.upstream import UpstreamRequest, UpstreamResponse, UpstreamUnreachable, http, is_public
from shared.platform.upstream.http import NOT_PUBLIC, HttpUpstream
from tests.emulators.upstream import UpstreamPeer, answer, replying

NAME = "api.merchant.example"
OUTSIDE = "127.0.0.2"


def get(url: str, timeout_s: float = 5.0) -> UpstreamRequest:
    return UpstreamRequest("GET", url, headers={}, body=None, content_length=None, timeout_s=timeout_s)


async def whole(response: UpstreamResponse) -> bytes:
    body = b"".join([chunk async for chunk in response.chunks()])
    response.close()
    return body


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.1.1.1",
        "93.184.216.34",
        "2606:4700:4700::1111",
        "2a00:1450:4001:81b::200e",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::1",
    ],
)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "169.254.0.1",
        "168.63.129.16",
        "192.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "192.0.0.192",
        "192.88.99.1",
        "100.100.100.200",
        "64:ff9b:1::7f00:1",
        "4000::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "100::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:168.63.129.16",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "2001:0:4136:e378:8000:63bf:5601:5601",
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "1.2.3.4.5"])
def test_what_is_no_address_in_its_one_spelling_is_refused_as_such(text: str) -> None:
    with pytest.raises(ValueError):
        is_public(text)


class Names(AbstractResolver):
    """Answers with the next of `answers` at each question."""

    def __init__(self, *answers: tuple[str, ...]) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked += 1
        addresses = self._answers.pop(0)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                proto=0,
                flags=socket.AI_NUMERICHOST,
                family=socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET,
            )
            for address in addresses
        ]

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    "addresses",
    [("127.0.0.1",), ("169.254.169.254",), ("::1",), ("::ffff:127.0.0.1",), ("10.0.0.1", "127.0.0.1"), ("fe80::1",)],
)
async def test_a_name_that_leads_inside_is_refused(peer: UpstreamPeer, addresses: tuple[str, ...]) -> None:
    upstream = HttpUpstream(allow_private=False, resolver=Names(addresses))
    before = len(peer.requests)
    try:
        with pytest.raises(UpstreamUnreachable) as refused:
            await upstream.send(get(f"http://{NAME}:{peer.port}/"))
    finally:
        await upstream.close()
    assert len(peer.requests) == before
    assert not any(address in str(refused.value) for address in addresses)
    if len(addresses) == 1:
        assert str(refused.value) == NOT_PUBLIC


@pytest.fixture
def outside(peer: UpstreamPeer, monkeypatch: pytest.MonkeyPatch) -> Iterator[UpstreamPeer]:
    """A peer at the only address that counts as public here, on the port of the other: no test calls a real one."""
    monkeypatch.setattr(http, "is_public", lambda address: address == OUTSIDE)
    with UpstreamPeer(OUTSIDE, peer.port) as running:
        running.behaviours["/"] = replying(answer(200, b"outside"))  # and close: the next call connects anew
        yield running


async def test_of_several_addresses_only_public_ones_are_called(peer: UpstreamPeer, outside: UpstreamPeer) -> None:
    upstream = HttpUpstream(allow_private=False, resolver=Names(("127.0.0.1", "10.0.0.1", OUTSIDE)))
    before = len(peer.requests)
    try:
        assert await whole(await upstream.send(get(f"http://{NAME}:{peer.port}/"))) == b"outside"
    finally:
        await upstream.close()
    assert len(peer.requests) == before


async def test_a_name_that_is_rebound_is_checked_at_every_connection(peer: UpstreamPeer, outside: UpstreamPeer) -> None:
    """It leads outside first, and inside when it is asked again."""
    names = Names((OUTSIDE,), ("127.0.0.1",), (OUTSIDE,))
    upstream = HttpUpstream(allow_private=False, resolver=names, dns_cache_s=0)
    before = len(peer.requests)
    try:
        for refused in (False, True, False):
            if refused:
                with pytest.raises(UpstreamUnreachable, match=NOT_PUBLIC):
                    await upstream.send(get(f"http://{NAME}:{peer.port}/"))
            else:
                assert await whole(await upstream.send(get(f"http://{NAME}:{peer.port}/"))) == b"outside"
    finally:
        await upstream.close()
    assert (names.asked, len(outside.requests), len(peer.requests)) == (3, 2, before)


async def test_where_private_addresses_are_allowed_the_same_name_is_called(peer: UpstreamPeer) -> None:
    upstream = HttpUpstream(allow_private=True, resolver=Names(("127.0.0.1",)))
    try:
        response = await upstream.send(get(f"http://{NAME}:{peer.port}/named"))
        await whole(response)
    finally:
        await upstream.close()
    assert peer.requests[-1].one("host") == f"{NAME}:{peer.port}"
