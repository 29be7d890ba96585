"""Previews and closes over the API: what an invoice would be, and how far a month is."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from shared.kernel.periods import name_at, period
from tests.support.api.access_market import AccessMarket
from tests.support.api.usage import used
from tests.support.market import PER_REQUEST

MERCHANT = "/api/v1/merchants/mer_1"


def running(market: AccessMarket) -> str:
    """The month's name, by the clock that `billing` has stopped."""
    return name_at(market.api.clock(), "UTC")


@pytest.fixture
async def billing(market: AccessMarket, stopped: datetime) -> AccessMarket:
    """Ann made 120 requests an hour ago, or at the month's first moment."""
    now = stopped.replace(minute=0, second=0, microsecond=0)
    begun = now - timedelta(days=40)
    await market.grant()
    await market.key(id="key_plain")
    await market.api.builder.profile(now)
    await market.api.builder.plan(PER_REQUEST, begin=begun)
    month = now.replace(day=1, hour=0)
    await used(
        market, "a", "key_plain", max(month, now - timedelta(hours=1)), data={"requests": 120, "status_code": 200}
    )
    return market


async def test_a_consumer_sees_what_the_running_month_comes_to(billing: AccessMarket) -> None:
    answer = await billing.ann.get(f"{billing.consumer}/invoice-previews")
    assert answer.status_code == 200, answer.text
    [preview] = answer.json()["items"]
    assert (preview["status"], preview["number"], preview["total"], preview["period"]) == (
        "draft",
        "",
        "1.2",
        running(billing),
    )
    assert [line["quantity"] for line in preview["lines"]] == ["120"]
    assert not {"commission", "merchant_net", "pseudonym"} & preview.keys()


async def test_a_merchant_previews_a_subscriber_by_pseudonym(billing: AccessMarket) -> None:
    [subscriber] = (await billing.mia.get(f"{MERCHANT}/subscribers")).json()["items"]
    asked = {"pseudonym": subscriber["pseudonym"]}
    answer = await billing.mia.get(f"{MERCHANT}/invoice-previews", params=asked)
    [preview] = answer.json()["items"]
    assert (preview["total"], preview["commission"], preview["merchant_net"]) == ("1.2", "0.12", "1.08")
    assert billing.consumer.rpartition("/")[2] not in answer.text, "a merchant learns no consumer's id"
    named = await billing.mia.get(f"{MERCHANT}/invoice-previews", params={**asked, "period": running(billing)})
    assert named.json() == answer.json()


@pytest.mark.parametrize("period", ["2001-01", "2999-01", "2026-13", "now"])
async def test_a_period_without_a_preview_is_refused(billing: AccessMarket, period: str) -> None:
    [subscriber] = (await billing.mia.get(f"{MERCHANT}/subscribers")).json()["items"]
    asked = {"pseudonym": subscriber["pseudonym"], "period": period}
    answer = await billing.mia.get(f"{MERCHANT}/invoice-previews", params=asked)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "period"


async def test_a_stranger_has_no_preview(billing: AccessMarket) -> None:
    answer = await billing.mia.get(f"{MERCHANT}/invoice-previews", params={"pseudonym": "cus_nobody"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_merchant_who_does_not_bill_has_no_previews(market: AccessMarket) -> None:
    assert (await market.ann.get(f"{market.consumer}/invoice-previews")).json() == {"items": []}
    answer = await market.mia.get(f"{MERCHANT}/invoice-previews", params={"pseudonym": "cus_x"})
    assert answer.status_code == 404
    assert (await market.mia.get(f"{MERCHANT}/closes")).json() == {"items": []}


async def test_what_was_previewed_is_what_is_issued_and_the_close_says_so(billing: AccessMarket) -> None:
    [preview] = (await billing.ann.get(f"{billing.consumer}/invoice-previews")).json()["items"]
    app, month = billing.api.app, running(billing)
    billing.api.clock.moment = period(month, "UTC").end + timedelta(hours=25)
    stored = await app.billing.profile_store.profile("mer_1")
    assert stored is not None
    await app.billing.closer.close_merchant(stored.value)
    for person, home in ((billing.mia, MERCHANT), (billing.root, MERCHANT)):
        [close] = (await person.get(f"{home}/closes")).json()["items"]
        assert (close["period"], close["status"], close["invoices"], close["held"]) == (month, "done", 1, {})
    [item] = (await billing.ann.get(f"{billing.consumer}/invoices")).json()["items"]
    issued = (await billing.ann.get(f"{billing.consumer}/invoices/{item['id']}")).json()
    same = ("lines", "subtotal", "net", "taxes", "total", "amount_due", "days", "seller_party", "buyer_party", "id")
    assert {name: issued[name] for name in same} == {name: preview[name] for name in same}
    assert Decimal(issued["total"]) == Decimal("1.2")
