"""Documents of invoices, by links that live for minutes; every link is in the audit log."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from shared.billing.documents.cache import InvoiceFormat, Side
from shared.billing.documents.downloads import InvoiceDownloads
from shared.billing.parts import BillingParts
from shared.downloads.views import DownloadLinkView
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.http.fields import ConsumerId, CreditNoteId, InvoiceId, MerchantId
from shared.kernel.http.provided import provided
from shared.kernel.periods import Month

DocumentFormat = Annotated[InvoiceFormat, Path(description="Format of the document.")]

router = APIRouter(tags=["invoices"])


InvoiceDownloadsPart = Annotated[
    InvoiceDownloads, Depends(provided(BillingParts, lambda billing: billing.invoice_downloads))
]


@router.get(
    "/merchants/{merchant_id}/invoices/{invoice_id}/documents/{format}", summary="Download a merchant's invoice"
)
async def download_merchants_invoice(
    caller: Annotated[Caller, Depends(allowed("invoice.read"))],
    downloads: InvoiceDownloadsPart,
    merchant_id: MerchantId,
    invoice_id: InvoiceId,
    format: DocumentFormat,
    side: Annotated[
        Side, Query(description="`merchant` includes the commission; `buyer` is the document as the consumer has it.")
    ] = "merchant",
) -> DownloadLinkView:
    """Create a link to the invoice as PDF, CSV, JSON or e-invoice XML."""
    link = await downloads.of_merchant(caller.actor, merchant_id=merchant_id, id=invoice_id, format=format, side=side)
    return DownloadLinkView.of(link)


@router.get(
    "/consumers/{consumer_id}/invoices/{invoice_id}/documents/{format}", summary="Download a consumer's invoice"
)
async def download_invoice(
    caller: Annotated[Caller, Depends(allowed("invoice.read_own"))],
    downloads: InvoiceDownloadsPart,
    consumer_id: ConsumerId,
    invoice_id: InvoiceId,
    format: DocumentFormat,
) -> DownloadLinkView:
    """Create a link to the invoice as PDF, CSV, JSON or e-invoice XML."""
    link = await downloads.of_consumer(caller.actor, consumer_id=consumer_id, id=invoice_id, format=format)
    return DownloadLinkView.of(link)


@router.get(
    "/merchants/{merchant_id}/credit-notes/{note_id}/documents/{format}", summary="Download a merchant's credit note"
)
async def download_merchants_note(
    caller: Annotated[Caller, Depends(allowed("invoice.read"))],
    downloads: InvoiceDownloadsPart,
    merchant_id: MerchantId,
    note_id: CreditNoteId,
    format: DocumentFormat,
) -> DownloadLinkView:
    """Create a link to the credit note as PDF, CSV, JSON or e-invoice XML."""
    link = await downloads.merchants_note(caller.actor, merchant_id=merchant_id, id=note_id, format=format)
    return DownloadLinkView.of(link)


@router.get(
    "/consumers/{consumer_id}/invoices/{invoice_id}/credit-notes/{note_id}/documents/{format}",
    summary="Download a consumer's credit note",
)
async def download_note(
    caller: Annotated[Caller, Depends(allowed("invoice.read_own"))],
    downloads: InvoiceDownloadsPart,
    consumer_id: ConsumerId,
    invoice_id: InvoiceId,
    note_id: CreditNoteId,
    format: DocumentFormat,
) -> DownloadLinkView:
    """Create a link to the credit note as PDF, CSV, JSON or e-invoice XML."""
    link = await downloads.consumers_note(
        caller.actor, consumer_id=consumer_id, invoice_id=invoice_id, id=note_id, format=format
    )
    return DownloadLinkView.of(link)


@router.get(
    "/consumers/{consumer_id}/invoices/{invoice_id}/records.csv", summary="Download the records behind an invoice"
)
async def download_invoice_records(
    caller: Annotated[Caller, Depends(allowed("invoice.read_own"))],
    downloads: InvoiceDownloadsPart,
    consumer_id: ConsumerId,
    invoice_id: InvoiceId,
    period: Annotated[
        Month | None,
        Query(
            description="Month of the records. Default: the invoice's own month; earlier months if the invoice"
            " corrects them."
        ),
    ] = None,
) -> DownloadLinkView:
    """Create a link to the raw usage records behind the invoice. Their SHA-256 is printed on the invoice, and
    `scripts/verify_invoice` recomputes the invoice from them. 410 `records_gone` once they have expired."""
    link = await downloads.records(caller.actor, consumer_id=consumer_id, id=invoice_id, period=period)
    return DownloadLinkView.of(link)
