"""Invoices: for the merchant who is paid, and for the consumer who pays."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import Field

from shared.billing.models import InvoiceStatus, Month, Payment
from shared.billing.receivables import Receivables
from shared.billing.routes.views import (
    BuyerInvoice,
    InvoiceSummary,
    MerchantInvoice,
    NotesView,
    NoteView,
    buyer_view,
    merchant_view,
    note_view,
    summary,
)
from shared.billing.store import BillingStore
from shared.identity.guard import allowed, not_found
from shared.identity.models import Caller
from shared.kernel.clock import utc_now
from shared.kernel.ids import new_id
from shared.kernel.money import Amount
from shared.kernel.preconditions import entity_tag
from shared.kernel.stored import Identifier
from shared.kernel.wire import Input, Reasoned, View
from shared.platform.documents import Where

router = APIRouter(tags=["invoices"])


class InvoiceList(View):
    items: list[InvoiceSummary]
    next_cursor: str | None


class PaymentInput(Input):
    """A payment that was received, of all or a part. A payment `id` that was recorded before changes nothing; without
    one each request is another payment, unless it has an Idempotency-Key."""

    amount: Amount
    received_on: date
    reference: Annotated[str, Field(max_length=200)] = ""
    id: Identifier | None = None


class NoteInput(Reasoned):
    """`amount` is with tax, at most what is left of the invoice."""

    amount: Amount


async def billing(request: Request) -> BillingStore:
    return request.app.state.parts.billing  # type: ignore[no-any-return]  # set by create_app


async def receivables(request: Request) -> Receivables:
    return request.app.state.parts.receivables  # type: ignore[no-any-return]  # set by create_app


Store = Annotated[BillingStore, Depends(billing)]
Desk = Annotated[Receivables, Depends(receivables)]
InvoiceId = Annotated[str, Path(max_length=64)]
Limit = Annotated[int, Query(ge=1, le=100)]
Reader = Annotated[Caller, Depends(allowed("invoice.read"))]
Manager = Annotated[Caller, Depends(allowed("invoice.manage"))]
Buyer = Annotated[Caller, Depends(allowed("invoice.read_own"))]


@router.get("/merchants/{merchant_id}/invoices")
async def list_merchant_invoices(
    caller: Reader,
    store: Store,
    merchant_id: str,
    status: InvoiceStatus | None = None,
    period: Month | None = None,
    limit: Limit = 20,
    cursor: str | None = None,
) -> InvoiceList:
    """A merchant's invoices, the newest number first."""
    where = [Where("status", "=", status)] if status is not None else []
    where += [Where("period", "=", period)] if period is not None else []
    page = await store.merchant_invoices(merchant_id, where, limit, cursor)
    return InvoiceList(items=[summary(held.value) for held in page.items], next_cursor=page.cursor)


@router.get("/merchants/{merchant_id}/invoices/{invoice_id}")
async def read_merchant_invoice(
    caller: Reader, store: Store, merchant_id: str, invoice_id: InvoiceId, response: Response
) -> MerchantInvoice:
    """An invoice with the merchant's side of it: commission, and what is left."""
    held = await store.invoice(merchant_id, invoice_id)
    if held is None:
        raise not_found()
    response.headers["ETag"] = entity_tag(held.etag)
    return merchant_view(held.value)


@router.post("/merchants/{merchant_id}/invoices/{invoice_id}/payments", status_code=201)
async def record_payment(
    caller: Manager, desk: Desk, merchant_id: str, invoice_id: InvoiceId, body: PaymentInput
) -> MerchantInvoice:
    """Record that money was received. AMS takes none itself."""
    payment = Payment(
        id=body.id or new_id("pay"), amount=body.amount, reference=body.reference, received_on=str(body.received_on),
        recorded_at=utc_now(), recorded_by=caller.account.id,
    )  # fmt: skip
    held = await desk.pay(caller.actor, merchant_id, invoice_id, payment)
    return merchant_view(held.value)


@router.post("/merchants/{merchant_id}/invoices/{invoice_id}/void")
async def void_invoice(
    caller: Manager, desk: Desk, merchant_id: str, invoice_id: InvoiceId, body: Reasoned
) -> MerchantInvoice:
    """Nothing is owed any more. The number stays, and the usage is not billed again. The buyer is told by mail."""
    held = await desk.void(caller.actor, merchant_id, invoice_id, body.reason)
    return merchant_view(held.value)


@router.post("/merchants/{merchant_id}/invoices/{invoice_id}/credit-notes", status_code=201)
async def give_credit_note(
    caller: Manager, desk: Desk, merchant_id: str, invoice_id: InvoiceId, body: NoteInput
) -> NoteView:
    """Take back some of an invoice, or all. It lowers what is to be paid; what is over is credit for the consumer's
    next invoice. The buyer is told by mail."""
    note, _ = await desk.credit(caller.actor, merchant_id, invoice_id, body.amount, body.reason)
    return note_view(note)


@router.get("/merchants/{merchant_id}/credit-notes")
async def list_merchant_notes(caller: Reader, store: Store, merchant_id: str) -> NotesView:
    """A merchant's credit notes, the newest number first."""
    return NotesView(items=[note_view(note) for note in await store.notes(merchant_id)])


@router.get("/consumers/{consumer_id}/invoices")
async def list_consumer_invoices(
    caller: Buyer,
    store: Store,
    consumer_id: str,
    period: Month | None = None,
    limit: Limit = 20,
    cursor: str | None = None,
) -> InvoiceList:
    """A consumer's invoices of all merchants, the latest period first."""
    where = [Where("period", "=", period)] if period is not None else []
    page = await store.consumer_invoices(consumer_id, where, limit, cursor)
    return InvoiceList(items=[summary(held.value) for held in page.items], next_cursor=page.cursor)


@router.get("/consumers/{consumer_id}/invoices/{invoice_id}")
async def read_consumer_invoice(
    caller: Buyer, store: Store, consumer_id: str, invoice_id: InvoiceId, response: Response
) -> BuyerInvoice:
    """One invoice: its lines, what they come from, payments and credit notes."""
    held = await store.consumer_invoice(consumer_id, invoice_id)
    if held is None:
        raise not_found()
    response.headers["ETag"] = entity_tag(held.etag)
    return buyer_view(held.value)


@router.get("/consumers/{consumer_id}/invoices/{invoice_id}/credit-notes")
async def list_consumer_notes(caller: Buyer, store: Store, consumer_id: str, invoice_id: InvoiceId) -> NotesView:
    """What was taken back of an invoice, the newest number first."""
    held = await store.consumer_invoice(consumer_id, invoice_id)
    if held is None:
        raise not_found()
    notes = await store.notes(held.value.merchant_id, consumer_id)
    return NotesView(items=[note_view(note) for note in notes if note.invoice_id == invoice_id])
