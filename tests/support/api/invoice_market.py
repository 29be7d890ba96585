"""A market whose merchant has issued invoices: written by hand, so that no month has to be closed for them."""

from typing import Any

import httpx

from shared.billing.invoices.models import Invoice
from shared.billing.invoices.store import invoice_document
from shared.billing.store import BILLING
from shared.kernel.clock import utc_now
from tests.support.api.access_market import AccessMarket
from tests.support.api.harness import Person
from tests.support.billing.invoice_samples import make_invoice

MERCHANT = "/api/v1/merchants/mer_1"


class InvoiceMarket:
    """Mia's merchant bills Ann: 100.00 EUR and 19.00 of VAT."""

    def __init__(self, market: AccessMarket, pseudonym: str) -> None:
        self.market = market
        self.api, self.ann, self.mia, self.root = market.api, market.ann, market.mia, market.root
        self.pseudonym = pseudonym

    async def issue(self, number: int = 1, **changes: Any) -> str:
        """An invoice's id."""
        fields: dict[str, Any] = {
            "id": f"inv_{number}",
            "number": f"ACME26-{number:06d}",
            "merchant_id": "mer_1",
            "consumer_id": self.market.consumer_id,
            "pseudonym": self.pseudonym,
            "due": "2026-05-02",
        }
        invoice = make_invoice(**{**fields, **changes})
        partition, document = invoice.merchant_id, invoice_document(invoice.id)
        await self.api.app.ports.documents.upsert(BILLING, partition, document, invoice.to_json())
        return invoice.id

    async def read(self, id: str = "inv_1") -> Invoice:
        stored = await self.api.app.billing.invoice_store.invoice("mer_1", id)
        assert stored is not None
        return stored.value

    async def pay(self, amount: str, id: str = "inv_1", **more: Any) -> httpx.Response:
        body = {"amount": amount, "received_on": "2026-04-10", **more.pop("body", {})}
        return await self.mia.post(f"{MERCHANT}/invoices/{id}/payments", json=body, **more)

    async def void(self, id: str = "inv_1", reason: str = "wrong buyer") -> httpx.Response:
        return await self.mia.post(f"{MERCHANT}/invoices/{id}/void", json={"reason": reason})

    async def credit(self, amount: str, id: str = "inv_1", **body: Any) -> httpx.Response:
        body = {"amount": amount, "reason": "an outage", **body}
        return await self.mia.post(f"{MERCHANT}/invoices/{id}/credit-notes", json=body)

    async def subjects(self) -> list[tuple[str, str]]:
        """Whom mails went to, and about what."""
        await self.api.drain()
        return [(str(mail["To"]), str(mail["Subject"])) for mail in self.api.mails()]

    async def audited(self, action: str) -> list[dict[str, Any]]:
        found = await self.root.get("/api/v1/admin/audit", params={"action": action})
        items: list[dict[str, Any]] = found.json()["items"]
        return items

    def consumer(self, person: Person) -> str:
        return f"/api/v1/consumers/{person.account.consumer_id}"


async def open_invoice_market(market: AccessMarket) -> InvoiceMarket:
    await market.grant()
    await market.merchant(account_ids=(market.mia.account.id,))
    consumer_id, builder = market.consumer_id, market.api.builder
    await builder.consumer(id=consumer_id, name="Ann", account_id=market.ann.account.id)
    await builder.profile(utc_now())
    await market.api.drain()
    for file in (market.api.app.settings.ams_data / "mail").glob("*.eml"):
        file.unlink()  # of access, which is not what these tests are about
    return InvoiceMarket(market, await market.api.app.access.pseudonyms.of("mer_1", consumer_id))


async def numbers(person: Person, path: str, **params: Any) -> list[int]:
    """Of the invoices, or credit notes, on all pages of a list."""
    found: list[int] = []
    cursor = None
    while True:
        answer = await person.get(path, params={**params, **({} if cursor is None else {"cursor": cursor})})
        assert answer.status_code == 200, answer.text
        found += [int(item["number"][-6:]) for item in answer.json()["items"]]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return found
