"""Merchants: registration, and their own profile."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import AfterValidator, AwareDatetime, Field

from shared.catalog.logos import FOLDER
from shared.catalog.merchants.registration import Registration
from shared.catalog.merchants.service import Merchants
from shared.catalog.models import Address, Merchant, MerchantStatus
from shared.catalog.parts import CatalogParts
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.countries import check_country
from shared.kernel.documents import Name, Slug, Stored
from shared.kernel.http.etags import entity_tag
from shared.kernel.http.fields import MerchantId
from shared.kernel.http.parameters import IfMatch, IfNoneMatch
from shared.kernel.http.problems import not_found
from shared.kernel.http.provided import provided
from shared.kernel.http.schemas import Input, View
from shared.platform.blobs import Blobs

router = APIRouter(tags=["merchants"])

LegalName = Annotated[str, Field(max_length=200)]
TaxId = Annotated[str, Field(max_length=40)]


class AddressInput(Address, Input):  # in this order: of two configurations the last one holds
    """A postal address."""

    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$", examples=["IN"]), AfterValidator(check_country)]
    """Country code (ISO 3166-1 alpha-2): the United Kingdom is GB, Greece GR."""


class NewMerchant(Input):
    """The registration of a merchant."""

    invite_code: Annotated[str, Field(min_length=1, max_length=200)]
    """Code of the invite."""
    slug: Annotated[Slug, Field(examples=["meteo"])]
    """Slug of the merchant, which is part of URLs and image names and never changes."""
    name: Annotated[Name, Field(examples=["Meteo Works"])]
    """Display name."""
    legal_name: LegalName = ""
    """Legal name on invoices; empty until it is known."""
    tax_id: TaxId = ""
    """Tax id, validated by the country's rule; empty is none."""
    address: AddressInput | None = None
    """Address on invoices; null until it is known."""


class MerchantChange(Input):
    """A change of a merchant's profile: only what is given is changed."""

    name: Name | None = None
    """Display name; null or absent leaves it."""
    legal_name: LegalName | None = None
    """Legal name on invoices; null or absent leaves it."""
    tax_id: TaxId | None = None
    """Tax id; null or absent leaves it."""
    address: AddressInput | None = None
    """Address on invoices, as a whole; null or absent leaves it."""


class MerchantView(View):
    """A merchant, as its own accounts see it."""

    id: MerchantId
    slug: str
    """Slug, which is part of URLs and image names and never changes."""
    name: str
    """Display name."""
    status: MerchantStatus
    """Status of the merchant. Only services of an `active` merchant can be called."""
    subscriptions_blocked: bool
    """Whether new access requests to the merchant's services are refused."""
    legal_name: str
    """Legal name on invoices; empty until it is known."""
    tax_id: str
    """Tax id; empty is none."""
    address: Address | None
    """Address on invoices; null until it is known."""
    logo_url: str | None
    """Path of the logo, which is public; null is none."""
    reason: str | None
    """Reason of the last decision; null if it has none."""
    created_at: AwareDatetime | None
    """Time of the registration; null for seeded merchants."""


class OwnMerchants(View):
    """The merchants that your account acts for."""

    items: list[MerchantView]
    """All merchants that your account acts for."""


RegistrationPart = Annotated[Registration, Depends(provided(CatalogParts, lambda catalog: catalog.registration))]
BlobsPart = Annotated[Blobs, Depends(provided(CatalogParts, lambda catalog: catalog.blobs))]
MerchantsPart = Annotated[Merchants, Depends(provided(CatalogParts, lambda catalog: catalog.merchants))]


def fields(merchant: Merchant) -> dict[str, Any]:
    """What the views of a merchant are made of."""
    return {**merchant.model_dump(), "logo_url": None if merchant.logo is None else f"/api/v1/{merchant.logo}"}


def _view(merchant: Merchant) -> MerchantView:
    return MerchantView.model_validate(fields(merchant))


def _answer(stored: Stored[Merchant], response: Response) -> MerchantView:
    response.headers["ETag"] = entity_tag(stored.etag)
    return _view(stored.value)


@router.post(
    "/merchant-registrations",
    status_code=201,
    responses={
        404: {"description": "The invite does not exist, or is not for your address."},
        429: {"description": "Too many wrong codes. Try again after `Retry-After` seconds."},
    },
    summary="Register as a merchant",
)
async def register_merchant(
    caller: Annotated[Caller, Depends(allowed("merchant.register"))],
    registration: RegistrationPart,
    body: NewMerchant,
) -> MerchantView:
    """Register as a merchant with an invite. An admin activates the merchant, unless the platform's settings activate
    it at once."""
    merchant = await registration.register(
        caller.actor,
        caller.account,
        body.invite_code,
        slug=body.slug,
        name=body.name,
        legal_name=body.legal_name,
        tax_id=body.tax_id,
        address=body.address,
    )
    return _view(merchant)


@router.get("/me/merchants", summary="List your merchants")
async def list_own_merchants(
    caller: Annotated[Caller, Depends(allowed("merchant.list_own"))], service: MerchantsPart
) -> OwnMerchants:
    """List the merchants that your account acts for."""
    return OwnMerchants(items=[_view(merchant) for merchant in await service.of(caller.account)])


@router.get("/merchants/{merchant_id}", summary="Read a merchant")
async def read_merchant(
    caller: Annotated[Caller, Depends(allowed("merchant.read"))],
    service: MerchantsPart,
    merchant_id: MerchantId,
    response: Response,
) -> MerchantView:
    """Read a merchant's profile and status."""
    return _answer(await service.read(merchant_id), response)


@router.patch("/merchants/{merchant_id}", summary="Change a merchant's profile")
async def change_merchant(
    caller: Annotated[Caller, Depends(allowed("merchant.update"))],
    service: MerchantsPart,
    merchant_id: MerchantId,
    body: MerchantChange,
    response: Response,
    if_match: IfMatch = None,
) -> MerchantView:
    """Change the merchant's profile."""
    values = body.model_dump(exclude_unset=True)
    given = {name: value for name, value in values.items() if value is not None or name == "address"}
    return _answer(await service.update(caller.actor, merchant_id, given, if_match), response)


@router.put(
    "/merchants/{merchant_id}/logo",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                kind: {"schema": {"type": "string", "format": "binary"}}
                for kind in ("image/png", "image/jpeg", "image/webp")
            },
        }
    },
    summary="Set a merchant's logo",
)
async def set_merchant_logo(
    caller: Annotated[Caller, Depends(allowed("merchant.update"))],
    service: MerchantsPart,
    merchant_id: MerchantId,
    request: Request,
    response: Response,
    if_match: IfMatch = None,
) -> MerchantView:
    """Set the merchant's logo. The body is the image itself: PNG, JPEG or WebP, at most 512 KiB and 1,024 x 1,024
    pixels. AMS encodes it again, so only its pixels are kept."""
    return _answer(await service.set_logo(caller.actor, merchant_id, await request.body(), if_match), response)


@router.delete("/merchants/{merchant_id}/logo", summary="Remove a merchant's logo")
async def remove_merchant_logo(
    caller: Annotated[Caller, Depends(allowed("merchant.update"))],
    service: MerchantsPart,
    merchant_id: MerchantId,
    response: Response,
    if_match: IfMatch = None,
) -> MerchantView:
    """Remove the merchant's logo."""
    return _answer(await service.set_logo(caller.actor, merchant_id, None, if_match), response)


@router.get(
    "/catalog/logos/{name}",
    response_class=Response,
    responses={
        200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}, "description": "The logo."},
        304: {"description": "The picture is unchanged."},
    },
    summary="Read a logo",
)
async def read_logo(
    blobs: BlobsPart,
    name: Annotated[str, Path(pattern=r"^[0-9a-f]{40}\.png$", description="File name of the logo, as in `logo_url`.")],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Read a logo as PNG. A file name always stands for the same image."""
    headers = {"ETag": f'"{name}"', "Cache-Control": "public, max-age=31536000, immutable"}
    if if_none_match == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    blob = await blobs.get(f"{FOLDER}/{name}")
    if blob is None:
        raise not_found()
    return Response(blob.data, media_type=blob.content_type, headers=headers)
