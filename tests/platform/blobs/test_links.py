"""Links to blobs, for both adapters: who holds one can read that blob, for a while, and nothing else."""

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit

import aiohttp
import pytest
from aiohttp import web
from azure.storage.blob.aio import ContainerClient

from shared.platform.blobs import Blob, BlobExists, Blobs, BlobsUnavailable
from shared.platform.blobs.azure import AzureBlobs
from shared.platform.blobs.downloads import LocalDownloads
from shared.platform.blobs.files import FileBlobs
from shared.platform.blobs.links import PATH, LinkExpired, LinkInvalid, LocalLinks
from tests.support.certificates import server_tls, write_certificate
from tests.support.paths import ROOT

HOST = "https://ams.test"
DATA = b"id,requests\n1,2\n"


@dataclass
class Answer:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Store:
    """`follow` does what somebody does who got a URL."""

    blobs: Blobs
    follow: Callable[[str], Awaitable[Answer]]


async def load_secret() -> str:
    return "the secret of the tests"


async def follow_http(url: str) -> Answer:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, await response.read())


def following(local: LocalDownloads) -> Callable[[str], Awaitable[Answer]]:
    """As functions/http/downloads.py does; over HTTP that is tested in tests/functions/test_downloads.py."""

    async def follow(url: str) -> Answer:
        parts = urlsplit(url)
        assert (f"{parts.scheme}://{parts.netloc}", parts.path[: len(PATH)]) == (HOST, PATH)
        try:
            found = await local.open(parts.path[len(PATH) :], dict(parse_qsl(parts.query)))
        except (LinkInvalid, LinkExpired):
            return Answer(403)
        if found is None:
            return Answer(404)
        body = b"".join([chunk async for chunk in found.opened.chunks])
        return Answer(200, {k.lower(): v for k, v in found.headers.items()}, body)

    return follow


@pytest.fixture(params=["files", "azure"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "files":
        links = LocalLinks(load_secret, HOST)
        files = FileBlobs(tmp_path / "store", links)
        yield Store(files, following(LocalDownloads(files, links)))
        return
    connection, container = request.getfixturevalue("azurite"), uuid.uuid4().hex
    async with ContainerClient.from_connection_string(connection, container) as client:
        await client.create_container()
    azure = AzureBlobs(container, connection_string=connection)
    yield Store(azure, follow_http)
    await azure.close()


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


# Links


async def test_whoever_holds_a_link_gets_the_blob_to_be_saved(store: Store) -> None:
    await store.blobs.put("reports/rep_1/a.csv", DATA, content_type="text/csv; charset=utf-8")
    url = await store.blobs.link("reports/rep_1/a.csv", expires_s=60, filename="Usage 2026-03.csv")

    answer = await store.follow(url)

    assert (answer.status, answer.body) == (200, DATA)
    assert answer.headers["content-disposition"] == 'attachment; filename="Usage 2026-03.csv"'
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-length"] == str(len(DATA))


async def test_a_link_may_say_another_type(store: Store) -> None:
    await store.blobs.put("a", DATA, content_type="text/html")
    url = await store.blobs.link("a", expires_s=60, filename="a.bin", content_type="application/octet-stream")
    assert (await store.follow(url)).headers["content-type"] == "application/octet-stream"


async def test_a_link_leads_to_one_blob_only(store: Store) -> None:
    for name in ("mine/a", "theirs/a"):
        await store.blobs.put(name, DATA, content_type="text/csv")
    url = await store.blobs.link("mine/a", expires_s=60, filename="a.csv")
    assert (await store.follow(url.replace("mine/a", "theirs/a"))).status == 403
    assert (await store.follow(url)).status == 200


async def test_no_part_of_a_link_can_be_changed(store: Store) -> None:
    await store.blobs.put("a", DATA, content_type="text/csv")
    url = await store.blobs.link("a", expires_s=60, filename="a.csv", content_type="text/csv")
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    assert len(query) > 3
    for name, (value, *_) in query.items():
        if name in ("ske", "sks", "skt", "skv", "sv"):
            continue
        changed = {**{k: v[0] for k, v in query.items()}, name: value[:-1] + ("1" if value[-1] != "1" else "2")}
        answer = await store.follow(urlunsplit(parts._replace(query=urlencode(changed))))
        assert answer.status in (400, 403), name
        without = {k: v[0] for k, v in query.items() if k != name}
        answer = await store.follow(urlunsplit(parts._replace(query=urlencode(without))))
        assert answer.status in (400, 403, 404), name


async def test_a_link_to_what_is_not_there_leads_nowhere(store: Store) -> None:
    url = await store.blobs.link("missing", expires_s=60, filename="a.csv")
    assert (await store.follow(url)).status == 404


async def test_a_link_without_its_query_is_refused(store: Store) -> None:
    await store.blobs.put("a", DATA, content_type="text/csv")
    url = await store.blobs.link("a", expires_s=60, filename="a.csv")
    assert (await store.follow(url.partition("?")[0])).status in (403, 404)


@pytest.mark.parametrize(
    ("expires_s", "filename", "content_type"),
    [
        (0, "a.csv", None),
        (86_401, "a.csv", None),
        (60, "", None),
        (60, 'a".csv', None),
        (60, "a\r\nb", None),
        (60, "../a", None),
        (60, "ä.csv", None),
        (60, "a" * 151, None),
        (60, "a.csv", "text/csv\r\nx: y"),
        (60, "a.csv", "text"),
    ],
)
async def test_what_cannot_be_in_a_link_is_refused(
    store: Store, expires_s: int, filename: str, content_type: str | None
) -> None:
    with pytest.raises(ValueError):
        await store.blobs.link("a", expires_s=expires_s, filename=filename, content_type=content_type)


async def test_a_name_that_is_none_gets_no_link(store: Store) -> None:
    with pytest.raises(ValueError):
        await store.blobs.link("../a", expires_s=60, filename="a.csv")


# Streams


@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
async def test_a_stream_becomes_one_blob(store: Store) -> None:
    part = bytes(range(256)) * 4096  # 1 MiB
    await store.blobs.put_stream("a/b", chunks(*[part] * 9, b"end"), content_type="text/csv")
    assert await store.blobs.get("a/b") == Blob("a/b", part * 9 + b"end", "text/csv")


async def test_an_empty_stream_is_an_empty_blob(store: Store) -> None:
    await store.blobs.put_stream("empty", chunks(), content_type="text/csv")
    assert await store.blobs.get("empty") == Blob("empty", b"", "text/csv")


async def test_of_two_streams_to_one_name_one_wins_whole(store: Store) -> None:
    outcomes = await asyncio.gather(
        *(store.blobs.put_stream("a", chunks(*[bytes([n])] * 50), content_type="text/csv") for n in range(4)),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes if outcome is not None] == [BlobExists] * 3
    found = await store.blobs.get("a")
    assert found is not None
    assert found.data in [bytes([n]) * 50 for n in range(4)]


async def test_a_stream_that_breaks_leaves_nothing(store: Store) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield b"half"
        raise LookupError("the source broke")

    with pytest.raises(LookupError, match="the source broke"):
        await store.blobs.put_stream("a", breaks(), content_type="text/csv")
    assert await store.blobs.get("a") is None
    await store.blobs.put_stream("a", chunks(b"whole"), content_type="text/csv")
    assert (await store.blobs.get("a")) == Blob("a", b"whole", "text/csv")


# Only files


def clock_at(moment: datetime) -> Callable[[], datetime]:
    return lambda: moment


async def test_a_link_of_this_host_ends_on_the_second(tmp_path: Path) -> None:
    made = datetime(2026, 3, 1, tzinfo=UTC)
    url = await LocalLinks(load_secret, HOST, clock_at(made)).url("a", 300, "a.csv", None)
    query = dict(parse_qsl(urlsplit(url).query))

    async def at(seconds: float) -> object:
        return await LocalLinks(load_secret, HOST, clock_at(made + timedelta(seconds=seconds))).check("a", query)

    assert await at(299.9)
    with pytest.raises(LinkExpired):
        await at(300)


async def test_a_link_under_another_secret_is_invalid(tmp_path: Path) -> None:
    async def other() -> str:
        return "another"

    url = await LocalLinks(other, HOST).url("a", 300, "a.csv", None)
    with pytest.raises(LinkInvalid):
        await LocalLinks(load_secret, HOST).check("a", dict(parse_qsl(urlsplit(url).query)))


@pytest.mark.parametrize("query", [{"signature": "é"}, {"expires": "٣"}, {"expires": "9" * 40}, {"filename": "\ud800"}])
async def test_nonsense_is_invalid_not_an_error(query: dict[str, str]) -> None:
    url = await LocalLinks(load_secret, HOST).url("a", 300, "a.csv", None)
    given = {**dict(parse_qsl(urlsplit(url).query)), **query}
    with pytest.raises(LinkInvalid):
        await LocalLinks(load_secret, HOST).check("a", given)


async def test_a_store_without_links_says_so(tmp_path: Path) -> None:
    with pytest.raises(BlobsUnavailable, match="gives no links"):
        await FileBlobs(tmp_path / "store").link("a", expires_s=60, filename="a.csv")


# Only Azure


DELEGATED = """
import asyncio, sys, time
from azure.core.credentials import AccessToken
from shared.platform.blobs.azure import AzureBlobs

class Credential:
    async def get_token(self, scope, **_):
        return AccessToken("a-token", int(time.time()) + 3600)

async def main():
    blobs = AzureBlobs("documents", account_url=sys.argv[1], credential=Credential())
    for name in ("a", "b"):
        print(await blobs.link(name, expires_s=300, filename="a.csv"))
    await blobs.close()

asyncio.run(main())
"""
DELEGATION_KEY = """<?xml version="1.0" encoding="utf-8"?><UserDelegationKey>
<SignedOid>oid</SignedOid><SignedTid>tid</SignedTid><SignedStart>2026-01-01T00:00:00Z</SignedStart>
<SignedExpiry>2036-01-01T00:00:00Z</SignedExpiry><SignedService>b</SignedService>
<SignedVersion>2024-11-04</SignedVersion><Value>a2V5</Value></UserDelegationKey>"""


async def test_a_real_accounts_links_are_signed_with_one_delegated_key_and_https_only(tmp_path: Path) -> None:
    """Azurite gives such keys over TLS only, so this server stands in for the account; see test_blobs_azure.py."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path_qs)
        return web.Response(text=DELEGATION_KEY, content_type="application/xml")

    certificate = write_certificate(tmp_path / "store.pem")
    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_tls(certificate)).start()
    url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    environ = os.environ | {"SSL_CERT_FILE": str(certificate)}
    asking = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DELEGATED, url, cwd=ROOT, env=environ, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await asking.communicate()
    await runner.cleanup()

    assert asking.returncode == 0
    links = printed.decode().split()
    assert [urlsplit(link).path for link in links] == ["/documents/a", "/documents/b"]
    for link in links:
        query = dict(parse_qsl(urlsplit(link).query))
        assert (query["sp"], query["spr"], query["sr"]) == ("r", "https", "b")
        assert (query["skoid"], query["sktid"]) == ("oid", "tid")
        assert datetime.fromisoformat(query["se"]) < datetime.now(UTC) + timedelta(seconds=301)
    assert asked == ["/?restype=service&comp=userdelegationkey"], "the key is asked for once"
