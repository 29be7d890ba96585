"""Reports over the API: asked for, made, shared, scheduled, downloaded."""

import asyncio
import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import pytest

from scripts.seeding.documents import add_key
from shared.access.models import ApiKey, Grant
from shared.audit.models import SYSTEM
from shared.kernel.clock import format_time, utc_now
from shared.platform.blobs import BlobsUnavailable
from shared.platform.blobs.links import PATH
from shared.platform.documents import Delete
from shared.reports import maker
from shared.reports.models import Report
from shared.reports.schedules import ReportScheduler
from shared.reports.store import REPORTS, report_document, schedule_document
from tests.support.api.harness import Api, Person
from tests.support.api.usage import DAY, RANGE, Used, used

MERCHANT = "/api/v1/merchants/mer_1"
ADMIN = "/api/v1/admin"
ASKED = {"name": "Usage of the week", **RANGE, "format": "csv"}


@pytest.fixture
async def usage(market: Any) -> Used:
    await market.grant()
    road = await market.project("Road")
    await market.key(id="key_plain")
    await market.key(id="key_road", project_id=road)
    await market.offer("two")
    await used(market, "a", "key_plain", data={"requests": 3, "status_code": 500, "response_time_ms": 15})
    await used(market, "b", "key_road", DAY + timedelta(hours=20), project_id=road, data={"status_code": 404})
    await used(market, "c", "key_plain", DAY + timedelta(days=2), service_id="svc_two")
    return Used(market.api, market.ann, market.mia, market.root, road)


@pytest.fixture
async def pseudonym(usage: Used) -> str:
    return await usage.api.app.access.pseudonyms.of("mer_1", usage.consumer_id)


async def settled(api: Api) -> None:
    """What was asked for is made, and everybody was told."""
    await api.drain()
    await api.app.reports.runner.drain()
    await api.drain()


async def asked(person: Person, home: str, **changes: Any) -> dict[str, Any]:
    answer = await person.post(f"{home}/reports", json={**ASKED, **changes})
    assert answer.status_code == 202, answer.text
    view: dict[str, Any] = answer.json()
    assert (view["status"], view["progress"]) == ("queued", 0)
    assert answer.headers["etag"]
    return view


async def made(usage: Used, person: Person, home: str, **changes: Any) -> dict[str, Any]:
    view = await asked(person, home, **changes)
    await settled(usage.api)
    answer = await person.get(f"{home}/reports/{view['id']}")
    found: dict[str, Any] = answer.json()
    assert (found["status"], found["progress"]) == ("done", 100), found
    return found


async def downloaded(api: Api, person: Person, home: str, report_id: str) -> tuple[bytes, dict[str, str]]:
    answer = await person.get(f"{home}/reports/{report_id}/download")
    assert answer.status_code == 200, answer.text
    parts = urlsplit(answer.json()["url"])
    assert api.app.ports.local_downloads is not None
    found = await api.app.ports.local_downloads.open(parts.path.removeprefix(PATH), dict(parse_qsl(parts.query)))
    assert found is not None
    return b"".join([chunk async for chunk in found.opened.chunks]), dict(found.headers)


async def table(usage: Used, person: Person, home: str, **changes: Any) -> list[dict[str, str]]:
    view = await made(usage, person, home, **changes)
    body, _ = await downloaded(usage.api, person, home, view["id"])
    return list(csv.DictReader(io.StringIO(body.decode())))


async def in_store(usage: Used, report_id: str, owner_id: str = "mer_1") -> Report:
    stored = await usage.api.app.reports.store.report(owner_id, report_id)
    assert stored is not None
    return stored.value


async def entries(usage: Used, action: str) -> list[dict[str, Any]]:
    answer = await usage.root.get("/api/v1/admin/audit", params={"action": action})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


# What a report says


async def test_a_merchants_report_says_what_its_views_say(usage: Used, pseudonym: str) -> None:
    rows = await table(usage, usage.mia, MERCHANT, by=["service", "day"])
    assert [(row["service"], row["label"], row["requests"], row["errors_5xx"]) for row in rows] == [
        ("svc_maps", f"{DAY:%Y-%m-%d}", "4", "3"),
        ("svc_two", f"{DAY + timedelta(days=2):%Y-%m-%d}", "1", "0"),
    ]
    by_key = await table(usage, usage.mia, MERCHANT, by=["api_key"])
    assert [(row["pseudonym"], row["api_key"], row["requests"]) for row in by_key] == [
        (pseudonym, "key_plain", "4"),
        (pseudonym, "key_road", "1"),
    ]
    assert all(row["key_last4"] for row in by_key)
    assert usage.consumer_id not in str(by_key)


async def test_a_consumers_report_is_of_what_it_names(usage: Used) -> None:
    home = usage.consumer
    assert [row["requests"] for row in await table(usage, usage.ann, home, by=[])] == ["5"]
    for subject, requests in (
        ({"api_key_id": "key_road"}, "1"),
        ({"project_id": usage.road}, "1"),
        ({"service_id": "svc_two"}, "1"),
    ):
        assert [row["requests"] for row in await table(usage, usage.ann, home, by=[], subject=subject)] == [requests]


async def test_the_platforms_report_is_of_everybody(usage: Used) -> None:
    usage.api.clock.passes(seconds=5)
    await usage.api.app.metering.rollups.run()
    rows = await table(usage, usage.root, ADMIN, by=["merchant", "service"])
    assert [(row["merchant"], row["service"], row["requests"]) for row in rows] == [
        ("mer_1", "svc_maps", "4"),
        ("mer_1", "svc_two", "1"),
    ]
    one = await table(usage, usage.root, ADMIN, by=[], subject={"consumer_id": usage.consumer_id})
    assert [row["requests"] for row in one] == ["5"]


async def test_a_group_of_consumers_is_summed_up(usage: Used, pseudonym: str) -> None:
    bea = (await usage.api.sign_in("Bea")).account.consumer_id
    other = await usage.api.app.access.pseudonyms.of("mer_1", bea)
    await usage.api.drain()
    await usage.api.builder.put(
        Grant(consumer_id=bea, service_id="svc_maps", merchant_id="mer_1", status="approved", pseudonym=other),
    )
    key = ApiKey(id="key_bea", consumer_id=bea, hash="bea", prefix="ams_live_beaa", last4="beaa", name="key_bea")
    await add_key(usage.api.app.access.store, key)
    await used(usage, "bea", "key_bea", consumer_id=bea, data={"requests": 10})
    both = {"pseudonyms": [pseudonym, other]}
    assert [row["requests"] for row in await table(usage, usage.mia, MERCHANT, by=[], subject=both)] == ["15"]
    apart = await table(usage, usage.mia, MERCHANT, by=["consumer"], subject=both)
    assert {row["pseudonym"]: row["requests"] for row in apart} == {pseudonym: "5", other: "10"}
    mine = await table(usage, usage.mia, MERCHANT, by=[], subject={"pseudonyms": [other]})
    assert [row["requests"] for row in mine] == ["10"]


async def test_a_pdf_is_a_pdf(usage: Used) -> None:
    view = await made(usage, usage.mia, MERCHANT, format="pdf", name="Müller & Söhne / März")
    body, headers = await downloaded(usage.api, usage.mia, MERCHANT, view["id"])
    assert body.startswith(b"%PDF-")
    assert headers["Content-Type"] == "application/pdf"
    last = DAY + timedelta(days=4)
    assert headers["Content-Disposition"] == (
        f'attachment; filename="M ller S hne M rz {DAY:%Y-%m-%d} to {last:%Y-%m-%d}.pdf"'
    )


# Who may


async def test_another_tenants_things_do_not_exist(usage: Used, pseudonym: str) -> None:
    view = await made(usage, usage.mia, MERCHANT)
    eve = await usage.api.sign_in("Eve")
    own = f"/api/v1/consumers/{eve.account.consumer_id}"
    one = f"{MERCHANT}/reports/{view['id']}"
    mine = f"{own}/reports/{view['id']}"
    for path in (f"{MERCHANT}/reports", one, f"{one}/download", f"{usage.consumer}/reports", mine, f"{mine}/download"):
        assert (await eve.get(path)).status_code == 404, path
    for home, person, subject in (
        (own, eve, {"api_key_id": "key_plain"}),
        (own, eve, {"project_id": usage.road}),
        (MERCHANT, usage.mia, {"service_id": "svc_none"}),
        (MERCHANT, usage.mia, {"pseudonyms": ["cus_abcdef"]}),
        (ADMIN, usage.root, {"merchant_id": "mer_none"}),
        (ADMIN, usage.root, {"consumer_id": "con_none"}),
        (ADMIN, usage.root, {"service_id": "svc_none"}),
    ):
        answer = await person.post(f"{home}/reports", json={**ASKED, "subject": subject, "by": []})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), subject
    assert (await usage.ann.get(f"{ADMIN}/reports")).status_code == 403


async def test_every_download_is_in_the_audit_log(usage: Used) -> None:
    view = await made(usage, usage.mia, MERCHANT)
    for _ in range(2):
        await downloaded(usage.api, usage.mia, MERCHANT, view["id"])
    found = [entry for entry in await entries(usage, "report.download") if entry["resource"] == f"report:{view['id']}"]
    assert [(entry["actor"], entry["role"]) for entry in found] == [(usage.mia.account.id, "merchant")] * 2
    assert "signature" not in str(found)
    assert [entry["resource"] for entry in await entries(usage, "report.create")] == [f"report:{view['id']}"]


# What is refused

BAD = [
    ({"from": "2026-03-02", "to": "2026-03-01"}, "range_invalid", "to"),
    ({"from": "2026-03-01", "to": "2026-03-01"}, "range_invalid", "to"),
    ({"from": "2006-03-01", "to": "2026-03-01"}, "range_invalid", "to"),
    ({"from": "2026-03-01T00:00:01Z", "to": "2026-03-02"}, "range_invalid", "from"),
    ({"from": "9999-12-31", "to": "9999-12-31"}, "range_invalid", None),
    ({"from": "2026-03-01T00:00:00", "to": "2026-03-02"}, "request_invalid", "from"),
    ({"from": "yesterday"}, "request_invalid", "from"),
    ({"to": 5}, "request_invalid", "to"),
    ({"to": None}, "request_invalid", "to"),
    ({"from": "0001-01-01T00:00:00+23:00"}, "request_invalid", "from"),
    ({"time_zone": "Mars/Base"}, "range_invalid", "time_zone"),
    ({"by": ["day", "month"]}, "request_invalid", "by"),
    ({"by": ["day", "day"]}, "request_invalid", "by"),
    ({"by": ["project"]}, "request_invalid", "by"),
    ({"by": ["colour"]}, "request_invalid", None),
    ({"subject": {"project_id": "prj_1"}}, "request_invalid", "subject.project_id"),
    ({"subject": {"consumer_id": "con_1"}}, "request_invalid", "subject.consumer_id"),
    ({"share_with_consumer": True}, "request_invalid", "share_with_consumer"),
    (
        {"share_with_consumer": True, "subject": {"pseudonyms": ["cus_a", "cus_b"]}},
        "request_invalid",
        "share_with_consumer",
    ),
    ({"subject": {"pseudonyms": ["con_1"]}}, "request_invalid", None),
    ({"format": "xlsx"}, "request_invalid", "format"),
    ({"schedule": "hourly"}, "request_invalid", "schedule"),
    ({"name": ""}, "request_invalid", "name"),
    ({"status": "done"}, "request_invalid", "status"),
    ({"blob": "invoices/other.pdf"}, "request_invalid", "blob"),
    ({"owner_id": "mer_2"}, "request_invalid", "owner_id"),
]


@pytest.mark.parametrize(("changes", "code", "field"), BAD)
async def test_what_makes_no_sense_is_refused_by_field_and_rule(
    usage: Used, changes: dict[str, Any], code: str, field: str | None
) -> None:
    answer = await usage.mia.post(f"{MERCHANT}/reports", json={**ASKED, **changes})
    assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text
    if field is not None:
        assert [error["field"] for error in answer.json()["errors"]] == [field]
        assert all(error["rule"] for error in answer.json()["errors"])
    assert (await usage.mia.get(f"{MERCHANT}/reports")).json()["items"] == []


async def test_only_so_many_are_made_at_once(usage: Used, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage.api.app.reports.runner, "start", lambda: None)
    for _ in range(10):
        await asked(usage.mia, MERCHANT)
    answer = await usage.mia.post(f"{MERCHANT}/reports", json=ASKED)
    assert (answer.status_code, answer.json()["code"]) == (409, "limit_reached")
    assert (await usage.ann.post(f"{usage.consumer}/reports", json=ASKED)).status_code == 202


async def test_what_is_not_done_cannot_be_downloaded(usage: Used, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage.api.app.reports.runner, "start", lambda: None)
    view = await asked(usage.mia, MERCHANT)
    answer = await usage.mia.get(f"{MERCHANT}/reports/{view['id']}/download")
    assert (answer.status_code, answer.json()["code"]) == (409, "state_invalid")
    assert "queued" in answer.json()["detail"]


# Listing and deleting


async def test_the_latest_is_first_page_by_page(usage: Used, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage.api.app.reports.runner, "start", lambda: None)
    ids = [(await asked(usage.mia, MERCHANT, name=f"{n}"))["id"] for n in range(5)]
    seen, cursor = [], None
    for _ in range(3):
        params = {"limit": 2, **({} if cursor is None else {"cursor": cursor})}
        page = (await usage.mia.get(f"{MERCHANT}/reports", params=params)).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert sorted(seen) == sorted(ids)
    assert cursor is None
    bad = await usage.mia.get(f"{MERCHANT}/reports", params={"cursor": "nonsense"})
    assert (bad.status_code, bad.json()["code"]) == (400, "cursor_invalid")


async def test_a_deleted_report_is_gone_with_its_document(usage: Used) -> None:
    view = await made(usage, usage.mia, MERCHANT)
    path = f"{MERCHANT}/reports/{view['id']}"
    blob = (await in_store(usage, view["id"])).blob
    assert blob is not None
    assert await usage.api.app.ports.blobs.get(blob) is not None
    assert (await usage.mia.delete(path)).status_code == 428
    assert (await usage.mia.delete(path, headers={"If-Match": '"other"'})).status_code == 412
    tag = (await usage.mia.get(path)).headers["etag"]
    assert (await usage.mia.delete(path, headers={"If-Match": tag})).status_code == 204
    await settled(usage.api)
    assert (await usage.mia.get(path)).status_code == 404
    assert await usage.api.app.ports.blobs.get(blob) is None


# Sharing


async def test_a_shared_report_is_in_the_consumers_list_and_it_is_told(usage: Used, pseudonym: str) -> None:
    subject = {"pseudonyms": [pseudonym]}
    view = await made(usage, usage.mia, MERCHANT, subject=subject, share_with_consumer=True)

    items = (await usage.ann.get(f"{usage.consumer}/reports")).json()["items"]
    assert [(item["id"], item["shared_by"], item["status"]) for item in items] == [(view["id"], "mer_1", "done")]
    body, _ = await downloaded(usage.api, usage.ann, usage.consumer, view["id"])
    assert body == (await downloaded(usage.api, usage.mia, MERCHANT, view["id"]))[0]
    mails = {mail["To"]: mail for mail in usage.api.mails() if "report" in mail["Subject"].lower()}
    assert set(mails) == {usage.mia.account.email, usage.ann.account.email}
    for mail in mails.values():
        text = mail.get_content()
        assert f"/reports/{view['id']}" in text
        assert "/api/downloads/" not in text, "a mail holds no link that anybody can follow"
        assert "signature" not in text


async def test_a_report_is_shared_with_nobody_else(usage: Used, pseudonym: str) -> None:
    await made(usage, usage.mia, MERCHANT, subject={"pseudonyms": [pseudonym]})
    assert (await usage.ann.get(f"{usage.consumer}/reports")).json()["items"] == []


async def test_a_consumer_deletes_its_copy_alone_a_merchant_both(usage: Used, pseudonym: str) -> None:
    async def remove(person: Person, home: str, report_id: str) -> None:
        path = f"{home}/reports/{report_id}"
        tag = (await person.get(path)).headers["etag"]
        assert (await person.delete(path, headers={"If-Match": tag})).status_code == 204
        await settled(usage.api)

    subject = {"subject": {"pseudonyms": [pseudonym]}, "share_with_consumer": True}
    first, second = [(await made(usage, usage.mia, MERCHANT, **subject))["id"] for _ in range(2)]
    await remove(usage.ann, usage.consumer, first)
    assert (await downloaded(usage.api, usage.mia, MERCHANT, first))[0]
    await remove(usage.mia, MERCHANT, second)
    assert (await usage.ann.get(f"{usage.consumer}/reports")).json()["items"] == []


async def test_a_ready_report_is_posted_to_webhooks(usage: Used) -> None:
    hook = {"url": "http://127.0.0.1:9/hook", "events": ["report.ready"]}
    answer = await usage.mia.post(f"{MERCHANT}/webhooks", json=hook)
    assert answer.status_code == 201, answer.text
    view = await made(usage, usage.mia, MERCHANT)
    found = await usage.mia.get(f"{MERCHANT}/webhooks/{answer.json()['id']}/deliveries")
    assert [item["type"] for item in found.json()["items"]] == ["report.ready"]
    assert view["id"] in str(found.json()) or found.json()["items"]


async def test_who_left_the_merchant_is_not_told(usage: Used, monkeypatch: pytest.MonkeyPatch) -> None:
    from shared.identity.store import ACCOUNT_DOCUMENT, ACCOUNTS

    start = usage.api.app.reports.runner.start
    monkeypatch.setattr(usage.api.app.reports.runner, "start", lambda: None)
    await asked(usage.mia, MERCHANT)
    await usage.api.drain()
    account = (await usage.mia.reload()).model_copy(update={"merchant_ids": ()})
    await usage.api.app.ports.documents.upsert(ACCOUNTS, account.id, ACCOUNT_DOCUMENT, account.to_json())
    start()
    await settled(usage.api)
    assert [mail["To"] for mail in usage.api.mails() if "Report ready" in mail["Subject"]] == []


# Kills, and two at once


async def test_a_report_that_nobody_finished_is_made_by_the_timer(usage: Used, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is killed right after the answer: nothing in the background ran."""
    monkeypatch.setattr(usage.api.app.reports.runner, "start", lambda: None)
    view = await asked(usage.mia, MERCHANT)
    assert await usage.api.app.reports.store.any_due(usage.api.app.ports.now())
    assert await usage.api.app.reports.maker.run() == 1
    await settled(usage.api)
    assert (await in_store(usage, view["id"])).status == "done"
    assert not await usage.api.app.reports.store.any_due(usage.api.app.ports.now())


async def test_two_timers_at_once_make_one_document(usage: Used, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage.api.app.reports.runner, "start", lambda: None)
    view = await asked(usage.mia, MERCHANT)
    await usage.api.drain()
    ended = await asyncio.gather(*(usage.api.app.reports.maker.run() for _ in range(5)))
    await settled(usage.api)
    assert sum(ended) == 1
    report = await in_store(usage, view["id"])
    assert (report.status, report.attempt) == ("done", 1)
    assert [name async for name in usage.api.app.ports.blobs.list("reports/")] == [report.blob]
    assert len([mail for mail in usage.api.mails() if "Report ready" in mail["Subject"]]) == 1
    assert len(await entries(usage, "report.finish")) == 1


class Killed(BaseException):
    """What a kill looks like from inside: nothing after it runs."""


@pytest.mark.parametrize("moment", ["reading", "writing", "written", "finishing"])
@pytest.mark.parametrize("format", ["csv", "pdf"])
async def test_a_maker_that_is_killed_is_taken_over_once_its_lease_is_over(
    usage: Used, monkeypatch: pytest.MonkeyPatch, moment: str, format: str
) -> None:
    app = usage.api.app
    monkeypatch.setattr(app.reports.runner, "start", lambda: None)
    view = await asked(usage.mia, MERCHANT, format=format)
    await usage.api.drain()
    with monkeypatch.context() as patched:
        _kill_at(patched, app, moment)
        with pytest.raises(Killed):
            await app.reports.maker.run()
    dead = await in_store(usage, view["id"])
    assert dead.status == "running"
    assert await app.reports.maker.run() == 0, "its lease is not over"

    usage.api.clock.passes(seconds=maker.LEASE_S + 1)
    assert await app.reports.maker.run() == 1
    await settled(usage.api)
    report = await in_store(usage, view["id"])
    assert (report.status, report.attempt) == ("done", 2)
    assert [name async for name in app.ports.blobs.list("reports/")] == [report.blob], "nothing is left of the first"
    assert (await downloaded(usage.api, usage.mia, MERCHANT, view["id"]))[0]


def _kill_at(patched: pytest.MonkeyPatch, app: Any, moment: str) -> None:
    async def killed(*_: Any, **__: Any) -> Any:
        raise Killed

    if moment == "reading":
        patched.setattr(app.reports.sources, "read", killed)
    elif moment == "writing":
        patched.setattr(app.ports.blobs, "put", killed)
        patched.setattr(app.ports.blobs, "put_stream", killed)
    elif moment == "written":
        patched.setattr(app.reports.maker.notices, "ready", killed)
    else:
        patched.setattr(app.audit.journal, "commit", killed)


async def test_who_lost_its_lease_takes_away_what_it_wrote(usage: Used, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first sleeps before it finishes; meanwhile another makes the report."""
    app = usage.api.app
    monkeypatch.setattr(app.reports.runner, "start", lambda: None)
    view = await asked(usage.mia, MERCHANT)
    await usage.api.drain()
    ready, other = app.reports.maker.notices.ready, []

    async def slow(report: Report, at: datetime) -> Any:
        if not other:
            other.append(True)
            later = maker.ReportMaker(
                app.reports.store,
                app.reports.sources,
                app.ports.blobs,
                app.audit.journal,
                app.reports.maker.notices,
                app.reports.maker.render,
                lambda: utc_now() + timedelta(hours=1),
            )
            assert await later.run() == 1
        return await ready(report, at)

    monkeypatch.setattr(app.reports.maker.notices, "ready", slow)
    await app.reports.maker.run()
    await settled(usage.api)
    report = await in_store(usage, view["id"])
    assert (report.status, report.attempt) == ("done", 2)
    assert [name async for name in app.ports.blobs.list("reports/")] == [report.blob]
    assert len([mail for mail in usage.api.mails() if "Report ready" in mail["Subject"]]) == 1


async def test_a_report_that_is_deleted_while_it_is_made_leaves_nothing(
    usage: Used, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = usage.api.app
    monkeypatch.setattr(app.reports.runner, "start", lambda: None)
    view = await asked(usage.mia, MERCHANT)
    await usage.api.drain()
    ready = app.reports.maker.notices.ready

    async def deleted(report: Report, at: datetime) -> Any:
        await app.audit.journal.commit(REPORTS, "mer_1", [Delete(report_document(report.id))])
        return await ready(report, at)

    monkeypatch.setattr(app.reports.maker.notices, "ready", deleted)
    await app.reports.maker.run()
    await settled(usage.api)
    assert (await usage.mia.get(f"{MERCHANT}/reports/{view['id']}")).status_code == 404
    assert [name async for name in app.ports.blobs.list("reports/")] == []


async def test_a_store_that_is_down_puts_a_report_off(usage: Used, monkeypatch: pytest.MonkeyPatch) -> None:
    app = usage.api.app
    monkeypatch.setattr(app.reports.runner, "start", lambda: None)
    view = await asked(usage.mia, MERCHANT)
    await usage.api.drain()
    began = usage.api.clock()

    async def down(*_: Any, **__: Any) -> None:
        raise BlobsUnavailable("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(app.ports.blobs, "put_stream", down)
        assert await app.reports.maker.run() == 0
    report = await in_store(usage, view["id"])
    assert report.status == "queued"
    assert report.due is not None
    assert report.due > format_time(began + timedelta(seconds=30))
    usage.api.clock.passes(minutes=3)
    assert await app.reports.maker.run() == 1


async def test_a_report_that_kills_whoever_makes_it_is_given_up(usage: Used, monkeypatch: pytest.MonkeyPatch) -> None:
    app = usage.api.app
    monkeypatch.setattr(app.reports.runner, "start", lambda: None)
    view = await asked(usage.mia, MERCHANT)
    await usage.api.drain()
    with monkeypatch.context() as patched:
        _kill_at(patched, app, "reading")
        for _ in range(maker.ATTEMPTS_MAX):
            with pytest.raises(Killed):
                await app.reports.maker.run()
            usage.api.clock.passes(hours=1)
        assert await app.reports.maker.run() == 1
    failed = (await usage.mia.get(f"{MERCHANT}/reports/{view['id']}")).json()
    assert (failed["status"], "never came to an end" in failed["error"]) == ("failed", True)


async def test_a_range_that_is_too_much_at_once_is_read_in_parts(usage: Used, monkeypatch: pytest.MonkeyPatch) -> None:
    from shared.metering.views import summing

    expected = await table(usage, usage.ann, usage.consumer, by=["api_key", "service"])
    days = await table(usage, usage.ann, usage.consumer, by=["api_key", "hour"])
    monkeypatch.setattr(summing, "DOCUMENTS_MAX", 2)
    assert await table(usage, usage.ann, usage.consumer, by=["api_key", "service"]) == expected
    assert await table(usage, usage.ann, usage.consumer, by=["api_key", "hour"]) == days
    assert len(expected) == 3
    monkeypatch.setattr(summing, "DOCUMENTS_MAX", 0)
    view = await asked(usage.ann, usage.consumer)
    await settled(usage.api)
    failed = (await usage.ann.get(f"{usage.consumer}/reports/{view['id']}")).json()
    assert (failed["status"], "shorter range" in failed["error"]) == ("failed", True)


# Schedules


@pytest.fixture
async def scheduled(usage: Used, stopped: datetime) -> dict[str, Any]:
    view = await made(usage, usage.mia, MERCHANT, schedule="monthly", time_zone="Asia/Kolkata")
    return (await usage.mia.get(f"{MERCHANT}/report-schedules/{view['schedule_id']}")).json()


def at(usage: Used, moment: datetime) -> ReportScheduler:
    return ReportScheduler(usage.api.app.reports.store, usage.api.app.audit.journal, lambda: moment)


def _after(months: int) -> datetime:
    """The beginning of the month so many months after the running one, both of them India's as the schedule's are: for
    five and a half hours of each month, UTC's is still the one before."""
    first = utc_now().astimezone(ZoneInfo("Asia/Kolkata")).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for _ in range(months):
        first = (first + timedelta(days=32)).replace(day=1)
    return first.astimezone(UTC)


async def test_a_month_is_reported_once_however_many_timers(usage: Used, scheduled: dict[str, Any]) -> None:
    due = datetime.fromisoformat(scheduled["next_at"])
    assert due == _after(1) + timedelta(hours=1), "a zone's month, and an hour"
    assert await at(usage, due - timedelta(seconds=1)).run() == 0
    asked_for = await asyncio.gather(*(at(usage, due).run() for _ in range(5)))
    assert sum(asked_for) == 1
    assert await at(usage, due).run() == 0
    items = (await usage.mia.get(f"{MERCHANT}/reports")).json()["items"]
    of_month = [item for item in items if item["from"] == f"{format_time(_after(0))[:-5]}Z"]
    assert len(of_month) == 1
    assert of_month[0]["schedule_id"] == scheduled["id"]


async def test_missed_months_are_caught_up(usage: Used, scheduled: dict[str, Any]) -> None:
    assert await at(usage, _after(3) + timedelta(hours=2)).run() == 3
    items = (await usage.mia.get(f"{MERCHANT}/reports")).json()["items"]
    asked_first = min(item["id"] for item in items)
    months = sorted((item["from"], item["to"]) for item in items if item["id"] != asked_first)
    assert len(months) == 3
    assert [to for _, to in months[:-1]] == [start for start, _ in months[1:]], "no gap, no overlap"


async def test_a_deleted_schedule_makes_no_more(usage: Used, scheduled: dict[str, Any]) -> None:
    path = f"{MERCHANT}/report-schedules/{scheduled['id']}"
    assert [item["id"] for item in (await usage.mia.get(f"{MERCHANT}/report-schedules")).json()["items"]] == [
        scheduled["id"]
    ]
    assert (await usage.ann.get(path)).status_code == 404
    assert (await usage.mia.delete(path)).status_code == 428
    tag = (await usage.mia.get(path)).headers["etag"]
    assert (await usage.mia.delete(path, headers={"If-Match": tag})).status_code == 204
    assert await at(usage, _after(3)).run() == 0


async def test_a_kill_between_schedule_and_report_loses_nothing(
    usage: Used, scheduled: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are one transaction; what starts the maker is not needed."""
    monkeypatch.setattr(usage.api.app.reports.runner, "start", lambda: None)
    moment = _after(1) + timedelta(hours=2)
    assert await at(usage, moment).run() == 1
    await usage.api.drain()
    usage.api.clock.moment = moment
    assert await usage.api.app.reports.maker.run() == 1
    stored = await usage.api.app.reports.store.schedule("mer_1", scheduled["id"])
    assert stored is not None
    assert schedule_document(stored.value.id)
    assert datetime.fromisoformat(stored.value.due) > moment.replace(tzinfo=UTC)


async def test_nothing_of_the_system_is_done_by_a_person(usage: Used, scheduled: dict[str, Any]) -> None:
    await at(usage, _after(1) + timedelta(hours=2)).run()
    await settled(usage.api)
    actors = {entry["actor"] for entry in await entries(usage, "report.finish")}
    assert actors == {SYSTEM.account_id}
