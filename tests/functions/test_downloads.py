"""Downloads by link over a real host, and a report that the host's own process for it made."""

import asyncio
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from shared.bootstrap import Application
from shared.kernel.clock import format_time
from shared.platform.documents.sqlite import SqliteDocuments
from shared.reports.models import Contents, Report
from shared.reports.store import REPORTS, ReportStore, report_document
from shared.settings import load_settings
from tests.support.host.client import Answer
from tests.support.host.hosting import Host, Operator, eventually

LARGE = 3_000_000


def linked(host: Host, name: str, data: bytes, expires_s: int = 60) -> str:
    """The path and query of a link to a new blob, made by another process than the host's."""

    async def make() -> str:
        app = Application(load_settings({"AMS_DATA": str(host.data)}))
        await app.ports.blobs.put(name, data, content_type="text/csv; charset=utf-8", overwrite=True)
        url = await app.ports.blobs.link(name, expires_s=expires_s, filename="usage.csv")
        await app.close()
        return url

    parts = urlsplit(asyncio.run(make()))
    return f"{parts.path}?{parts.query}"


def get(host: Host, target: str) -> Answer:
    return host.client.call("GET", target)


def test_a_link_gives_the_file_to_be_saved(host: Host) -> None:
    data = b"0123456789" * (LARGE // 10)
    answer = get(host, linked(host, "reports/a/b/1.csv", data))
    assert (answer.status, answer.body) == (200, data)
    assert answer.one("content-type") == "text/csv; charset=utf-8"
    assert answer.one("content-length") == str(LARGE)
    assert answer.one("content-disposition") == 'attachment; filename="usage.csv"'
    assert answer.one("x-content-type-options") == "nosniff"
    assert answer.one("cache-control") == "private, no-store"


def test_a_link_that_is_over_says_so(host: Host) -> None:
    target = linked(host, "over", b"x", 1)
    answer = eventually(lambda: get(host, target), lambda answer: answer.status != 200)
    assert answer.json()["code"] == "link_expired"
    assert answer.status == 410


def test_a_link_that_was_changed_is_refused(host: Host) -> None:
    target = linked(host, "mine", b"x")
    other_file, no_query = target.replace("usage.csv", "usage.exe"), target.partition("?")[0]
    outside = "/api/downloads/..%2f..%2fevents.db"
    for changed in (
        target.replace("mine", "over"),
        target[:-1] + "x",
        other_file,
        no_query,
        "/api/downloads/",
        outside,
    ):
        answer = get(host, changed)
        assert answer.status in (403, 404), changed
        assert answer.one("content-type") == "application/problem+json"
    assert get(host, target).status == 200


def test_a_blob_that_was_deleted_is_not_found(host: Host) -> None:
    target = linked(host, "gone", b"x")

    async def delete() -> None:
        app = Application(load_settings({"AMS_DATA": str(host.data)}))
        await app.ports.blobs.delete("gone")
        await app.close()

    asyncio.run(delete())
    assert (get(host, target).status, get(host, target).json()["code"]) == (404, "not_found")


def test_what_nobody_makes_is_made_by_the_timer_in_a_process_of_its_own(host: Host, operator: Operator) -> None:
    customer = operator.customer(operator.service())
    now = datetime.now(UTC)
    report = Report(
        id="rep_timer",
        owner_kind="consumer",
        owner_id=customer.consumer.id,
        contents=Contents(name="Usage", by=("service",), format="csv"),
        start=now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1),
        end=now.replace(hour=0, minute=0, second=0, microsecond=0),
        due=format_time(now),
        created_at=now,
        created_by="acc_1",
    )

    async def in_store(create: bool = False) -> Report:
        documents = SqliteDocuments(host.data / "documents.db")
        if create:
            await documents.create(REPORTS, report.owner_id, report_document(report.id), report.to_json())
        stored = await ReportStore(documents).report(report.owner_id, report.id)
        await documents.close()
        assert stored is not None
        return stored.value

    asyncio.run(in_store(create=True))
    made = eventually(lambda: asyncio.run(in_store()), lambda found: found.status in ("done", "failed"), 90)
    assert (made.status, made.error, made.attempt) == ("done", None, 1)
