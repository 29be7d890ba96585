"""The versions of a service that were announced to its consumers."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import AwareDatetime, Field

from shared.catalog.services.routes import ServicesPart
from shared.catalog.services.schemas import Notes
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.http.etags import entity_tag
from shared.kernel.http.fields import NextCursor, ServiceId
from shared.kernel.http.parameters import Cursor, PageSize
from shared.kernel.http.schemas import Input, View

router = APIRouter(prefix="/services/{service_id}", tags=["services"])


class NewServiceVersion(Input):
    """A version to announce."""

    version: Annotated[str, Field(min_length=1, max_length=50, examples=["2.1.0"])]
    """Merchant's name for the version."""
    notes: Notes = ""
    """Changes of the version, for consumers; empty is none."""


class ServiceVersionView(View):
    """A version of a service that was announced."""

    number: int
    """Number of the version of the service, from 1."""
    version: str
    """Merchant's name for the version."""
    notes: str
    """Changes of the version, for consumers; empty is none."""
    made_by: str
    """Id of the account that announced the version."""
    made_at: AwareDatetime
    """Time of the announcement."""


class ServiceVersionsView(View):
    """A page of announced versions."""

    items: list[ServiceVersionView]
    """Items of the page."""
    next_cursor: NextCursor


@router.post("/versions", status_code=201, summary="Announce a service's version")
async def announce_version(
    caller: Annotated[Caller, Depends(allowed("service.update"))],
    services: ServicesPart,
    service_id: ServiceId,
    release: NewServiceVersion,
    response: Response,
) -> ServiceVersionView:
    """Announce a version of a live service to its consumers. Approvals create versions automatically."""
    detail, version = await services.release(caller.actor, service_id, release.version, release.notes)
    response.headers["ETag"] = entity_tag(detail.stored.etag)
    return ServiceVersionView.model_validate(version.model_dump())


@router.get("/versions", summary="List a service's versions")
async def list_versions(
    caller: Annotated[Caller, Depends(allowed("service.read"))],
    services: ServicesPart,
    service_id: ServiceId,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> ServiceVersionsView:
    """List the service's versions, newest first."""
    page = await services.versions(service_id, limit, cursor)
    items = [ServiceVersionView.model_validate(stored.value.model_dump()) for stored in page.items]
    return ServiceVersionsView(items=items, next_cursor=page.cursor)
