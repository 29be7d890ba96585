"""The marketplace's pages over a real host: what search engines read, what is safe, what is cached."""

import json
import re
from html import unescape
from itertools import count
from typing import Any
from xml.etree import ElementTree

import pytest

from shared.catalog.models import Merchant, Service
from tests.support.host.client import Answer, Connection, head
from tests.support.host.hosting import Host, Operator, eventually

_NUMBERS = count(1)
EVIL = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def offered(operator: Operator, **fields: Any) -> tuple[Merchant, Service]:
    """A merchant with one service in the catalogue."""
    merchant = operator.put(operator.merchant(), name="Acme & Söhne")
    service = operator.put(operator.service(merchant=merchant), **{"name": f"Reader {next(_NUMBERS)}", **fields})
    return merchant, service


At = Host | Connection
"""A connection is to one worker. Another worker may know of a service a second later."""


def page(at: At, path: str, method: str = "GET", **headers: str) -> Answer:
    client = at if isinstance(at, Connection) else at.client
    return client.call(method, path, headers=[(name.replace("_", "-"), value) for name, value in headers.items()])


def html(at: At, path: str) -> str:
    answer = page(at, path)
    assert (answer.status, answer.one("content-type")) == (200, "text/html; charset=utf-8"), answer
    return answer.body.decode()


def meta(text: str, name: str) -> str:
    found = re.findall(rf'<meta (?:name|property)="{re.escape(name)}" content="([^"]*)">', text)
    assert len(found) == 1, (name, found)
    return unescape(found[0])


def data(text: str) -> dict[str, Any]:
    found = re.findall(r'<script type="application/ld\+json">(.*?)</script>', text, re.DOTALL)
    assert len(found) == 1, text
    loaded: dict[str, Any] = json.loads(found[0])
    return loaded


def test_a_services_page_tells_search_engines_what_it_is(host: Host, operator: Operator) -> None:
    merchant, service = offered(
        operator,
        description="Reads **pages** of all kinds.\n\n- fast",
        price_model="free",
        pricing="Free for everybody",
        documentation_url="https://docs.example.com/x",
        tags=["text", "scan"],
        category="Vision",
    )
    path = f"/marketplace/{merchant.slug}/{service.slug}"
    url = f"http://127.0.0.1:7071{path}"

    text = html(host, path)

    assert f"<title>{service.name} by Acme &amp; Söhne · AMS</title>" in text
    assert meta(text, "description") == "Reads pages of all kinds. fast"
    assert f'<link rel="canonical" href="{url}">' in text
    assert (meta(text, "og:title"), meta(text, "og:url")) == (f"{service.name} by Acme & Söhne", url)
    assert meta(text, "og:type") == "product"
    assert 'name="robots"' not in text
    structured = data(text)
    assert structured["@context"] == "https://schema.org"
    assert structured["@type"] == ["Product", "WebAPI"]
    assert (structured["name"], structured["url"]) == (service.name, url)
    assert structured["documentation"] == "https://docs.example.com/x"
    assert structured["provider"]["name"] == "Acme & Söhne"
    assert structured["offers"]["price"] == "0"
    assert f'href="http://127.0.0.1:7071/services/{service.slug}"' in text
    assert "<strong>pages</strong>" in text
    assert len(re.findall("<h1", text)) == 1


def test_what_has_no_price_is_no_product(host: Host, operator: Operator) -> None:
    merchant, service = offered(operator)

    structured = data(html(host, f"/marketplace/{merchant.slug}/{service.slug}"))

    assert structured["@type"] == "WebAPI"
    assert "offers" not in structured


def test_nothing_that_a_merchant_writes_becomes_markup_or_script(host: Host, operator: Operator) -> None:
    merchant = operator.put(operator.merchant(), name=EVIL)
    service = operator.put(
        operator.service(merchant=merchant),
        name=EVIL,
        description=EVIL + f"\n\n[x](javascript:alert(1)) {EVIL}",
        pricing=EVIL,
        price_model="custom",
        category=EVIL[:50],
        version=EVIL[:50],
        authentication=EVIL,
        sla=EVIL,
    )
    listed = f"/marketplace?merchant={merchant.slug}"
    with host.client.connect() as connection:
        eventually(lambda: page(connection, listed).body, lambda seen: b"alert(1)" in seen)
        for path in (
            f"/marketplace/{merchant.slug}/{service.slug}",
            f"/marketplace/{merchant.slug}",
            listed,
            "/marketplace?q=%3C%2Fscript%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        ):
            text = html(connection, path)
            assert len(re.findall("<script", text)) == 1, path
            assert len(re.findall("</script", text)) == 1, path
            assert "<img" not in text
            assert not re.search(r'href="\s*javascript', text)
            data(text)
    assert data(html(host, f"/marketplace/{merchant.slug}/{service.slug}"))["name"] == EVIL


def test_the_browser_is_told_to_run_nothing(host: Host, operator: Operator) -> None:
    merchant, service = offered(operator)
    answer = page(host, f"/marketplace/{merchant.slug}/{service.slug}")
    policy = answer.one("content-security-policy")

    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'self'")
    assert "script-src" not in policy
    assert answer.one("x-content-type-options") == "nosniff"


def test_the_host_header_does_not_show(host: Host, operator: Operator) -> None:
    merchant, service = offered(operator)
    for path in (
        f"/marketplace/{merchant.slug}/{service.slug}",
        f"/marketplace/{merchant.slug}",
        "/marketplace",
        "/sitemap.xml",
        "/robots.txt",
        "/marketplace/no/such",
    ):
        with host.client.connect() as connection:
            forged = [("X-Forwarded-Host", "evil.example"), ("Forwarded", "host=evil.example"), ("Connection", "close")]
            connection.send(head("GET", path, forged, host="evil.example"))
            answer = connection.answer()
        assert b"evil.example" not in answer.body, path
        assert "evil.example" not in str(answer.headers)


@pytest.mark.parametrize(
    "path", ["/marketplace/{merchant}/{service}", "/marketplace/{merchant}", "/robots.txt", "/marketplace.css"]
)
def test_pages_have_tags_and_are_not_sent_twice(host: Host, operator: Operator, path: str) -> None:
    merchant, service = offered(operator)
    path = path.format(merchant=merchant.slug, service=service.slug)

    def ask() -> tuple[Answer, Answer, Answer]:
        with host.client.connect() as connection:
            first = page(connection, path)
            tag = first.one("etag") or ""
            return first, page(connection, path, If_None_Match=tag), page(connection, path, "HEAD")

    # The worker may get to know of the service between two of them.
    first, again, only_head = eventually(ask, lambda found: len({answer.one("etag") for answer in found}) == 1)

    assert first.one("etag") is not None
    assert (first.one("cache-control") or "").startswith("public, max-age=")
    assert (again.status, again.body) == (304, b"")
    assert (only_head.status, only_head.body) == (200, b"")


def test_a_changed_service_has_another_page_at_once(host: Host, operator: Operator) -> None:
    merchant, service = offered(operator)
    path = f"/marketplace/{merchant.slug}/{service.slug}"
    tag = page(host, path).one("etag")
    assert tag is not None

    operator.put(service, name="Renamed")

    after = page(host, path, If_None_Match=tag)
    assert after.status == 200
    assert b"Renamed" in after.body


@pytest.mark.parametrize("status", ["draft", "suspended", "retired"])
def test_what_is_not_offered_has_no_page(host: Host, operator: Operator, status: str) -> None:
    merchant, service = offered(operator)
    operator.put(service, status=status)

    assert_missing(page(host, f"/marketplace/{merchant.slug}/{service.slug}"))


def test_an_address_must_be_the_present_one(host: Host, operator: Operator) -> None:
    merchant, service = offered(operator)
    other, private = offered(operator, visibility="private")
    suspended = operator.merchant(status="suspended")

    for path in (
        f"{other.slug}/{service.slug}",
        f"{merchant.slug}/{service.id}",
        f"{merchant.slug}/nothing",
        "nobody",
        f"{other.slug}/{private.slug}",
        suspended.slug,
        f"{merchant.slug}/%00",
        f"{merchant.slug}/%2e%2e",
    ):
        answer = page(host, f"/marketplace/{path}")
        if path.endswith("%00"):
            answer.problem(400, "path_invalid")
        else:
            assert_missing(answer)


def assert_missing(answer: Answer) -> None:
    assert (answer.status, answer.one("content-type")) == (404, "text/html; charset=utf-8"), answer
    assert answer.one("cache-control") == "no-store"
    assert b"There is nothing here" in answer.body
    assert meta(answer.body.decode(), "robots") == "noindex"


def test_an_unlisted_service_has_a_page_that_is_not_for_search_engines(host: Host, operator: Operator) -> None:
    merchant, service = offered(operator, visibility="unlisted")

    assert meta(html(host, f"/marketplace/{merchant.slug}/{service.slug}"), "robots") == "noindex"


def test_the_sitemap_is_complete(host: Host, operator: Operator) -> None:
    merchant, service = offered(operator)
    _, unlisted = offered(operator, visibility="unlisted")
    base = "http://127.0.0.1:7071/marketplace"
    wanted = {base, f"{base}/{merchant.slug}", f"{base}/{merchant.slug}/{service.slug}"}

    found = eventually(lambda: addresses(page(host, "/sitemap.xml")), lambda found: wanted <= set(found))

    assert len(found) == len(set(found))
    assert not [url for url in found if unlisted.slug in url.split("/")]
    assert page(host, "/sitemap.xml?part=2").status == 404
    assert "Sitemap: http://127.0.0.1:7071/sitemap.xml\n" in page(host, "/robots.txt").body.decode()


def addresses(answer: Answer) -> list[str]:
    assert (answer.status, answer.one("content-type")) == (200, "application/xml")
    root = ElementTree.fromstring(answer.body)
    space = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
    assert root.tag == f"{space}urlset"
    return [each.findtext(f"{space}loc") or "" for each in root.iter(f"{space}url")]


def test_the_list_is_searched_filtered_and_paged_by_links(host: Host, operator: Operator) -> None:
    merchant = operator.put(operator.merchant(), name="Many")
    for number in range(30):
        operator.put(operator.service(merchant=merchant), name=f"Quill {number:02}", tags=["ink"])
    path = f"/marketplace?q=quil&merchant={merchant.slug}&tag=ink&sort=name"
    with host.client.connect() as connection:
        first = eventually(lambda: html(connection, path), lambda seen: "30 services" in seen)
        assert "Quill 23" in first
        assert "Quill 24" not in first

        [more] = re.findall(r'<p class="more"><a href="([^"]*)"', first)
        second = html(connection, unescape(more))

    assert "Quill 23" not in second
    assert [f"Quill {number}" in second for number in range(24, 30)] == [True] * 6
    assert meta(second, "robots") == "noindex"
    assert page(host, "/marketplace?cursor=nonsense").status == 400


def test_what_no_function_has_is_the_portals_and_the_api_answers_for_itself(host: Host) -> None:
    page(host, "/api/nothing").problem(404, "not_found")
    assert page(host, "/marketplace/a/b/c").status == 404
    assert host.client.call("POST", "/marketplace").problem(405, "method_not_allowed")
    assert page(host, "/api/docs").one("content-type") == "text/html; charset=utf-8"
