"""What belongs to a service beside its fields: OpenAPI document, upstream secret, logo."""

import asyncio
import io
import json
import logging
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from shared.audit.journal import Journal
from shared.catalog.openapi import service as descriptions
from shared.catalog.tasks import ForgetSecret
from tests.support.api.services_market import ServicesMarket

SECRET = "Bearer s3cr3t-value-of-the-merchant"
DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Weather", "version": "1"},
    "servers": [{"url": "https://weather.example"}],
    "paths": {
        "/now/{city}": {
            "parameters": [{"$ref": "#/components/parameters/City"}],
            "get": {
                "operationId": "now",
                "summary": "The weather now",
                "parameters": [{"name": "unit", "in": "query", "schema": {"type": "string"}}],
                "responses": {"200": {"description": "it", "content": {"application/json": {"example": {"c": 21}}}}},
            },
        }
    },
    "components": {
        "parameters": {"City": {"name": "city", "in": "path", "required": True, "schema": {"type": "string"}}}
    },
}


async def put(
    market: ServicesMarket, service_id: str, content: bytes, kind: str = "application/json"
) -> httpx.Response:
    headers = {"Content-Type": kind, **await market.etag(service_id)}
    return await market.mia.put(f"/api/v1/services/{service_id}/openapi", content=content, headers=headers)


async def set_secret(market: ServicesMarket, service_id: str, value: str = SECRET) -> httpx.Response:
    path, body = f"/api/v1/services/{service_id}/upstream-secret", {"header": "Authorization", "value": value}
    return await market.mia.put(path, json=body, headers=await market.etag(service_id))


def kept_secrets(market: ServicesMarket) -> dict[str, str]:
    folder = market.api.app.settings.ams_data / "secrets"
    return {file.name: file.read_text() for file in folder.iterdir()} if folder.exists() else {}


# OpenAPI


async def test_a_document_is_vetted_kept_and_read(market: ServicesMarket) -> None:
    service_id = await market.drafted()
    path = f"/api/v1/services/{service_id}"
    assert (await market.mia.get(f"{path}/openapi")).status_code == 404

    answered = await put(market, service_id, json.dumps(DOCUMENT).encode())

    assert (answered.status_code, answered.json()["openapi"]) == (200, True)
    document = (await market.mia.get(f"{path}/openapi")).json()
    assert document["servers"] == [{"url": "/api/consume/weather"}]
    assert document["paths"] == DOCUMENT["paths"]
    (operation,) = (await market.mia.get(f"{path}/operations")).json()["items"]
    assert (operation["method"], operation["path"], operation["operation_id"]) == ("GET", "/now/{city}", "now")
    assert [(p["name"], p["place"], p["required"]) for p in operation["parameters"]] == [
        ("city", "path", True),
        ("unit", "query", False),
    ]
    assert json.loads(operation["response"]) == {"c": 21}


async def test_yaml_is_taken_with_its_content_type_and_without(market: ServicesMarket) -> None:
    service_id = await market.drafted()
    text = b"openapi: 3.0.3\ninfo: {title: Weather, version: 2024-01-01}\npaths: {}\n"
    for kind in ("application/yaml", "application/octet-stream"):
        assert (await put(market, service_id, text, kind)).status_code == 200
    refused = await put(market, service_id, text, "application/json")
    assert (refused.status_code, refused.json()["code"]) == (400, "openapi_invalid")


async def test_a_refusal_names_pointer_and_rule_and_keeps_nothing(market: ServicesMarket) -> None:
    service_id = await market.drafted()
    broken = {**DOCUMENT, "paths": {"/a": {"$ref": "http://127.0.0.1:9/x"}}}
    refused = await put(market, service_id, json.dumps(broken).encode())
    assert (refused.status_code, refused.json()["code"]) == (400, "openapi_invalid")
    assert refused.json()["errors"] == [
        {"field": "#/paths/~1a/$ref", "rule": "must refer to this document: start with `#/`"}
    ]
    assert (await market.read(service_id))["openapi"] is False
    assert [name async for name in market.api.app.ports.blobs.list("openapi/")] == []


async def test_a_document_over_two_mebibytes_is_refused(market: ServicesMarket) -> None:
    service_id = await market.drafted()
    refused = await put(market, service_id, b" " * (descriptions.DOCUMENT_BYTES_MAX + 1))
    assert (refused.status_code, refused.json()["code"]) == (413, "openapi_too_large")


@pytest.mark.parametrize(
    "schemas",
    [
        {"A": {"type": "string", "pattern": "^(a+)+$", "default": "a" * 40 + "!"}},
        {f"S{n}": {"allOf": [{"$ref": f"#/components/schemas/S{n + 1}"}] * 2} for n in range(60)} | {"S60": {}},
    ],
    ids=["a regular expression", "doubling references"],
)
async def test_a_document_that_takes_for_ever_is_stopped(
    market: ServicesMarket, monkeypatch: pytest.MonkeyPatch, schemas: dict[str, Any]
) -> None:
    monkeypatch.setattr(descriptions, "VET_S_MAX", 4.0)
    service_id = await market.drafted()
    refused = await put(
        market, service_id, json.dumps({**DOCUMENT, "components": {"schemas": schemas}, "paths": {}}).encode()
    )
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "#")


async def test_a_live_services_document_waits_for_approval(market: ServicesMarket) -> None:
    service_id = await market.active()
    path = f"/api/v1/services/{service_id}"
    body = (await put(market, service_id, json.dumps(DOCUMENT).encode())).json()
    assert (body["openapi"], body["review"], body["revision"]["values"]) == (False, "revision", {"openapi": True})
    assert (await market.mia.get(f"{path}/openapi")).status_code == 404
    assert (await market.root.get(f"{path}/operations?proposed=true")).json()["items"][0]["operation_id"] == "now"
    assert (await market.decide(service_id, "approve")).json()["openapi"] is True
    assert (await market.mia.get(f"{path}/openapi")).status_code == 200


async def test_nothing_secret_is_in_the_environment_of_the_process_that_reads_documents(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: dict[str, Any] = {}
    start = asyncio.create_subprocess_exec

    async def note(*command: str, **options: Any) -> Any:
        started.update(options)
        return await start(*command, **options)

    monkeypatch.setenv("AMS_SECRET_A", "value")
    monkeypatch.setattr(asyncio, "create_subprocess_exec", note)
    answered = await descriptions._in_a_process(json.dumps(DOCUMENT).encode(), "json", "/")
    assert "document" in answered
    assert not any(name.startswith("AMS_") for name in started["env"])


# The upstream's secret


async def test_a_secret_is_kept_and_never_shown(market: ServicesMarket, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    service_id = await market.active()
    answered = await set_secret(market, service_id)
    assert answered.status_code == 200
    assert answered.json()["upstream"]["auth_header"] == "Authorization"
    (name,) = kept_secrets(market)
    service = await market.api.app.catalog.store.service(service_id)
    assert service is not None
    assert service.upstream is not None
    assert service.upstream.auth_secret == name
    assert kept_secrets(market)[name] == SECRET

    log = market.api.app.audit.log
    entries = [entry for month in await log.months() async for entry in log.entries(month)]
    seen = [answered.text, (await market.mia.get(f"/api/v1/services/{service_id}")).text, caplog.text]
    seen += [entry.model_dump_json() for entry in entries] + [service.model_dump_json()]
    assert not any("s3cr3t" in text for text in seen)
    assert name not in answered.text
    assert (await market.read(service_id))["revision"] is None  # it holds at once


async def test_a_replaced_secret_is_deleted_when_nobody_uses_it_any_more(market: ServicesMarket) -> None:
    service_id = await market.drafted()
    await set_secret(market, service_id, "one")
    await set_secret(market, service_id, "two")
    assert sorted(kept_secrets(market).values()) == ["one", "two"]
    await market.api.drain()

    app = market.api.app
    later = Journal(app.ports.documents, app.audit.log.append, lambda: datetime.now(UTC) + timedelta(minutes=3))
    later.on(ForgetSecret, app.catalog.upstream_secrets.on_forget)
    assert await later.deliver_due() == 1
    assert list(kept_secrets(market).values()) == ["two"]


async def test_a_removed_secret_is_not_sent_any_more(market: ServicesMarket) -> None:
    service_id = await market.drafted()
    await set_secret(market, service_id)
    path = f"/api/v1/services/{service_id}/upstream-secret"
    body = (await market.mia.delete(path, headers=await market.etag(service_id))).json()
    assert body["upstream"]["auth_header"] is None


async def test_a_lost_race_leaves_no_secret_behind(market: ServicesMarket) -> None:
    service_id = await market.drafted()
    etag = await market.etag(service_id)
    path = f"/api/v1/services/{service_id}/upstream-secret"
    answers = await asyncio.gather(
        *(market.mia.put(path, json={"header": "X-Key", "value": f"v{n}"}, headers=etag) for n in range(10))
    )
    assert sorted({a.status_code for a in answers} - {409, 412}) == [200]
    assert sum(a.status_code == 200 for a in answers) == 1
    assert len(kept_secrets(market)) == 1


async def test_a_kill_before_the_service_names_it_leaves_a_secret_that_nobody_uses(
    market: ServicesMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    service_id = await market.drafted()

    async def die(*_: Any, **__: Any) -> Any:
        raise RuntimeError("killed")

    monkeypatch.setattr(market.api.app.ports.documents, "transact", die)
    assert (await set_secret(market, service_id)).status_code == 500
    monkeypatch.undo()
    assert len(kept_secrets(market)) == 1
    service = await market.api.app.catalog.store.service(service_id)
    assert service is not None
    assert service.upstream is not None
    assert service.upstream.auth_secret is None


@pytest.mark.parametrize(
    "body",
    [
        {"header": "Host", "value": "x"},
        {"header": "content-length", "value": "1"},
        {"header": "X-AMS-Key", "value": "x"},
        {"header": "X Y", "value": "x"},
        {"header": "X-Key", "value": "a\r\nX-Other: b"},
        {"header": "X-Key", "value": ""},
        {"header": "X-Key", "value": "x", "secret": "key-pepper-v1"},
    ],
)
async def test_a_header_that_could_change_the_call_is_refused(market: ServicesMarket, body: dict[str, str]) -> None:
    service_id = await market.drafted()
    path = f"/api/v1/services/{service_id}/upstream-secret"
    refused = await market.mia.put(path, json=body, headers=await market.etag(service_id))
    assert (refused.status_code, refused.json()["code"]) == (400, "request_invalid")
    assert kept_secrets(market) == {}


async def test_a_secret_needs_an_upstream(market: ServicesMarket) -> None:
    assert (await set_secret(market, await market.drafted(upstream=None))).json()["code"] == "service_incomplete"


async def test_secrets_are_for_their_owner_only(market: ServicesMarket) -> None:
    await set_secret(market, await market.drafted())
    (name,) = kept_secrets(market)
    assert mode(market.api.app.settings.ams_data / "secrets" / name) == 0o600


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


# The logo


def picture(kind: str = "PNG", side: int = 8) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (side, side), "red").save(made, kind)
    return made.getvalue()


async def test_a_logo_is_drawn_anew_and_taken_away(market: ServicesMarket) -> None:
    service_id = await market.active()
    path = f"/api/v1/services/{service_id}/logo"
    sent = picture("JPEG") + b"<script>alert(1)</script>"
    body = (await market.mia.put(path, content=sent, headers=await market.etag(service_id))).json()
    assert body["revision"] is None  # it applies at once
    blob = await market.api.app.ports.blobs.get(body["logo_url"].removeprefix("/api/v1/"))
    assert blob is not None
    assert blob.data.startswith(b"\x89PNG")
    assert b"script" not in blob.data
    body = (await market.mia.delete(path, headers=await market.etag(service_id))).json()
    assert body["logo_url"] is None


async def test_what_is_no_picture_is_no_logo(market: ServicesMarket) -> None:
    service_id = await market.drafted()
    path = f"/api/v1/services/{service_id}/logo"
    for sent in (b"", b"<svg onload='alert(1)'/>", picture(side=2_000)):
        refused = await market.mia.put(path, content=sent, headers=await market.etag(service_id))
        assert (refused.status_code, refused.json()["code"]) == (400, "image_invalid")
    assert (await market.mia.put(path, content=picture())).status_code == 428
