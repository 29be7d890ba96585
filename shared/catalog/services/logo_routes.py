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


@router.put("/logo", openapi_extra=_PICTURE)
async def set_service_logo(
    caller: Editor,
    services: ServicesPart,
    service_id: ServiceId,
    request: Request,
    response: Response,
    if_match: IfMatch = None,
) -> ServiceView:
    """Set the logo: the picture itself is the body, PNG, JPEG or WebP, at most 512 KiB and 1,024 x 1,024 pixels. It is
    drawn anew, so nothing but its pixels is kept."""
    return view(await services.set_logo(caller.actor, service_id, await request.body(), if_match), response)


@router.delete("/logo")
async def remove_service_logo(
    caller: Editor, services: ServicesPart, service_id: ServiceId, response: Response, if_match: IfMatch = None
) -> ServiceView:
    """Take the logo away."""
    return view(await services.set_logo(caller.actor, service_id, None, if_match), response)
