"""Merchants: registration, their own profile, what admins decide."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import AwareDatetime, Field

from shared.catalog.logos import FOLDER, keep_logo
from shared.catalog.merchants import Decision, Mark, Merchants
from shared.catalog.models import Address, Merchant, MerchantStatus
from shared.catalog.registration import Registration
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.preconditions import entity_tag
from shared.kernel.problems import not_found
from shared.kernel.stored import Held, Name, Slug
from shared.kernel.wire import Input, View
from shared.platform.blobs import Blobs

router = APIRouter(tags=["merchants"])

LegalName = Annotated[str, Field(max_length=200)]
TaxId = Annotated[str, Field(max_length=40)]
MerchantId = Annotated[str, Path(max_length=64)]
IfMatch = Annotated[str | None, Header(description="The ETag that was read")]


class AddressInput(Input, Address):
    """`country` is ISO 3166-1 alpha-2."""


class NewMerchant(Input):
    """`slug` is for good: it is in URLs and image names."""

    invite_code: Annotated[str, Field(min_length=1, max_length=200)]
    slug: Annotated[Slug, Field(examples=["meteo"])]
    name: Annotated[Name, Field(examples=["Meteo Works"])]
    legal_name: LegalName = ""
    tax_id: TaxId = ""
    address: AddressInput | None = None


class MerchantChange(Input):
    """Only what is given is changed; `address` as a whole."""

    name: Name | None = None
    legal_name: LegalName | None = None
    tax_id: TaxId | None = None
    address: AddressInput | None = None


class Reason(Input):
    reason: Annotated[str, Field(min_length=1, max_length=1_000)]


class MerchantView(View):
    """`logo_url` is public. `reason` is what the last decision gave."""

    id: str
    slug: str
    name: str
    status: MerchantStatus
    subscriptions_blocked: bool
    legal_name: str
    tax_id: str
    address: Address | None
    logo_url: str | None
    reason: str | None
    created_at: AwareDatetime | None


class MerchantForAdmins(MerchantView):
    flagged: bool
    account_ids: list[str]


class MerchantList(View):
    items: list[MerchantForAdmins]
    next_cursor: str | None


class OwnMerchants(View):
    items: list[MerchantView]


async def merchants(request: Request) -> Merchants:
    return request.app.state.parts.merchants  # type: ignore[no-any-return]  # set by create_app


async def registration(request: Request) -> Registration:
    return request.app.state.parts.registration  # type: ignore[no-any-return]  # set by create_app


async def blobs(request: Request) -> Blobs:
    return request.app.state.parts.blobs  # type: ignore[no-any-return]  # set by create_app


Desk = Annotated[Merchants, Depends(merchants)]


def _view(merchant: Merchant) -> MerchantView:
    logo = None if merchant.logo is None else f"/api/v1/{merchant.logo}"
    return MerchantView.model_validate({**merchant.model_dump(), "logo_url": logo})


def _full(merchant: Merchant) -> MerchantForAdmins:
    logo = None if merchant.logo is None else f"/api/v1/{merchant.logo}"
    return MerchantForAdmins.model_validate({**merchant.model_dump(), "logo_url": logo})


def _answer(held: Held[Merchant], response: Response) -> MerchantView:
    response.headers["ETag"] = entity_tag(held.etag)
    return _view(held.value)


@router.post(
    "/merchant-registrations",
    status_code=201,
    responses={404: {"description": "There is no such invite for you."}, 429: {"description": "Too many wrong codes."}},
)
async def register_merchant(
    caller: Annotated[Caller, Depends(allowed("merchant.register"))],
    registration: Annotated[Registration, Depends(registration)],
    body: NewMerchant,
) -> MerchantView:
    """Become a merchant with an invite. An admin activates it, unless the platform's settings do so at once."""
    merchant = await registration.register(
        caller.actor, caller.account, body.invite_code, slug=body.slug, name=body.name, legal_name=body.legal_name,
        tax_id=body.tax_id, address=body.address,
    )  # fmt: skip
    return _view(merchant)


@router.get("/me/merchants")
async def list_own_merchants(
    caller: Annotated[Caller, Depends(allowed("merchant.list_own"))], desk: Desk
) -> OwnMerchants:
    """The merchants that you act for."""
    return OwnMerchants(items=[_view((await desk.read(one)).value) for one in caller.account.merchant_ids])


@router.get("/merchants/{merchant_id}")
async def read_merchant(
    caller: Annotated[Caller, Depends(allowed("merchant.read"))],
    desk: Desk, merchant_id: MerchantId, response: Response,
) -> MerchantView:  # fmt: skip
    """A merchant's profile and state."""
    return _answer(await desk.read(merchant_id), response)


@router.patch("/merchants/{merchant_id}")
async def change_merchant(
    caller: Annotated[Caller, Depends(allowed("merchant.update"))],
    desk: Desk, merchant_id: MerchantId, body: MerchantChange, response: Response, if_match: IfMatch = None,
) -> MerchantView:  # fmt: skip
    """Change the profile."""
    values = body.model_dump(exclude_unset=True)
    given = {name: value for name, value in values.items() if value is not None or name == "address"}
    return _answer(await desk.update(caller.actor, merchant_id, given, if_match), response)


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
)
async def set_logo(
    caller: Annotated[Caller, Depends(allowed("merchant.update"))],
    desk: Desk, blobs: Annotated[Blobs, Depends(blobs)], merchant_id: MerchantId, request: Request, response: Response,
    if_match: IfMatch = None,
) -> MerchantView:  # fmt: skip
    """The picture itself as the body: PNG, JPEG or WebP, at most 512 KiB and 1,024 x 1,024 pixels."""
    name = await keep_logo(blobs, await request.body())
    return _answer(await desk.update(caller.actor, merchant_id, {"logo": name}, if_match), response)


@router.delete("/merchants/{merchant_id}/logo")
async def remove_logo(
    caller: Annotated[Caller, Depends(allowed("merchant.update"))],
    desk: Desk, merchant_id: MerchantId, response: Response, if_match: IfMatch = None,
) -> MerchantView:  # fmt: skip
    """No logo any more."""
    return _answer(await desk.update(caller.actor, merchant_id, {"logo": None}, if_match), response)


@router.get("/admin/merchants")
async def list_merchants(
    caller: Annotated[Caller, Depends(allowed("merchant.list"))],
    desk: Desk,
    status: MerchantStatus | None = None,
    flagged: bool | None = None,
    slug: Annotated[str | None, Query(max_length=63, pattern="^[a-z0-9-]*$", description="What it starts with")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: str | None = None,
) -> MerchantList:
    """All merchants, by slug. A page may be short and still not be the last."""
    page = await desk.page(status, flagged, slug, limit, cursor)
    return MerchantList(items=[_full(held.value) for held in page.items], next_cursor=page.cursor)


@router.get("/admin/merchants/{merchant_id}")
async def read_merchant_for_admins(
    caller: Annotated[Caller, Depends(allowed("merchant.list"))],
    desk: Desk, merchant_id: MerchantId, response: Response,
) -> MerchantForAdmins:  # fmt: skip
    """One merchant, with what only admins see."""
    held = await desk.read(merchant_id)
    response.headers["ETag"] = entity_tag(held.etag)
    return _full(held.value)


@router.post("/admin/merchants/{merchant_id}/decisions/{decision}")
async def decide_on_merchant(
    caller: Annotated[Caller, Depends(allowed("merchant.decide"))],
    desk: Desk, merchant_id: MerchantId, decision: Decision, body: Reason, response: Response,
) -> MerchantForAdmins:  # fmt: skip
    """Change a merchant's state. Its people are told by mail."""
    held = await desk.decide(caller.actor, merchant_id, decision, body.reason)
    response.headers["ETag"] = entity_tag(held.etag)
    return _full(held.value)


@router.post("/admin/merchants/{merchant_id}/marks/{mark}")
async def mark_merchant(
    caller: Annotated[Caller, Depends(allowed("merchant.decide"))],
    desk: Desk, merchant_id: MerchantId, mark: Mark, body: Reason, response: Response,
) -> MerchantForAdmins:  # fmt: skip
    """Flag a merchant for review, which has no effect of its own, or block new access requests to its services."""
    held = await desk.mark(caller.actor, merchant_id, mark, body.reason)
    response.headers["ETag"] = entity_tag(held.etag)
    return _full(held.value)


@router.get(
    "/catalog/logos/{name}",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}, "description": "The picture"}},
)
async def read_logo(
    blobs: Annotated[Blobs, Depends(blobs)],
    name: Annotated[str, Path(pattern=r"^[0-9a-f]{40}\.png$")],
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """A logo. Its name never changes its picture."""
    headers = {"ETag": f'"{name}"', "Cache-Control": "public, max-age=31536000, immutable"}
    if if_none_match == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    blob = await blobs.get(f"{FOLDER}/{name}")
    if blob is None:
        raise not_found()
    return Response(blob.data, media_type=blob.content_type, headers=headers)
