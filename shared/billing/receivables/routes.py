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
    buyer_invoice_view,
    invoice_summary,
    merchant_invoice_view,
    note_view,
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
from shared.kernel.http.schemas import DecisionReason, Input, View
from shared.kernel.ids import known_id, new_id
from shared.kernel.money import Amount
from shared.kernel.periods import Month

router = APIRouter(tags=["invoices"])


class BuyerInvoices(View):
    """A page of a consumer's invoices."""

    items: list[InvoiceSummary]
    """Items of the page."""
    next_cursor: NextCursor


class MerchantInvoices(View):
    """A page of a merchant's invoices."""

    items: list[MerchantInvoiceSummary]
    """Items of the page."""
    next_cursor: NextCursor


class PlatformInvoices(View):
    """A page of all invoices."""

    items: list[PlatformInvoiceSummary]
    """Items of the page."""
    next_cursor: NextCursor


class PaymentInput(Input):
    """A payment that was received, in full or in part."""

    amount: Amount
    """Amount of the payment in the invoice's currency; at most the open amount."""
    received_on: date
    """Date on which the payment arrived; not in the future."""
    reference: Annotated[str, Field(max_length=200)] = ""
    """Reference of the bank or the payer; empty is none."""
    id: Identifier | None = None
    """Id of the payment: recording the same id again changes nothing. With null, each request records another payment,
    unless it has an `Idempotency-Key`."""


class CreditNoteInput(DecisionReason):
    """A credit note for an invoice."""

    amount: Amount
    """Amount with taxes, in the invoice's currency; at most the remainder of the invoice that is not credited."""


InvoiceStorePart = Annotated[InvoiceStore, Depends(provided(BillingParts, lambda billing: billing.invoice_store))]
InvoiceListingPart = Annotated[InvoiceListing, Depends(provided(BillingParts, lambda billing: billing.invoice_listing))]
ReceivablesPart = Annotated[Receivables, Depends(provided(BillingParts, lambda billing: billing.receivables))]
InvoiceReader = Annotated[Caller, Depends(allowed("invoice.read"))]
Manager = Annotated[Caller, Depends(allowed("invoice.manage"))]
Buyer = Annotated[Caller, Depends(allowed("invoice.read_own"))]


@router.get("/merchants/{merchant_id}/invoices", summary="List a merchant's invoices")
async def list_merchant_invoices(
    caller: InvoiceReader,
    listing: InvoiceListingPart,
    merchant_id: MerchantId,
    status: Annotated[InvoiceStatus | None, Query(description="Only invoices with this status.")] = None,
    period: Annotated[Month | None, Query(description="Only invoices of this month.")] = None,
    pseudonym: Annotated[
        str | None, Query(max_length=64, description="Only invoices of the consumer with this pseudonym.")
    ] = None,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> MerchantInvoices:
    """List a merchant's invoices, newest number first."""
    page = await listing.of_merchant(merchant_id, limit, cursor, status=status, period=period, pseudonym=pseudonym)
    return MerchantInvoices(
        items=[invoice_summary(stored.value, MerchantInvoiceSummary) for stored in page.items], next_cursor=page.cursor
    )


@router.get("/merchants/{merchant_id}/invoices/{invoice_id}", summary="Read a merchant's invoice")
async def read_merchant_invoice(
    caller: InvoiceReader, store: InvoiceStorePart, merchant_id: MerchantId, invoice_id: InvoiceId, response: Response
) -> MerchantInvoice:
    """Read an invoice with the platform's commission and the amount that the merchant keeps."""
    stored = await store.invoice(merchant_id, invoice_id)
    if stored is None:
        raise not_found()
    return _tagged(stored, response)


@router.post("/merchants/{merchant_id}/invoices/{invoice_id}/payments", status_code=201, summary="Record a payment")
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
    """Record a payment that you received. AMS does not collect payments. The buyer is notified by e-mail once the
    invoice is fully paid."""
    payment = Payment(
        id=body.id or _once("pay", caller, request),
        amount=body.amount,
        reference=body.reference,
        received_on=str(body.received_on),
        recorded_at=now,
        recorded_by=caller.account.id,
    )
    return _tagged(await service.pay(caller.actor, merchant_id, invoice_id, payment), response)


@router.post("/merchants/{merchant_id}/invoices/{invoice_id}/void", summary="Void an invoice")
async def void_invoice(
    caller: Manager,
    service: ReceivablesPart,
    merchant_id: MerchantId,
    invoice_id: InvoiceId,
    body: DecisionReason,
    response: Response,
) -> MerchantInvoice:
    """Void an invoice: nothing is owed. Its number is kept and its usage is not billed again. The buyer is notified by
    e-mail."""
    return _tagged(await service.void(caller.actor, merchant_id, invoice_id, body.reason), response)


@router.post(
    "/merchants/{merchant_id}/invoices/{invoice_id}/credit-notes", status_code=201, summary="Issue a credit note"
)
async def give_credit_note(
    caller: Manager,
    service: ReceivablesPart,
    merchant_id: MerchantId,
    invoice_id: InvoiceId,
    body: CreditNoteInput,
    request: Request,
) -> CreditNoteView:
    """Issue a credit note for part or all of an invoice. It reduces the open amount; the remainder is credited to the
    consumer's next invoice. The buyer is notified by e-mail."""
    note_id = _once("crn", caller, request)
    note, _ = await service.credit(caller.actor, merchant_id, invoice_id, body.amount, body.reason, note_id=note_id)
    return note_view(note)


@router.get("/merchants/{merchant_id}/credit-notes", summary="List a merchant's credit notes")
async def list_merchant_notes(
    caller: InvoiceReader,
    listing: InvoiceListingPart,
    merchant_id: MerchantId,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> CreditNotesView:
    """List a merchant's credit notes, newest number first."""
    return _notes(await listing.notes_of_merchant(merchant_id, limit, cursor))


@router.get("/consumers/{consumer_id}/invoices", summary="List a consumer's invoices")
async def list_consumer_invoices(
    caller: Buyer,
    listing: InvoiceListingPart,
    consumer_id: ConsumerId,
    status: Annotated[InvoiceStatus | None, Query(description="Only invoices with this status.")] = None,
    period: Annotated[Month | None, Query(description="Only invoices of this month.")] = None,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> BuyerInvoices:
    """List a consumer's invoices from all merchants, latest period first."""
    page = await listing.of_consumer(consumer_id, limit, cursor, status=status, period=period)
    return BuyerInvoices(
        items=[invoice_summary(stored.value, InvoiceSummary) for stored in page.items], next_cursor=page.cursor
    )


@router.get("/consumers/{consumer_id}/invoices/{invoice_id}", summary="Read a consumer's invoice")
async def read_consumer_invoice(
    caller: Buyer, store: InvoiceStorePart, consumer_id: ConsumerId, invoice_id: InvoiceId, response: Response
) -> BuyerInvoice:
    """Read one invoice with its lines, the records behind it, payments and credit notes."""
    stored = await store.consumer_invoice(consumer_id, invoice_id)
    if stored is None:
        raise not_found()
    response.headers["ETag"] = entity_tag(stored.etag)
    return buyer_invoice_view(stored.value)


@router.get(
    "/consumers/{consumer_id}/invoices/{invoice_id}/credit-notes",
    summary="List the credit notes of a consumer's invoice",
)
async def list_consumer_notes(
    caller: Buyer,
    listing: InvoiceListingPart,
    consumer_id: ConsumerId,
    invoice_id: InvoiceId,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> CreditNotesView:
    """List the credit notes of an invoice, newest number first."""
    return _notes(await listing.notes_of_invoice(consumer_id, invoice_id, limit, cursor))


@router.get("/admin/invoices", summary="List all invoices")
async def list_all_invoices(
    caller: Annotated[Caller, Depends(allowed("invoice.list"))],
    listing: InvoiceListingPart,
    merchant_id: Annotated[
        str | None, Query(max_length=64, description="Only invoices of this merchant, by id.")
    ] = None,
    consumer_id: Annotated[
        str | None, Query(max_length=64, description="Only invoices of this consumer, by id.")
    ] = None,
    status: Annotated[InvoiceStatus | None, Query(description="Only invoices with this status.")] = None,
    period: Annotated[Month | None, Query(description="Only invoices of this month.")] = None,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> PlatformInvoices:
    """List all invoices of the platform, latest period first. A single invoice is read under its merchant."""
    page = await listing.of_platform(
        limit, cursor, merchant_id=merchant_id, consumer_id=consumer_id, status=status, period=period
    )
    return PlatformInvoices(
        items=[invoice_summary(stored.value, PlatformInvoiceSummary) for stored in page.items], next_cursor=page.cursor
    )


def _once(prefix: str, caller: Caller, request: Request) -> str:
    """An id. With an Idempotency-Key it is the same each time: the process that did it first may have died before it
    could keep its answer, and money is not to be counted twice."""
    key = request.headers.get("idempotency-key")
    return new_id(prefix) if key is None else known_id(prefix, caller.account.id, request.url.path, key)


def _tagged(stored: Stored[Invoice], response: Response) -> MerchantInvoice:
    response.headers["ETag"] = entity_tag(stored.etag)
    return merchant_invoice_view(stored.value)


def _notes(page: Page[Stored[CreditNote]]) -> CreditNotesView:
    return CreditNotesView(items=[note_view(stored.value) for stored in page.items], next_cursor=page.cursor)
