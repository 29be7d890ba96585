"""Money is counted once, though the process that did it first died before it kept its answer."""

from collections.abc import Awaitable, Callable
from decimal import Decimal

import httpx
import pytest

from shared.api.idempotency import IDEMPOTENCY
from shared.platform.documents import Query
from tests.support.api.invoice_market import MERCHANT, InvoiceMarket

KEY = {"Idempotency-Key": "one"}
Ask = Callable[[InvoiceMarket, str], Awaitable[httpx.Response]]


async def pay(bills: InvoiceMarket, amount: str) -> httpx.Response:
    return await bills.pay(amount, headers=KEY)


async def credit(bills: InvoiceMarket, amount: str) -> httpx.Response:
    body = {"amount": amount, "reason": "an outage"}
    return await bills.mia.post(f"{MERCHANT}/invoices/inv_1/credit-notes", json=body, headers=KEY)


async def forget(bills: InvoiceMarket) -> None:
    """The answers that were kept, as if nobody had come to keep them."""
    documents = bills.api.app.ports.documents
    page = await documents.query(IDEMPOTENCY, Query(bills.mia.account.id))
    assert page.items
    for document in page.items:
        await documents.delete(IDEMPOTENCY, document.partition, document.id)


@pytest.mark.parametrize("ask", [pay, credit])
async def test_what_is_asked_again_with_its_key_is_done_once(bills: InvoiceMarket, ask: Ask) -> None:
    await bills.issue()
    first = await ask(bills, "19")
    assert first.status_code == 201, first.text
    await forget(bills)
    again = await ask(bills, "19")
    assert (again.status_code, again.json()) == (201, first.json())
    invoice = await bills.read()
    assert (invoice.paid + invoice.credited, len(invoice.payments) + len(invoice.notes)) == (Decimal(19), 1)


@pytest.mark.parametrize("ask", [pay, credit])
async def test_the_key_of_something_else_is_refused(bills: InvoiceMarket, ask: Ask) -> None:
    await bills.issue()
    await ask(bills, "19")
    await forget(bills)
    other = await ask(bills, "18")
    assert (other.status_code, other.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize("ask", [pay, credit])
async def test_another_invoice_is_another_request(bills: InvoiceMarket, ask: Ask) -> None:
    await bills.issue()
    await bills.issue(2)
    await ask(bills, "19")
    await forget(bills)
    other = await bills.pay("19", "inv_2", headers=KEY)
    assert other.status_code == 201
    assert (await bills.read("inv_2")).paid == Decimal(19)
