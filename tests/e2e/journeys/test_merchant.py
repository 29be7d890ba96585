"""A merchant's journey: from the invitation in the mail to an alert on the first customer's calls."""

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from PIL import Image
from standardwebhooks import Webhook

from tests.emulators.receiver import Receiver
from tests.emulators.upstream import UpstreamPeer
from tests.support.journeys.people import CREATED, EMPTY, PROMISE_S, Market, Person, only, until
from tests.support.journeys.steps import Shop, code_of, make_key, subscribe

EMAIL = "mel@example.com"
CALLS = 3
OPENAPI = """
openapi: 3.1.0
info: {title: Weather, version: "1"}
paths:
  /forecast:
    get:
      operationId: forecast
      summary: What it will be like
      responses:
        "200": {description: A forecast}
"""


def test_a_merchant_from_the_invitation_to_the_first_customers(
    market: Market, admin: Person, upstream: UpstreamPeer
) -> None:
    shop = becomes_a_merchant(market, admin)
    completes_the_profile(shop)
    service = drafts_a_service(shop, upstream)
    is_rejected_mends_and_is_approved(market, admin, shop, service)
    is_found(market, service)
    changes_the_price(admin, shop, service)
    key = gets_a_customer(market, admin, shop, service)
    restricts_and_unblocks(market, shop, service, key)
    is_alerted(market, shop, service, key)


def becomes_a_merchant(market: Market, admin: Person) -> Shop:
    invite = admin.post("/admin/invites", {"email": EMAIL, "note": "met at the fair"}, CREATED)
    code = code_of(market.mail(EMAIL, "invite"))
    assert code == invite["code"]

    stranger = market.sign_in("stranger@example.com")
    registration = {"invite_code": code, "slug": "meteo", "name": "Meteo Works"}
    stranger.refused("POST", "/merchant-registrations", 404, "invite_invalid", registration)

    mel = market.sign_in(EMAIL, "Mel")
    registered = mel.post("/merchant-registrations", registration, CREATED)
    assert registered["status"] == "pending"
    mel.refused("POST", "/merchant-registrations", 404, "invite_invalid", {**registration, "slug": "again"})
    waiting = only(admin.get("/admin/merchants", status="pending")["items"])
    activate = f"/admin/merchants/{waiting['id']}/activate"
    assert admin.post(activate, {"reason": "papers are fine"})["status"] == "active"
    market.mail(EMAIL, "active")
    return Shop(mel, registered["id"], "meteo")


def completes_the_profile(shop: Shop) -> None:
    changed = shop.person.change(shop.path, json={"legal_name": "Meteo Works GmbH", "tax_id": "DE123456789"})
    assert changed["legal_name"] == "Meteo Works GmbH"
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(picture, "PNG")
    logo = {"content": picture.getvalue()}
    with_logo = shop.person.put_part(shop.path, "/logo", **logo)
    assert shop.person.send("GET", with_logo["logo_url"].removeprefix("/api/v1")).headers["content-type"] == "image/png"


def drafts_a_service(shop: Shop, upstream: UpstreamPeer) -> dict[str, Any]:
    draft = {
        "slug": "forecast",
        "name": "Forecast",
        "description": "The *weather* of tomorrow.",
        "category": "Weather",
        "tags": ["forecast"],
        "pricing": "Free for now",
        "price_model": "free",
        "upstream": {"base_url": f"{upstream.url}/v1"},
    }
    service: dict[str, Any] = shop.person.post(f"{shop.path}/services", draft, CREATED)
    assert service["status"] == "draft"
    path = f"/services/{service['id']}"
    shop.person.put_part(path, "/openapi", content=OPENAPI)
    operation = only(shop.person.get(f"{path}/operations")["items"])
    assert (operation["method"], operation["path"]) == ("GET", "/forecast")
    tested = shop.person.post(f"{path}/test-connection", {"path": "/forecast"})
    assert (tested["reachable"], tested["status"]) == (True, 200)
    assert only(upstream.at("/v1/forecast")).method == "GET"
    return service


def is_rejected_mends_and_is_approved(market: Market, admin: Person, shop: Shop, service: dict[str, Any]) -> None:
    path = f"/services/{service['id']}"
    assert shop.person.post(f"{path}/submit")["status"] == "pending_approval"
    assert only(admin.get("/admin/services/review")["items"])["service"]["id"] == service["id"]
    reason = "Say where the data come from."
    assert admin.post(f"/admin{path}/reject", {"reason": reason})["status"] == "rejected"
    assert reason in market.mail(EMAIL, "is not approved")
    assert shop.person.get(path)["reason"] == reason

    shop.person.change(path, json={"description": "The *weather* of tomorrow, from our own stations."})
    shop.person.post(f"{path}/submit")
    assert admin.post(f"/admin{path}/approve")["status"] == "active"
    assert admin.get("/admin/services/review")["items"] == []


def is_found(market: Market, service: dict[str, Any]) -> None:
    def found() -> Any:
        return market.http.get("/api/v1/catalog/services", params={"q": "forecats"}).json()["items"]

    assert only(until(found, "the service in the catalogue"))["slug"] == service["slug"]
    page_url = "/marketplace/meteo/forecast"
    page = market.http.get(page_url)
    assert page.status_code == 200
    assert "from our own stations" in page.text
    assert page_url in market.http.get("/sitemap.xml").text


def changes_the_price(admin: Person, shop: Shop, service: dict[str, Any]) -> None:
    path = f"/services/{service['id']}"
    edited = shop.person.change(path, json={"pricing": "1 EUR per 1,000 calls", "notes": "We have costs."})
    assert (edited["status"], edited["pricing"]) == ("active", "Free for now")
    assert edited["revision"]["values"] == {"pricing": "1 EUR per 1,000 calls"}
    review = only(admin.get("/admin/services/review")["items"])
    change = only(review["changes"])
    assert (change["field"], change["before"]) == ("pricing", "Free for now")
    approved = admin.post(f"/admin{path}/approve")
    assert (approved["pricing"], approved["revision"]) == ("1 EUR per 1,000 calls", None)
    assert "We have costs." in [version["notes"] for version in shop.person.get(f"{path}/versions")["items"]]


def gets_a_customer(market: Market, admin: Person, shop: Shop, service: dict[str, Any]) -> str:
    cora = market.sign_in("cora@example.com", "Cora")
    subscribe(cora, admin, service["id"])
    key: str = make_key(cora, service["id"])["key"]
    for _ in range(CALLS):
        assert market.call(key, "forecast", "today").status_code == 200
    market.count()
    today = datetime.now(UTC).date()  # or yesterday, when a midnight has come since
    days = {"from": str(today - timedelta(days=1)), "to": str(today + timedelta(days=1))}
    used = shop.person.get(f"{shop.path}/usage", group_by="consumer", **days)
    line = only(used["items"])
    assert line["requests"] == used["total"]["requests"] == CALLS
    shown = json.dumps([line, shop.person.get(f"{shop.path}/subscribers")])
    assert line["pseudonym"] == only(shop.person.get(f"{shop.path}/subscribers")["items"])["pseudonym"]
    assert not any(secret in shown for secret in ("Cora", cora.email, cora.account["consumer_id"], key))
    return key


def restricts_and_unblocks(market: Market, shop: Shop, service: dict[str, Any], key: str) -> None:
    pseudonym = only(shop.person.get(f"{shop.path}/subscribers")["items"])["pseudonym"]
    path = f"{shop.path}/subscribers/{pseudonym}"
    shop.person.post(f"{path}/restrict", {"reason": "scrapes everything"})
    market.calls_become(403, "consumer_restricted", key, service["slug"], PROMISE_S)
    assert "scrapes everything" in market.mail("cora@example.com", "restrict")
    shop.person.post(f"{path}/unblock", {"reason": "promised to behave"})
    market.calls_become(200, None, key, service["slug"], PROMISE_S)


def is_alerted(market: Market, shop: Shop, service: dict[str, Any], key: str) -> None:
    with Receiver() as receiver:
        webhook = shop.person.post(f"{shop.path}/webhooks", {"url": receiver.url}, CREATED)
        rule = {"name": "busy day", "metric": "requests", "window": "day", "threshold": "3"}
        made = shop.person.post(f"{shop.path}/alerts", {**rule, "service_id": service["id"]}, CREATED)
        assert market.call(key, "forecast", "again").status_code == 200
        market.count()
        market.fire("evaluate_alerts")
        posted = only(until(lambda: list(receiver.requests), "an alert"))
        Webhook(webhook["secret"]).verify(posted.body, posted.headers)
        assert json.loads(posted.body)["type"] == "alert.fired"
        fired = only(shop.person.get(f"{shop.path}/alerts/fired")["items"])
        assert (fired["rule_id"], fired["threshold"]) == (made["id"], "3")
        deliveries = f"{shop.path}/webhooks/{webhook['id']}/deliveries"
        until(lambda: only(shop.person.get(deliveries)["items"])["status"] == "delivered", "the delivery in the log")
        assert "busy day" in market.mail(EMAIL, "busy day")
        shop.person.change(f"{shop.path}/alerts/{made['id']}", "DELETE", EMPTY)
