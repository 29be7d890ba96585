"""Reports of keys that were found in public: whose word counts, and what it does."""

import json
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from shared.access.keys.format import new_key
from shared.access.leaks.reporter_keys import ReporterKeys, ReporterKeysUnavailable
from shared.platform.upstream.http import HttpUpstream
from tests.emulators.issuer import Issuer
from tests.emulators.leak_reporter import LeakReporter
from tests.support.api.access_market import AccessMarket, open_access_market
from tests.support.api.harness import PEPPER, Api
from tests.support.api.keys import created, do, read, rotate

ROUTE = "/api/v1/keys/leaked"
URL = "https://github.example/octo/repo/blob/main/config.py"


@pytest.fixture
def reporter() -> Iterator[LeakReporter]:
    with LeakReporter() as running:
        yield running


@pytest.fixture
async def api(
    folder: Path, issuer: Issuer, reporter: LeakReporter, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Api]:
    monkeypatch.setenv("AMS_SECRET_KEY_PEPPER_V1", PEPPER)
    monkeypatch.setenv("AMS_SECRET_PSEUDONYM_PEPPER", PEPPER)
    async with Api(folder, issuer, AMS_LEAK_KEYS_URL=reporter.url) as opened:
        yield opened


@pytest.fixture
async def market(api: Api) -> AccessMarket:
    market = await open_access_market(api)
    await market.grant()
    return market


def document(*tokens: str, **fields: Any) -> bytes:
    found = {"type": "ams_api_key", "url": URL, "source": "content", **fields}
    return json.dumps([{"token": token, **found} for token in tokens]).encode()


async def report(market: AccessMarket, reporter: LeakReporter, *tokens: str, **fields: Any) -> httpx.Response:
    body = document(*tokens, **fields)
    return await market.api.anonymous.post(ROUTE, content=body, headers=reporter.sign(body))


async def labels(market: AccessMarket, reporter: LeakReporter, *tokens: str) -> list[str]:
    answer = await report(market, reporter, *tokens)
    assert answer.status_code == 200, answer.text
    return [verdict["label"] for verdict in answer.json()]


async def mails(market: AccessMarket) -> list[str]:
    await market.api.drain()
    return [m.get_content() for m in market.api.mails() if "found in public" in str(m["subject"])]


async def test_a_real_key_is_revoked_its_owner_told_and_it_is_on_record(
    market: AccessMarket, reporter: LeakReporter
) -> None:
    key = await created(market)
    answer = await report(market, reporter, key["key"])

    digest = sha256(key["key"].encode()).hexdigest()
    assert answer.json() == [{"token_hash": digest, "token_type": "ams_api_key", "label": "true_positive"}]
    assert await market.call(key["key"]) == "403 key_revoked"
    found = await read(market, key)
    assert (found["status"], found["reason"]) == ("revoked", f"found in public: {URL}")
    (text,) = await mails(market)
    assert URL in text.replace("=\n", "").replace("\n", "")
    assert key["key"] not in text
    (entry,) = (await market.root.get(f"/api/v1/admin/audit?resource=key:{key['id']}&action=key.revoke")).json()[
        "items"
    ]
    assert (entry["actor"], entry["reason"]) == ("leak-report", f"found in public: {URL}")


async def test_a_report_that_comes_again_changes_nothing_and_sends_nothing(
    market: AccessMarket, reporter: LeakReporter
) -> None:
    key = await created(market)
    for _ in range(3):
        assert await labels(market, reporter, key["key"], key["key"]) == ["true_positive"] * 2
    assert len(await mails(market)) == 1


async def test_where_the_platform_only_warns_the_key_goes_on_and_one_mail_is_sent(
    market: AccessMarket, reporter: LeakReporter
) -> None:
    change = {"leaked_key_action": "warn", "reason": "test"}
    await market.root.patch("/api/v1/admin/settings", json=change, headers={"If-Match": "*"})
    key = await created(market)
    for _ in range(2):
        assert await labels(market, reporter, key["key"]) == ["true_positive"]
    assert await market.call(key["key"]) == "ok"
    assert (await read(market, key))["leaked_at"] is not None
    assert len(await mails(market)) == 1
    new = await rotate(market, await read(market, key), overlap_hours=0)
    assert new.json()["leaked_at"] is None
    assert await labels(market, reporter, new.json()["key"]) == ["true_positive"]
    assert len(await mails(market)) == 2


async def test_strings_that_are_no_key_of_ours_are_false_positives(
    market: AccessMarket, reporter: LeakReporter
) -> None:
    assert await labels(market, reporter, new_key("live"), "ams_live_nonsense", "", "ghp_x") == ["false_positive"] * 4
    assert await labels(market, reporter) == []


async def test_a_secret_that_was_rotated_away_ends_and_the_key_stays(
    market: AccessMarket, reporter: LeakReporter
) -> None:
    key = await created(market)
    new = (await rotate(market, key, overlap_hours=24)).json()
    assert await labels(market, reporter, key["key"]) == ["true_positive"]
    assert [await market.call(each) for each in (key["key"], new["key"])] == ["401 key_unknown", "ok"]
    assert await labels(market, reporter, key["key"]) == ["false_positive"]
    assert len(await mails(market)) == 1


async def test_a_stopped_key_is_ours_all_the_same(market: AccessMarket, reporter: LeakReporter) -> None:
    disabled, revoked = await created(market), await created(market)
    await do(market, disabled, "disable")
    await do(market, revoked, "revoke", reason="mine")
    assert await labels(market, reporter, disabled["key"], revoked["key"]) == ["true_positive"] * 2
    assert (await read(market, disabled))["status"] == "revoked"
    assert (await read(market, revoked))["reason"] == "mine"


async def test_a_url_cannot_write_the_mail(market: AccessMarket, reporter: LeakReporter) -> None:
    key = await created(market)
    await report(market, reporter, key["key"], url="https://x.example/\n\nDear owner,\r\nsend money " + "x" * 3_000)
    (text,) = await mails(market)
    assert "\nDear owner" not in text
    assert "x" * 600 not in text.replace("=\n", "").replace("\n", "")


async def test_a_report_that_is_not_signed_does_nothing(market: AccessMarket, reporter: LeakReporter) -> None:
    key = await created(market)
    body = document(key["key"])
    good = reporter.sign(body)
    stranger = ec.generate_private_key(ec.SECP256R1())
    bad: list[tuple[bytes, dict[str, str]]] = [
        (body, {}),
        (body, {"Github-Public-Key-Identifier": "one"}),
        (body, {**good, "Github-Public-Key-Identifier": "two"}),
        (body, {**good, "Github-Public-Key-Signature": "!!!"}),
        (body, {**good, "Github-Public-Key-Signature": ""}),
        (body, reporter.sign(body, key=stranger)),
        (body + b" ", good),
        (document(key["key"], url="https://elsewhere.example"), good),
    ]
    for content, headers in bad:
        answer = await market.api.anonymous.post(ROUTE, content=content, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "signature_invalid")
    assert await market.call(key["key"]) == "ok"


async def test_bad_reports_are_refused_when_their_signature_is_good(
    market: AccessMarket, reporter: LeakReporter
) -> None:
    many = document(*["x"] * 101)
    for body, status, code in (
        (b"no json", 400, "body_invalid"),
        (b"{}", 400, "request_invalid"),
        (b'[{"type": "x"}]', 400, "request_invalid"),
        (b"[" * 100_000, 400, "body_invalid"),
        (many, 400, "request_invalid"),
        (b" " * (1024 * 1024 + 1), 413, "body_too_large"),
    ):
        answer = await market.api.anonymous.post(ROUTE, content=body, headers=reporter.sign(body))
        assert (answer.status_code, answer.json()["code"]) == (status, code), body[:40]


async def test_a_hundred_tokens_are_taken(market: AccessMarket, reporter: LeakReporter) -> None:
    key = await created(market)
    found = await labels(market, reporter, *[new_key("live") for _ in range(99)], key["key"])
    assert found == ["false_positive"] * 99 + ["true_positive"]


async def test_without_the_setting_there_is_no_such_route(folder: Path, issuer: Issuer) -> None:
    async with Api(folder / "other", issuer) as api:
        answer = await api.anonymous.post(ROUTE, content=b"[]")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def http() -> AsyncIterator[HttpUpstream]:
    made = HttpUpstream(allow_private=True)
    yield made
    await made.close()


async def _is_good(keys: ReporterKeys, reporter: LeakReporter, name: str = "one") -> bool:
    headers = reporter.sign(b"body", name)
    return await keys.verify(name, headers["Github-Public-Key-Signature"], b"body")


async def test_names_that_nobody_knows_cost_one_fetch_in_thirty_seconds(
    reporter: LeakReporter, http: HttpUpstream
) -> None:
    clock = Clock()
    keys = ReporterKeys(reporter.url, http, clock)
    assert await _is_good(keys, reporter)
    for number in range(1_000):
        clock.now += 0.05
        assert not await keys.verify(f"made-up-{number}", "aaaa", b"body")
    assert reporter.fetches == 2
    reporter.add("two")
    clock.now += 30
    assert await _is_good(keys, reporter, "two")


async def test_known_keys_go_on_when_the_list_cannot_be_read(reporter: LeakReporter, http: HttpUpstream) -> None:
    clock = Clock()
    keys = ReporterKeys(reporter.url, http, clock)
    assert await _is_good(keys, reporter)
    for reporter.status, reporter.listed in ((500, None), (200, []), (200, {"public_keys": [{"key": 1}]})):
        clock.now += 7_200
        assert await _is_good(keys, reporter)
    assert reporter.fetches == 4


async def test_a_key_that_was_taken_off_the_list_counts_no_more_after_an_hour(
    reporter: LeakReporter, http: HttpUpstream
) -> None:
    clock = Clock()
    keys = ReporterKeys(reporter.url, http, clock)
    assert await _is_good(keys, reporter)
    lost = reporter.keys.pop("one")
    reporter.add("two")
    signature = reporter.sign(b"body", "one", lost)["Github-Public-Key-Signature"]
    clock.now += 3_600
    assert not await keys.verify("one", signature, b"body")


async def test_without_any_key_nothing_is_decided(reporter: LeakReporter, http: HttpUpstream) -> None:
    reporter.status = 500
    with pytest.raises(ReporterKeysUnavailable):
        await _is_good(ReporterKeys(reporter.url, http), reporter)


async def test_a_key_that_is_no_elliptic_curve_verifies_nothing(reporter: LeakReporter, http: HttpUpstream) -> None:
    reporter.listed = {"public_keys": [{"key_identifier": "one", "key": "no key", "is_current": True}]}
    assert not await _is_good(ReporterKeys(reporter.url, http), reporter)
