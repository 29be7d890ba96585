"""Months as they are closed, and what an invoice would be now."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime

from shared.billing.invoices.views import BuyerInvoice, MerchantInvoice, buyer_invoice_view, merchant_invoice_view
from shared.billing.month_close.models import Close, CloseStatus
from shared.billing.month_close.previews import Previews
from shared.billing.month_close.store import CloseStore
from shared.billing.parts import BillingParts
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.http.fields import ConsumerId, MerchantId
from shared.kernel.http.provided import provided
from shared.kernel.http.schemas import View
from shared.kernel.periods import Day, Month

router = APIRouter(tags=["invoices"])


class MonthCloseView(View):
    """The close of a merchant's month, which creates its invoices."""

    period: Month
    """Month that is closed."""
    start: AwareDatetime
    """Start of the month in the merchant's time zone, included."""
    end: AwareDatetime
    """End of the month, excluded."""
    time_zone: str
    """Time zone of the merchant (IANA)."""
    issued_on: Day
    """Date of issue of the invoices."""
    due_on: Day
    """Due date of the invoices."""
    status: CloseStatus
    """Status: `running` until every consumer is billed."""
    done: int
    """Number of consumers processed so far."""
    invoices: int
    """Number of invoices created so far."""
    held: dict[str, str]
    """Consumers that could not be billed: the reason by pseudonym. Each is tried again every hour."""
    begun_at: AwareDatetime
    """Time at which the close began."""
    finished_at: AwareDatetime | None
    """Time at which every consumer was billed; null until then."""


class CloseList(View):
    """The month closes of a merchant."""

    items: list[MonthCloseView]
    """Month closes, latest month first."""


class MerchantPreviews(View):
    """Previews of one subscriber's invoices."""

    items: list[MerchantInvoice]
    """Invoices, one for each currency, without numbers."""


class BuyerPreviews(View):
    """Previews of a consumer's invoices for the current months."""

    items: list[BuyerInvoice]
    """Invoices, one for each merchant and currency, without numbers."""


CloseStorePart = Annotated[CloseStore, Depends(provided(BillingParts, lambda billing: billing.close_store))]
PreviewsPart = Annotated[Previews, Depends(provided(BillingParts, lambda billing: billing.previews))]


@router.get("/merchants/{merchant_id}/closes", summary="List a merchant's month closes")
async def list_closes(
    caller: Annotated[Caller, Depends(allowed("invoice.read"))],
    store: CloseStorePart,
    merchant_id: MerchantId,
) -> CloseList:
    """List the months that were closed or are being closed, latest first."""
    return CloseList(items=[_view(close) for close in reversed(await store.closes(merchant_id))])


@router.get("/merchants/{merchant_id}/invoice-previews", summary="Preview a subscriber's invoices")
async def preview_for_merchant(
    caller: Annotated[Caller, Depends(allowed("invoice.read"))],
    previews: PreviewsPart,
    merchant_id: MerchantId,
    pseudonym: Annotated[str, Query(max_length=64, description="Pseudonym of the consumer to preview.")],
    period: Annotated[Month | None, Query(description="Month to preview. Default: the current month.")] = None,
) -> MerchantPreviews:
    """Calculate what a subscriber's invoices would be if a month were closed now: the current month, or a named month
    that is not closed yet."""
    found = await previews.of_subscriber(merchant_id, pseudonym, period)
    return MerchantPreviews(items=[merchant_invoice_view(invoice) for invoice in found])


@router.get("/consumers/{consumer_id}/invoice-previews", summary="Preview a consumer's invoices")
async def preview_for_consumer(
    caller: Annotated[Caller, Depends(allowed("invoice.read_own"))],
    previews: PreviewsPart,
    consumer_id: ConsumerId,
) -> BuyerPreviews:
    """Calculate what the current months come to so far: one invoice for each merchant and currency."""
    return BuyerPreviews(items=[buyer_invoice_view(invoice) for invoice in await previews.of_consumer(consumer_id)])


def _view(close: Close) -> MonthCloseView:
    return MonthCloseView.model_validate(close.model_dump())
