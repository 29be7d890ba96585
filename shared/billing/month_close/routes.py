"""Months as they are closed, and what an invoice would be now."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime

from shared.billing.invoices.views import BuyerInvoice, MerchantInvoice, buyer_view, merchant_view
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


class CloseView(View):
    """`done` consumers were looked at, `invoices` made so far; `held` could not be billed, by pseudonym with the
    reason, and are tried again every hour."""

    period: Month
    start: AwareDatetime
    end: AwareDatetime
    time_zone: str
    issued_on: Day
    due_on: Day
    status: CloseStatus
    done: int
    invoices: int
    held: dict[str, str]
    begun_at: AwareDatetime
    finished_at: AwareDatetime | None


class CloseList(View):
    items: list[CloseView]


class MerchantPreviews(View):
    items: list[MerchantInvoice]


class BuyerPreviews(View):
    items: list[BuyerInvoice]


CloseStorePart = Annotated[CloseStore, Depends(provided(BillingParts, lambda billing: billing.close_store))]
PreviewsPart = Annotated[Previews, Depends(provided(BillingParts, lambda billing: billing.previews))]


@router.get("/merchants/{merchant_id}/closes")
async def list_closes(
    caller: Annotated[Caller, Depends(allowed("invoice.read"))],
    store: CloseStorePart,
    merchant_id: MerchantId,
) -> CloseList:
    """Every month that was closed or is being closed, the latest first."""
    return CloseList(items=[_view(close) for close in reversed(await store.closes(merchant_id))])


@router.get("/merchants/{merchant_id}/invoice-previews")
async def preview_for_merchant(
    caller: Annotated[Caller, Depends(allowed("invoice.read"))],
    previews: PreviewsPart,
    merchant_id: MerchantId,
    pseudonym: Annotated[str, Query(max_length=64)],
    period: Month | None = None,
) -> MerchantPreviews:
    """What a subscriber's invoice would be if the month were closed now: of the running one, or of a named one that is
    not closed yet."""
    found = await previews.of_subscriber(merchant_id, pseudonym, period)
    return MerchantPreviews(items=[merchant_view(invoice) for invoice in found])


@router.get("/consumers/{consumer_id}/invoice-previews")
async def preview_for_consumer(
    caller: Annotated[Caller, Depends(allowed("invoice.read_own"))],
    previews: PreviewsPart,
    consumer_id: ConsumerId,
) -> BuyerPreviews:
    """What the running months come to so far, one invoice for each merchant and currency."""
    return BuyerPreviews(items=[buyer_view(invoice) for invoice in await previews.of_consumer(consumer_id)])


def _view(close: Close) -> CloseView:
    return CloseView.model_validate(close.model_dump())
