"""Billing profiles, terms, and what buyers want on their invoices."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import AwareDatetime, Field

from shared.billing.parts import BillingParts
from shared.billing.profiles.models import BillingProfile, BuyerDetails, Terms
from shared.billing.profiles.service import BillingSetup
from shared.billing.tax.models import TaxRegistration
from shared.catalog.merchants.routes import AddressInput
from shared.catalog.models import Address
from shared.identity.guard import allowed
from shared.identity.models import Caller, Email
from shared.kernel.documents import Stored
from shared.kernel.http.etags import entity_tag
from shared.kernel.http.fields import ConsumerId, MerchantId
from shared.kernel.http.parameters import IfMatchToReplace
from shared.kernel.http.provided import provided
from shared.kernel.http.schemas import DecisionReason, Input, View
from shared.kernel.money import Percent

router = APIRouter(tags=["billing setup"])


class TaxRegistrationInput(Input):
    """A tax registration of a merchant, one for each country."""

    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$", examples=["DE"])]
    """Country code (ISO 3166-1 alpha-2)."""
    kind: Literal["vat", "gst", "in_gst"]
    """Kind of tax: `vat` for value added taxes, `gst` for goods and services taxes, `in_gst` for India's GST."""
    number: Annotated[str, Field(min_length=2, max_length=40, examples=["DE136695976"])]
    """Number of the registration, validated by the country's rule."""
    percent: Annotated[Percent, Field(examples=["19"])]
    """Tax rate for buyers in that country, in percent."""


class BillingProfileInput(Input):
    """How a merchant bills."""

    time_zone: Annotated[str, Field(max_length=64, examples=["Asia/Kolkata"])] = "UTC"
    """Time zone whose calendar defines billed days and months (IANA)."""
    anchor_day: Annotated[int, Field(ge=1, le=31)] = 1
    """Day of the month on which billing periods begin."""
    number_prefix: Annotated[str, Field(pattern=r"^[A-Z0-9]{1,4}$", examples=["ACME"])]
    """Prefix of invoice numbers."""
    financial_year_month: Annotated[int, Field(ge=1, le=12)] = 1
    """Month in which the financial year begins. Invoice numbers start again with it."""
    payment_terms_days: Annotated[int, Field(ge=0, le=365)] = 30
    """Number of days from issue until an invoice is due."""
    payment_details: Annotated[str, Field(max_length=1_000)] = ""
    """Payment instructions that invoices print; empty is none."""
    footer: Annotated[str, Field(max_length=1_000)] = ""
    """Text that invoices print at their end; empty is none."""
    registrations: Annotated[tuple[TaxRegistrationInput, ...], Field(max_length=50)] = ()
    """Tax registrations of the merchant. Without any, no tax is charged."""


class BillingProfileView(View):
    """How a merchant bills."""

    time_zone: str
    """Time zone whose calendar defines billed days and months (IANA)."""
    anchor_day: int
    """Day of the month on which billing periods begin."""
    number_prefix: str
    """Prefix of invoice numbers."""
    financial_year_month: int
    """Month in which the financial year begins. Invoice numbers start again with it."""
    payment_terms_days: int
    """Number of days from issue until an invoice is due."""
    payment_details: str
    """Payment instructions that invoices print; empty is none."""
    footer: str
    """Text that invoices print at their end; empty is none."""
    registrations: tuple[TaxRegistration, ...]
    """Tax registrations of the merchant. Without any, no tax is charged."""
    billing_from: AwareDatetime
    """Usage is billed from the month that contains this time."""


class TermsInput(DecisionReason):
    """The terms agreed with a merchant."""

    commission_percent: Percent | None
    """The platform's share of the merchant's net sales in percent; null is the platform's setting."""


class TermsView(View):
    """The terms agreed with a merchant."""

    commission_percent: Percent | None
    """The platform's share of the merchant's net sales in percent; null is the platform's setting."""


class BuyerInput(Input):
    """Billing details of a consumer. Merchants that bill the consumer see them on invoices only."""

    legal_name: Annotated[str, Field(min_length=1, max_length=200)]
    """Legal name on invoices."""
    address: AddressInput
    """Address on invoices. Its country determines taxes."""
    tax_id: Annotated[str, Field(max_length=40)] = ""
    """Tax id, validated by the country's rule; empty is none."""
    email: Email | None = None
    """E-mail address for invoices; null is the address of the consumer's account."""


class BuyerView(View):
    """Billing details of a consumer. Merchants that bill the consumer see them on invoices only."""

    legal_name: str
    """Legal name on invoices."""
    address: Address
    """Address on invoices. Its country determines taxes."""
    tax_id: str
    """Tax id; empty is none."""
    email: str | None
    """E-mail address for invoices; null is the address of the consumer's account."""


def _or_made(view: type[View]) -> dict[int | str, dict[str, Any]]:
    return {201: {"model": view, "description": "Created: none existed before."}}


BillingSetupPart = Annotated[BillingSetup, Depends(provided(BillingParts, lambda billing: billing.setup))]


@router.get("/merchants/{merchant_id}/billing", summary="Read a merchant's billing profile")
async def read_billing(
    caller: Annotated[Caller, Depends(allowed("billing.read"))],
    setup: BillingSetupPart,
    merchant_id: MerchantId,
    response: Response,
) -> BillingProfileView:
    """Read how the merchant bills. 404 while it does not bill."""
    return _profile(await setup.profile(merchant_id), response)


@router.put(
    "/merchants/{merchant_id}/billing",
    responses=_or_made(BillingProfileView),
    summary="Set a merchant's billing profile",
)
async def put_billing(
    caller: Annotated[Caller, Depends(allowed("billing.manage"))],
    setup: BillingSetupPart,
    merchant_id: MerchantId,
    body: BillingProfileInput,
    response: Response,
    if_match: IfMatchToReplace = None,
) -> BillingProfileView:
    """Set how the merchant bills; the first call starts billing. Issued invoices stay unchanged; a new time zone
    applies from the next period."""
    stored = await setup.put_profile(caller.actor, merchant_id, body.model_dump(), if_match)
    return _profile(stored, _made(response, if_match))


@router.get("/admin/merchants/{merchant_id}/terms", summary="Read a merchant's terms")
async def read_terms(
    caller: Annotated[Caller, Depends(allowed("terms.manage"))],
    setup: BillingSetupPart,
    merchant_id: MerchantId,
    response: Response,
) -> TermsView:
    """Read what was agreed with a merchant. `commission_percent` is null where the platform's own commission
    applies."""
    return _terms(await setup.terms(merchant_id), response)


@router.put("/admin/merchants/{merchant_id}/terms", responses=_or_made(TermsView), summary="Set a merchant's terms")
async def put_terms(
    caller: Annotated[Caller, Depends(allowed("terms.manage"))],
    setup: BillingSetupPart,
    merchant_id: MerchantId,
    body: TermsInput,
    response: Response,
    if_match: IfMatchToReplace = None,
) -> TermsView:
    """Set the commission agreed with a merchant. It applies to months whose close begins from now on."""
    stored = await setup.put_terms(caller.actor, merchant_id, body.commission_percent, if_match, body.reason)
    return _terms(stored, _made(response, if_match))


@router.get("/consumers/{consumer_id}/billing", summary="Read a consumer's billing details")
async def read_buyer(
    caller: Annotated[Caller, Depends(allowed("buyer.manage"))],
    setup: BillingSetupPart,
    consumer_id: ConsumerId,
    response: Response,
) -> BuyerView:
    """The consumer's billing details. 404 while none are stored; invoices then show its pseudonym."""
    return _buyer(await setup.buyer(consumer_id), response)


@router.put(
    "/consumers/{consumer_id}/billing", responses=_or_made(BuyerView), summary="Set a consumer's billing details"
)
async def put_buyer(
    caller: Annotated[Caller, Depends(allowed("buyer.manage"))],
    setup: BillingSetupPart,
    consumer_id: ConsumerId,
    body: BuyerInput,
    response: Response,
    if_match: IfMatchToReplace = None,
) -> BuyerView:
    """Set the billing details that the consumer's invoices show from now on."""
    stored = await setup.put_buyer(caller.actor, consumer_id, body.model_dump(), if_match)
    return _buyer(stored, _made(response, if_match))


def _made(response: Response, if_match: str | None) -> Response:
    """A PUT that succeeds without `If-Match` found nothing to replace."""
    response.status_code = 201 if if_match is None else 200
    return response


def _tagged(stored: Stored[Any], response: Response) -> dict[str, Any]:
    if stored.etag:
        response.headers["ETag"] = entity_tag(stored.etag)
    known: dict[str, Any] = stored.value.model_dump()
    return known


def _profile(stored: Stored[BillingProfile], response: Response) -> BillingProfileView:
    return BillingProfileView.model_validate(_tagged(stored, response))


def _terms(stored: Stored[Terms], response: Response) -> TermsView:
    return TermsView.model_validate(_tagged(stored, response))


def _buyer(stored: Stored[BuyerDetails], response: Response) -> BuyerView:
    return BuyerView.model_validate(_tagged(stored, response))
