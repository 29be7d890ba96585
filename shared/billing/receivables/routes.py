"""Invoices: for the merchant who is paid, and for the consumer who pays."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from shared.billing.invoices.listing import InvoiceListing
from shared.billing.invoices.models import CreditNote, Invoice, InvoiceStatus, Payment
from shared.billing.invoices.store import InvoiceStore
from shared.billing.invoices.views import (
    BuyerInvoice,
    CreditNotesView,
    CreditNoteView,
    InvoiceSummary,
    MerchantInvoice,
    MerchantInvoiceSummary,
    PlatformInvoiceSummary,
    buyer_view,
    merchant_view,
    note_view,
    summary,
)
from shared.billing.parts import BillingParts
from shared.billing.receivables.service import Receivables
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.documents import Identifier, Stored
from shared.kernel.http.etags import entity_tag
from shared.kernel.http.fields import ConsumerId, InvoiceId, MerchantId, NextCursor
from shared.kernel.http.paging import Page
from shared.kernel.http.parameters import Cursor, PageSize
from shared.kernel.http.problems import not_found
from shared.kernel.http.provided import Now, provided
from shared.kernel.http.schemas import Input, Reasoned, View
from shared.kernel.ids import known_id, new_id
from shared.kernel.money import Amount
from shared.kernel.periods import Month

router = APIRouter(tags=["invoices"])


class BuyerInvoices(View):
    """A page of a consumer's invoices."""

    items: list[InvoiceSummary]
    """The page's items."""
    next_cursor: NextCursor


class MerchantInvoices(View):
    """A page of a merchant's invoices."""

    items: list[MerchantInvoiceSummary]
    """The page's items."""
    next_cursor: NextCursor


class PlatformInvoices(View):
    """A page of all invoices."""

    items: list[PlatformInvoiceSummary]
    """The page's items."""
    next_cursor: NextCursor


class PaymentInput(Input):
    """A payment that was received, of all or a part."""

    amount: Amount
    """What was paid, in the invoice's currency: at most what is open."""
    received_on: date
    """Day on which it arrived, not in the future."""
    reference: Annotated[str, Field(max_length=200)] = ""
    """The bank's or the payer's reference; empty is none."""
    id: Identifier | None = None
    """A payment of an id that was recorded before changes nothing; null makes each request another payment, unless it
    has an Idempotency-Key."""


class CreditNoteInput(Reasoned):
    """What is taken back of an invoice."""

    amount: Amount
    """With taxes, in the invoice's currency: at most what is left of the invoice."""


InvoiceStorePart = Annotated[InvoiceStore, Depends(provided(BillingParts, lambda billing: billing.invoice_store))]
InvoiceListingPart = Annotated[InvoiceListing, Depends(provided(BillingParts, lambda billing: billing.invoice_listing))]
ReceivablesPart = Annotated[Receivables, Depends(provided(BillingParts, lambda billing: billing.receivables))]
InvoiceReader = Annotated[Caller, Depends(allowed("invoice.read"))]
Manager = Annotated[Caller, Depends(allowed("invoice.manage"))]
Buyer = Annotated[Caller, Depends(allowed("invoice.read_own"))]


@router.get("/merchants/{merchant_id}/invoices")
async def list_merchant_invoices(
    caller: InvoiceReader,
    listing: InvoiceListingPart,
    merchant_id: MerchantId,
    status: Annotated[InvoiceStatus | None, Query(description="Only invoices of this status")] = None,
    period: Annotated[Month | None, Query(description="Only invoices of this month")] = None,
    pseudonym: Annotated[str | None, Query(max_length=64, description="One consumer only")] = None,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> MerchantInvoices:
    """A merchant's invoices, the newest number first."""
    page = await listing.of_merchant(merchant_id, limit, cursor, status=status, period=period, pseudonym=pseudonym)
    return MerchantInvoices(
        items=[summary(stored.value, MerchantInvoiceSummary) for stored in page.items], next_cursor=page.cursor
    )


@router.get("/merchants/{merchant_id}/invoices/{invoice_id}")
async def read_merchant_invoice(
    caller: InvoiceReader, store: InvoiceStorePart, merchant_id: MerchantId, invoice_id: InvoiceId, response: Response
) -> MerchantInvoice:
    """An invoice with the merchant's side of it: commission, and what is left."""
    stored = await store.invoice(merchant_id, invoice_id)
    if stored is None:
        raise not_found()
    return _tagged(stored, response)


@router.post("/merchants/{merchant_id}/invoices/{invoice_id}/payments", status_code=201)
async def record_payment(
    caller: Manager,
    service: ReceivablesPart,
    merchant_id: MerchantId,
    invoice_id: InvoiceId,
    body: PaymentInput,
    now: Now,
    request: Request,
    response: Response,
) -> MerchantInvoice:
    """Record that money was received. AMS takes none itself. The buyer is told by mail once nothing is open."""
    payment = Payment(
        id=body.id or _once("pay", caller, request),
        amount=body.amount,
        reference=body.reference,
        received_on=str(body.received_on),
        recorded_at=now,
        recorded_by=caller.account.id,
    )
    return _tagged(await service.pay(caller.actor, merchant_id, invoice_id, payment), response)


@router.post("/merchants/{merchant_id}/invoices/{invoice_id}/void")
async def void_invoice(
    caller: Manager,
    service: ReceivablesPart,
    merchant_id: MerchantId,
    invoice_id: InvoiceId,
    body: Reasoned,
    response: Response,
) -> MerchantInvoice:
    """Nothing is owed any more. The number stays, and the usage is not billed again. The buyer is told by mail."""
    return _tagged(await service.void(caller.actor, merchant_id, invoice_id, body.reason), response)


@router.post("/merchants/{merchant_id}/invoices/{invoice_id}/credit-notes", status_code=201)
async def give_credit_note(
    caller: Manager,
    service: ReceivablesPart,
    merchant_id: MerchantId,
    invoice_id: InvoiceId,
    body: CreditNoteInput,
    request: Request,
) -> CreditNoteView:
    """Take back some of an invoice, or all. It lowers what is to be paid; what is over is credit for the consumer's
    next invoice. The buyer is told by mail."""
    note_id = _once("crn", caller, request)
    note, _ = await service.credit(caller.actor, merchant_id, invoice_id, body.amount, body.reason, note_id=note_id)
    return note_view(note)


@router.get("/merchants/{merchant_id}/credit-notes")
async def list_merchant_notes(
    caller: InvoiceReader,
    listing: InvoiceListingPart,
    merchant_id: MerchantId,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> CreditNotesView:
    """A merchant's credit notes, the newest number first."""
    return _notes(await listing.notes_of_merchant(merchant_id, limit, cursor))


@router.get("/consumers/{consumer_id}/invoices")
async def list_consumer_invoices(
    caller: Buyer,
    listing: InvoiceListingPart,
    consumer_id: ConsumerId,
    status: Annotated[InvoiceStatus | None, Query(description="Only invoices of this status")] = None,
    period: Annotated[Month | None, Query(description="Only invoices of this month")] = None,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> BuyerInvoices:
    """A consumer's invoices of all merchants, the latest period first."""
    page = await listing.of_consumer(consumer_id, limit, cursor, status=status, period=period)
    return BuyerInvoices(
        items=[summary(stored.value, InvoiceSummary) for stored in page.items], next_cursor=page.cursor
    )


@router.get("/consumers/{consumer_id}/invoices/{invoice_id}")
async def read_consumer_invoice(
    caller: Buyer, store: InvoiceStorePart, consumer_id: ConsumerId, invoice_id: InvoiceId, response: Response
) -> BuyerInvoice:
    """One invoice: its lines, what they come from, payments and credit notes."""
    stored = await store.consumer_invoice(consumer_id, invoice_id)
    if stored is None:
        raise not_found()
    response.headers["ETag"] = entity_tag(stored.etag)
    return buyer_view(stored.value)


@router.get("/consumers/{consumer_id}/invoices/{invoice_id}/credit-notes")
async def list_consumer_notes(
    caller: Buyer,
    listing: InvoiceListingPart,
    consumer_id: ConsumerId,
    invoice_id: InvoiceId,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> CreditNotesView:
    """What was taken back of an invoice, the newest number first."""
    return _notes(await listing.notes_of_invoice(consumer_id, invoice_id, limit, cursor))


@router.get("/admin/invoices")
async def list_all_invoices(
    caller: Annotated[Caller, Depends(allowed("invoice.list"))],
    listing: InvoiceListingPart,
    merchant_id: Annotated[str | None, Query(max_length=64, description="Only invoices of this merchant")] = None,
    consumer_id: Annotated[str | None, Query(max_length=64, description="Only invoices of this consumer")] = None,
    status: Annotated[InvoiceStatus | None, Query(description="Only invoices of this status")] = None,
    period: Annotated[Month | None, Query(description="Only invoices of this month")] = None,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> PlatformInvoices:
    """What is billed on the platform, the latest period first. One is read under its merchant."""
    page = await listing.of_platform(
        limit, cursor, merchant_id=merchant_id, consumer_id=consumer_id, status=status, period=period
    )
    return PlatformInvoices(
        items=[summary(stored.value, PlatformInvoiceSummary) for stored in page.items], next_cursor=page.cursor
    )


def _once(prefix: str, caller: Caller, request: Request) -> str:
    """An id. With an Idempotency-Key it is the same each time: the process that did it first may have died before it
    could keep its answer, and money is not to be counted twice."""
    key = request.headers.get("idempotency-key")
    return new_id(prefix) if key is None else known_id(prefix, caller.account.id, request.url.path, key)


def _tagged(stored: Stored[Invoice], response: Response) -> MerchantInvoice:
    response.headers["ETag"] = entity_tag(stored.etag)
    return merchant_view(stored.value)


def _notes(page: Page[Stored[CreditNote]]) -> CreditNotesView:
    return CreditNotesView(items=[note_view(stored.value) for stored in page.items], next_cursor=page.cursor)
