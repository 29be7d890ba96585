"""The public catalogue over HTTP: what is found, who sees what, and how it is cached."""

import json
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from shared.access.models import Grant
from shared.catalog.models import CallLimits, Merchant, Service, ServiceVersion
from shared.catalog.store import SERVICES, version_document
from shared.kernel.clock import utc_now
from tests.support.api.harness import Api, Person

CATALOG = "/api/v1/catalog"


_order = count()
"""Made one after the other, however fast."""


async def offer(api: Api, slug: str, merchant: str = "acme", **fields: Any) -> Service:
    await api.builder.put(Merchant(id=f"mer_{merchant}", slug=merchant, name=merchant.title(), status="active"))
    values = {
        "name": slug.title(),
        "status": "active",
        "created_at": utc_now() + timedelta(seconds=next(_order)),
        **fields,
    }
    service = Service(id=f"svc_{slug}", slug=slug, merchant_id=f"mer_{merchant}", **values)
    await api.builder.put(service)
    return service


async def found(api: Api, query: str = "") -> list[str]:
    answer = await api.anonymous.get(f"{CATALOG}/services?{query}")
    assert answer.status_code == 200, answer.text
    return [item["slug"] for item in answer.json()["items"]]


async def test_a_card_says_what_a_list_shows(api: Api) -> None:
    await offer(
        api, "ocr", description="**Reads** pages.", tags=("text",), category="Vision", price_model="free", version="2"
    )

    [item] = (await api.anonymous.get(f"{CATALOG}/services")).json()["items"]

    assert item == {
        "slug": "ocr",
        "name": "Ocr",
        "type": "api",
        "summary": "Reads pages.",
        "category": "Vision",
        "tags": ["text"],
        "version": "2",
        "price_model": "free",
        "pricing": "",
        "logo_url": None,
        "page_url": "/marketplace/acme/ocr",
        "merchant": {"slug": "acme", "name": "Acme", "page_url": "/marketplace/acme"},
    }


async def test_words_filters_and_order(api: Api) -> None:
    await offer(api, "rain", type="api", category="Weather", tags=("live", "geo"), price_model="free")
    await offer(
        api, "snow", type="image", category="Weather", tags=("live",), price_model="per_unit", description="no rain"
    )
    await offer(api, "bank", "other", category="Money", tags=("geo",))

    assert await found(api, "q=rain") == ["rain", "snow"]
    assert await found(api, "q=other") == ["bank"], "by the merchant's name"
    assert await found(api, "q=raim") == ["rain", "snow"], "one wrong letter is forgiven"
    assert await found(api, "type=image") == ["snow"]
    assert await found(api, "category=Weather&sort=name") == ["rain", "snow"]
    assert await found(api, "tag=live&tag=geo") == ["rain"]
    assert await found(api, "merchant=other") == ["bank"]
    assert await found(api, "price_model=free") == ["rain"]
    assert await found(api, "sort=newest") == ["bank", "snow", "rain"]


async def test_facets_count_for_the_query(api: Api) -> None:
    await offer(api, "rain", category="Weather", tags=("live",))
    await offer(api, "snow", type="image", category="Weather", tags=("live", "geo"))

    page = (await api.anonymous.get(f"{CATALOG}/services?type=image&facets=true")).json()
    alone = (await api.anonymous.get(f"{CATALOG}/facets?type=image")).json()

    assert page["total"] == 1
    assert page["facets"] == alone
    assert alone["type"] == [{"value": "api", "count": 1}, {"value": "image", "count": 1}]
    assert alone["tag"] == [{"value": "geo", "count": 1}, {"value": "live", "count": 1}]
    assert alone["merchant"] == [{"value": "acme", "count": 1}]


@pytest.mark.parametrize("query", ["", "q=service", "sort=name", "q=service&sort=newest"])
async def test_pages_cover_everything_once_and_cursors_belong_to_their_query(api: Api, query: str) -> None:
    for number in range(7):
        await offer(api, f"s{number}", name=f"Service {number}")
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await api.anonymous.get(f"{CATALOG}/services?{query}&limit=3{cursor}")).json()
        seen += [item["slug"] for item in page["items"]]
        assert page["total"] == 7
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"

    assert sorted(seen) == [f"s{number}" for number in range(7)]
    elsewhere = await api.anonymous.get(f"{CATALOG}/services?{query}&category=x{cursor}")
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (400, "cursor_invalid")


@pytest.mark.parametrize("position", [["svc_a"], ["svc_a", None], ["svc_a", 1.5], [1, "x"], "x", ["svc_a", [1]]])
async def test_a_cursor_that_was_made_up_is_refused(api: Api, position: object) -> None:
    from shared.catalog.marketplace.search import CatalogQuery
    from shared.kernel.http.paging import encode_cursor

    await offer(api, "ocr")
    cursor = encode_cursor(CatalogQuery(sort="name").name, position)

    answer = await api.anonymous.get(f"{CATALOG}/services?sort=name&cursor={cursor}")

    assert (answer.status_code, answer.json()["code"]) == (400, "cursor_invalid")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "type=other", "sort=best", "price_model=x", "q=" + "x" * 201]
)
async def test_bad_parameters_are_named(api: Api, query: str) -> None:
    answer = await api.anonymous.get(f"{CATALOG}/services?{query}")

    assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid")
    assert answer.json()["errors"][0]["field"] == query.partition("=")[0]


async def test_a_detail_has_everything_a_consumer_decides_by_and_nothing_of_the_inside(api: Api) -> None:
    secret = {"base_url": "https://inner.example", "auth_secret": "hidden-name"}
    service = await offer(
        api,
        "ocr",
        description="# Hi\n<script>alert(1)</script> [x](javascript:alert(1))",
        limits=CallLimits(per_minute=5),
        openapi="openapi/svc_ocr/1.json",
        upstream=secret,
        reason="an admin's words",
    )
    for number in (1, 2):
        version = ServiceVersion(number=number, version=f"{number}.0", notes="new", made_by="acc_1", made_at=utc_now())
        await api.app.ports.documents.create(SERVICES, service.id, version_document(number), version.to_json())
    example = {"content": {"application/json": {"example": {"x": 1}}}}
    paths = {"/read": {"post": {"summary": "Read", "responses": {"200": example}}}}
    data = json.dumps({"paths": paths}).encode()
    await api.app.ports.blobs.put("openapi/svc_ocr/1.json", data, content_type="application/json")

    answer = await api.anonymous.get(f"{CATALOG}/services/ocr")
    detail = answer.json()

    assert answer.status_code == 200
    assert (detail["merchant"]["slug"], detail["limits"]["per_minute"]) == ("acme", 5)
    assert [version["version"] for version in detail["versions"]] == ["2.0", "1.0"]
    assert detail["operations"] == [
        {"method": "POST", "path": "/read", "summary": "Read", "request": None, "response": '{\n  "x": 1\n}'}
    ]
    assert "<h3>Hi</h3>" in detail["description_html"]
    assert "<script" not in detail["description_html"]
    assert "href" not in detail["description_html"]
    for inside in ("inner.example", "hidden-name", "an admin's words", "acc_1", "upstream"):
        assert inside not in answer.text


@pytest.mark.parametrize("status", ["draft", "pending_approval", "rejected", "suspended", "retired"])
async def test_only_active_services_are_there(api: Api, status: str) -> None:
    await offer(api, "ocr", status=status)

    assert await found(api) == []
    assert (await api.anonymous.get(f"{CATALOG}/services/ocr")).status_code == 404


@pytest.mark.parametrize("status", ["pending", "rejected", "suspended", "disabled"])
async def test_only_services_of_active_merchants_are_there(api: Api, status: str) -> None:
    service = await offer(api, "ocr")
    merchant = Merchant(id="mer_acme", slug="acme", name="Acme", status=status)  # type: ignore[arg-type]  # a status
    await api.builder.put(merchant)
    await api.builder.put(service)

    assert await found(api) == []
    assert (await api.anonymous.get(f"{CATALOG}/services/ocr")).status_code == 404
    assert (await api.anonymous.get(f"{CATALOG}/merchants/acme")).status_code == 404


async def test_an_unlisted_service_is_found_by_its_slug_only(api: Api) -> None:
    await offer(api, "ocr", visibility="unlisted")

    assert await found(api) == []
    assert (await api.anonymous.get(f"{CATALOG}/services/ocr")).json()["visibility"] == "unlisted"
    assert (await api.anonymous.get(f"{CATALOG}/services/svc_ocr")).status_code == 404, "ids are not addresses"
    assert (await api.anonymous.get(f"{CATALOG}/merchants/acme")).json()["services"] == []


async def test_an_admins_visibility_wins(api: Api) -> None:
    await offer(api, "ocr", visibility="public", visibility_override="unlisted")
    await offer(api, "tts", visibility="private", visibility_override="public")

    assert await found(api) == ["tts"]


async def _sees(person: Person) -> int:
    return (await person.get(f"{CATALOG}/services/ocr")).status_code


async def test_a_private_service_exists_for_those_who_may_use_or_run_it(api: Api) -> None:
    await offer(api, "ocr", visibility="private")
    ann, ben, admin = await api.sign_in("Ann"), await api.sign_in("Ben"), await api.sign_in("Root", admin=True)
    grant = Grant(consumer_id=ann.account.consumer_id, service_id="svc_ocr", status="approved")
    await api.builder.put(grant)

    assert [await _sees(person) for person in (ann, ben, admin, api.anonymous)] == [200, 404, 200, 404]
    answer = await ann.get(f"{CATALOG}/services/ocr")
    assert (answer.headers["Cache-Control"], answer.headers["Vary"]) == ("private, no-store", "Authorization")

    for less in ({"status": "withdrawn"}, {"status": "requested"}, {"restricted": True}):
        await api.builder.put(grant.model_copy(update=less))
        assert await _sees(ann) == 404


async def test_a_bad_token_is_as_none(api: Api) -> None:
    await offer(api, "ocr", visibility="private")
    await offer(api, "tts")
    bad = {"Authorization": "Bearer nonsense"}

    assert (await api.anonymous.get(f"{CATALOG}/services/ocr", headers=bad)).status_code == 404
    assert (await api.anonymous.get(f"{CATALOG}/services/tts", headers=bad)).status_code == 200


async def test_a_merchants_profile_lists_its_services(api: Api) -> None:
    await offer(api, "b")
    await offer(api, "a")
    await offer(api, "c", "other")

    profile = (await api.anonymous.get(f"{CATALOG}/merchants/acme")).json()

    assert (profile["slug"], profile["name"], profile["services_total"]) == ("acme", "Acme", 2)
    assert [service["slug"] for service in profile["services"]] == ["a", "b"]
    assert (await api.anonymous.get(f"{CATALOG}/merchants/nobody")).status_code == 404


@pytest.mark.parametrize("path", ["services", "services/ocr", "facets", "merchants/acme"])
async def test_what_did_not_change_is_not_sent_again(api: Api, path: str) -> None:
    await offer(api, "ocr")
    first = await api.anonymous.get(f"{CATALOG}/{path}")
    assert first.headers["Cache-Control"].startswith("public, max-age=")
    same = {"If-None-Match": f'"other", {first.headers["ETag"]}'}

    again = await api.anonymous.get(f"{CATALOG}/{path}", headers=same)
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])

    await offer(api, "ocr", name="Another", category="Changed")
    changed = await api.anonymous.get(f"{CATALOG}/{path}", headers=same)
    assert changed.status_code == 200
    assert changed.headers["ETag"] != first.headers["ETag"]
