"""Documents of invoices, and the records behind them, over the API."""

import hashlib
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from shared.billing.invoices.models import Invoice
from shared.platform.blobs.links import PATH
from shared.platform.documents import CONTAINERS, Query, Where
from tests.support.api.access_market import AccessMarket
from tests.support.api.harness import Person
from tests.support.api.usage import DAY, used
from tests.support.market import PER_REQUEST

MERCHANT = "/api/v1/merchants/mer_1"


@pytest.fixture
async def invoice(market: AccessMarket) -> Invoice:
    """Of the month in which Ann used svc_maps; what closes it is the timer of two months later."""
    app = market.api.app
    begun = DAY - timedelta(days=40)
    await market.grant()
    await market.key(id="key_plain")
    profile = await market.api.builder.profile(begun)
    await market.api.builder.plan(PER_REQUEST, begin=begun)
    await used(market, "a", "key_plain", data={"requests": 70, "status_code": 200})
    await used(market, "b", "key_plain", DAY + timedelta(hours=3), data={"requests": 50, "status_code": 200})
    with market.api.clock.shifted(days=65):
        await app.billing.closer.close_merchant(profile)
    found = (await app.billing.invoice_store.merchant_invoices("mer_1", (), 10, None)).items
    return next(stored.value for stored in found if stored.value.total == Decimal("1.2"))


async def download(market: AccessMarket, person: Person, path: str, **params: str) -> tuple[bytes, dict[str, str]]:
    answer = await person.get(path, params=params)
    assert answer.status_code == 200, answer.text
    parts = urlsplit(answer.json()["url"])
    assert market.api.app.ports.local_downloads is not None
    found = await market.api.app.ports.local_downloads.open(parts.path.removeprefix(PATH), dict(parse_qsl(parts.query)))
    assert found is not None
    return b"".join([chunk async for chunk in found.opened.chunks]), dict(found.headers)


@pytest.mark.parametrize(("format", "begins"), [("pdf", b"%PDF-"), ("json", b"{"), ("xml", b"<?xml")])
async def test_both_sides_get_their_document(
    market: AccessMarket, invoice: Invoice, format: str, begins: bytes
) -> None:
    for person, home in ((market.ann, market.consumer), (market.mia, MERCHANT), (market.root, MERCHANT)):
        body, headers = await download(market, person, f"{home}/invoices/{invoice.id}/documents/{format}")
        assert body.startswith(begins)
        kind = "" if person is market.ann or format == "xml" else ".statement"
        assert headers["Content-Disposition"] == f'attachment; filename="{invoice.number}{kind}.{format}"'


async def test_the_commission_is_not_the_buyers_business(market: AccessMarket, invoice: Invoice) -> None:
    path = f"/invoices/{invoice.id}/documents/json"
    mine, _ = await download(market, market.ann, market.consumer + path)
    theirs, _ = await download(market, market.mia, MERCHANT + path)
    sent, _ = await download(market, market.mia, MERCHANT + path, side="buyer")
    assert b"commission" not in mine
    assert b"commission" in theirs
    assert sent == mine


async def test_the_records_are_those_that_the_invoice_was_signed_with(market: AccessMarket, invoice: Invoice) -> None:
    path = f"{market.consumer}/invoices/{invoice.id}/records.csv"
    first, headers = await download(market, market.ann, path)
    assert hashlib.sha256(first).hexdigest() == invoice.records[0].sha256
    name = f"{invoice.number}.records-{invoice.period}.csv"  # as scripts/ams close-month --export names it
    assert headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert invoice.period in headers["Content-Disposition"]
    await used(market, "late", "key_plain", DAY + timedelta(hours=1))
    again, _ = await download(market, market.ann, path, period=invoice.period)
    assert again == first, "what was counted later is not what it rests on"


async def test_a_period_that_it_does_not_rest_on_is_refused(market: AccessMarket, invoice: Invoice) -> None:
    path = f"{market.consumer}/invoices/{invoice.id}/records.csv"
    answer = await market.ann.get(path, params={"period": "2001-01"})
    assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid")
    assert answer.json()["errors"][0]["field"] == "period"


async def test_records_that_expired_are_gone(market: AccessMarket, invoice: Invoice) -> None:
    usage = CONTAINERS["usage"]
    partition = f"{market.consumer_id}:0"
    page = await market.api.app.ports.documents.query(usage, Query(partition, (Where("id", "starts_with", "r:"),)))
    assert page.items
    await market.api.app.ports.documents.delete(usage, partition, page.items[0].id)
    answer = await market.ann.get(f"{market.consumer}/invoices/{invoice.id}/records.csv")
    assert (answer.status_code, answer.json()["code"]) == (410, "records_gone")
    again = await market.ann.get(f"{market.consumer}/invoices/{invoice.id}/records.csv")
    assert again.status_code == 410, "nothing half-made was kept"


async def test_another_tenants_documents_do_not_exist(market: AccessMarket, invoice: Invoice) -> None:
    eve = await market.api.sign_in("Eve")
    own = f"/api/v1/consumers/{eve.account.consumer_id}"
    for home in (own, market.consumer, MERCHANT):
        for what in ("documents/pdf", "records.csv"):
            answer = await eve.get(f"{home}/invoices/{invoice.id}/{what}")
            assert answer.status_code == 404, (home, what)
    missing = await market.mia.get(f"{MERCHANT}/invoices/inv_none/documents/pdf")
    assert missing.status_code == 404


@pytest.mark.parametrize("format", ["exe", "PDF", "..%2f"])
async def test_there_is_no_other_format(market: AccessMarket, invoice: Invoice, format: str) -> None:
    answer = await market.ann.get(f"{market.consumer}/invoices/{invoice.id}/documents/{format}")
    assert answer.status_code in (400, 404)


async def test_every_download_is_in_the_audit_log(market: AccessMarket, invoice: Invoice) -> None:
    await download(market, market.ann, f"{market.consumer}/invoices/{invoice.id}/documents/pdf")
    await download(market, market.ann, f"{market.consumer}/invoices/{invoice.id}/records.csv")
    answer = await market.root.get("/api/v1/admin/audit", params={"action": "invoice.download"})
    found: list[dict[str, Any]] = answer.json()["items"]
    assert [(entry["actor"], entry["resource"]) for entry in found] == [
        (market.ann.account.id, f"invoice:{invoice.id}")
    ] * 2
    assert "signature" not in str(found)
