"""The composition root: built lazily, ready when its parts are, closed once."""

from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import pytest

from shared import bootstrap
from shared.bootstrap import Application
from shared.platform.documents import DocumentsUnavailable
from shared.platform.secrets import SecretMissing
from shared.settings import load_settings
from tests.support.clock import Clock


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Application:
    monkeypatch.setenv("AMS_SECRET_KEY_PEPPER_V1", "pepper one")
    monkeypatch.setenv("AMS_SECRET_KEY_PEPPER_V2", "pepper two")
    return Application(load_settings({"AMS_DATA": str(tmp_path / "data")}))


async def test_nothing_is_opened_before_it_is_used(app, tmp_path):
    assert app.metering.queries is app.metering.queries
    assert [path.name for path in (tmp_path / "data").iterdir() if path.suffix == ".db"] == ["documents.db"]
    await app.close()


async def test_with_all_parts_the_application_is_ready(app):
    assert await app.readiness() == dict.fromkeys(("documents", "events", "blobs", "secrets", "spool"))
    await app.close()


async def test_what_cannot_be_closed_leaves_nothing_else_open(app, monkeypatch):
    async def fail() -> None:
        raise RuntimeError("cannot be closed")

    documents = app.ports.documents
    monkeypatch.setattr(app.reports, "close", fail)
    with pytest.raises(RuntimeError, match="cannot be closed"):
        await app.close()
    with pytest.raises(DocumentsUnavailable):
        await documents.ready()


async def test_a_missing_pepper_is_told_by_readiness(app, monkeypatch):
    monkeypatch.delenv("AMS_SECRET_KEY_PEPPER_V1")
    state = await app.readiness()
    assert [name for name, reason in state.items() if reason] == ["secrets"]
    assert "key-pepper-v1" in state["secrets"]
    await app.close()


async def test_during_a_change_of_pepper_keys_are_found_under_both(tmp_path, app):
    changing = {"AMS_KEY_PEPPER_VERSION": "2", "AMS_KEY_PEPPER_PREVIOUS_VERSION": "1", "AMS_DATA": str(tmp_path)}
    old, both = await app.access.load_hasher(), await Application(load_settings(changing)).access.load_hasher()
    assert both.hash("key").startswith("v2.")
    assert both.candidates("key") == [both.hash("key"), old.hash("key")]


async def test_without_its_pepper_no_hasher_is_made(tmp_path, app):
    with pytest.raises(SecretMissing):
        await Application(load_settings({"AMS_KEY_PEPPER_VERSION": "3"})).access.load_hasher()


async def test_the_application_of_a_process_is_one_until_it_is_closed(monkeypatch, tmp_path):
    monkeypatch.setenv("AMS_DATA", str(tmp_path))
    monkeypatch.setattr(bootstrap, "_application", None)
    first = bootstrap.application()
    assert bootstrap.application() is first
    await bootstrap.close()
    assert bootstrap.application() is not first
    await bootstrap.close()
    await bootstrap.close()


async def test_every_service_has_the_applications_clock(tmp_path: Path) -> None:
    """A service that is made without it would read the machine's, and its tests could not move it."""
    clock = Clock(datetime(2026, 3, 15, tzinfo=UTC))
    app = Application(load_settings({"AMS_DATA": str(tmp_path), "AMS_OIDC_ISSUERS": "[]"}), clock)
    services = {
        f"{noun}.{name}": getattr(parts, name)
        for noun, parts in vars(app).items()
        for name, kind in vars(type(parts)).items()
        if noun != "ports" and isinstance(kind, cached_property)
    }
    clocks = {
        name: held
        for name, service in services.items()
        for field in ("now", "_now")
        if (held := getattr(service, field, None)) is not None
    }
    assert len(clocks) > 35
    assert {name for name, held in clocks.items() if held is not clock} == set()
    await app.close()
