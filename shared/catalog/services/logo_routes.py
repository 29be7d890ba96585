"""The logo of a service."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from shared.catalog.services.routes import ServicesPart, view
from shared.catalog.services.schemas import ServiceView
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.http.fields import ServiceId
from shared.kernel.http.parameters import IfMatch

router = APIRouter(prefix="/services/{service_id}", tags=["services"])

_PICTURE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            f"image/{kind}": {"schema": {"type": "string", "format": "binary"}} for kind in ("png", "jpeg", "webp")
        },
    }
}

Editor = Annotated[Caller, Depends(allowed("service.update"))]


@router.put("/logo", openapi_extra=_PICTURE, summary="Set a service's logo")
async def set_service_logo(
    caller: Editor,
    services: ServicesPart,
    service_id: ServiceId,
    request: Request,
    response: Response,
    if_match: IfMatch = None,
) -> ServiceView:
    """Set the service's logo. The body is the image itself: PNG, JPEG or WebP, at most 512 KiB and 1,024 x 1,024
    pixels. AMS encodes it again, so only its pixels are kept."""
    return view(await services.set_logo(caller.actor, service_id, await request.body(), if_match), response)


@router.delete("/logo", summary="Remove a service's logo")
async def remove_service_logo(
    caller: Editor, services: ServicesPart, service_id: ServiceId, response: Response, if_match: IfMatch = None
) -> ServiceView:
    """Remove the service's logo."""
    return view(await services.set_logo(caller.actor, service_id, None, if_match), response)
