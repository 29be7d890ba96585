"""Links to documents: in the audit log before anybody has them, and for a while only."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from shared.audit.models import Actor
from shared.bootstrap import Application
from shared.downloads.service import LINK_S, Downloads
from shared.downloads.views import DownloadLinkView
from shared.kernel.clock import format_time
from shared.platform.documents import DocumentsUnavailable
from shared.settings import load_settings
from tests.support.clock import Clock
from tests.support.embedded import NOW

ACTOR = Actor(account_id="acc_1", role="owner")
NAME = "invoices/mer_1/inv_1.pdf"


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Application]:
    opened = Application(load_settings({"AMS_DATA": str(tmp_path)}), Clock(NOW))
    await opened.ports.blobs.put(NAME, b"%PDF", content_type="application/pdf")
    yield opened
    await opened.close()


@pytest.fixture
def downloads(app: Application) -> Downloads:
    return Downloads(app.ports.blobs, app.audit.journal, app.ports.now)


async def test_a_link_ends_after_minutes_and_is_in_the_audit_log(app: Application, downloads: Downloads) -> None:
    link = await downloads.link(ACTOR, "invoice:inv_1", blob_name=NAME, filename="ACME-1.pdf")
    assert link.expires_at == NOW.replace(microsecond=0) + timedelta(seconds=LINK_S)
    assert NAME in link.url
    assert DownloadLinkView.of(link).model_dump() == {"url": link.url, "expires_at": link.expires_at}
    [entry] = [entry async for entry in app.audit.log.entries(f"{NOW:%Y-%m}")]
    assert (entry.action, entry.resource, entry.actor) == ("invoice.download", "invoice:inv_1", "acc_1")
    assert entry.after == {"blob": NAME, "expires_at": format_time(link.expires_at)}


async def test_there_is_no_link_that_was_not_written_down(
    downloads: Downloads, app: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(*_: object, **__: object) -> None:
        raise DocumentsUnavailable("the store is down")

    monkeypatch.setattr(app.ports.documents, "transact", down)
    with pytest.raises(DocumentsUnavailable):
        await downloads.link(ACTOR, "invoice:inv_1", blob_name=NAME, filename="ACME-1.pdf")


async def test_a_file_name_that_is_none_gets_no_link_and_no_entry(app: Application, downloads: Downloads) -> None:
    with pytest.raises(ValueError):
        await downloads.link(ACTOR, "invoice:inv_1", blob_name=NAME, filename='a"b\r\n')
    assert [entry async for entry in app.audit.log.entries(f"{NOW:%Y-%m}")] == []
