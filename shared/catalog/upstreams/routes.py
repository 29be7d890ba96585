"""What belongs to a service beside its fields: its OpenAPI document, versions, the secret of its upstream."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import AwareDatetime, Field

from shared.catalog.models import HeaderName, Service
from shared.catalog.openapi.service import Descriptions
from shared.catalog.parts import CatalogParts
from shared.catalog.services.routes import ServicesPart, view
from shared.catalog.services.schemas import Notes, ServiceView
from shared.catalog.services.service import Services
from shared.catalog.upstreams.connection_test import ConnectionTest
from shared.catalog.upstreams.secrets import UpstreamSecrets
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.http.etags import entity_tag
from shared.kernel.http.fields import NextCursor, ServiceId
from shared.kernel.http.parameters import Cursor, IfMatch, PageSize
from shared.kernel.http.provided import provided
from shared.kernel.http.schemas import Input, View

router = APIRouter(prefix="/services/{service_id}", tags=["services"])

_DOCUMENT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            media: {"schema": {"type": "object", "description": "OpenAPI 3.0 or 3.1, at most 2 MiB"}}
            for media in ("application/json", "application/yaml")
        },
    }
}
_PICTURE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            f"image/{kind}": {"schema": {"type": "string", "format": "binary"}} for kind in ("png", "jpeg", "webp")
        },
    }
}
_TOO_OFTEN: dict[int | str, dict[str, Any]] = {429: {"description": "Too often. Try again after `Retry-After`."}}


class UpstreamSecret(Input):
    """The header by which the merchant's API knows AMS, set on every call."""

    header: Annotated[HeaderName, Field(examples=["Authorization"])]
    """Its name."""
    value: Annotated[
        str, Field(min_length=1, max_length=8_000, pattern=r"^[\x20-\x7e]+$", json_schema_extra={"writeOnly": True})
    ]
    """Its value, which is never shown again."""


class ConnectionInput(Input):
    """A call to try the connection with."""

    method: Literal["GET", "HEAD"] = "GET"
    """How to call."""
    path: Annotated[str, Field(max_length=2_000)] = ""
    """What to put behind the base URL; empty is the base URL itself."""
    proposed: bool = False
    """Whether to call the base URL that waits for approval instead of the one that holds."""


class ConnectionView(View):
    """What came of the call."""

    reachable: bool
    """Whether the merchant's API answered at all, with whatever status."""
    status: int | None
    """HTTP status of its answer; null without one."""
    time_ms: int
    """Milliseconds until the answer's headers came, or until it failed."""
    reason: str | None
    """Why there was no answer; null if there was one."""


class NewServiceVersion(Input):
    """A version to announce."""

    version: Annotated[str, Field(min_length=1, max_length=50, examples=["2.1.0"])]
    """The merchant's name for it."""
    notes: Notes = ""
    """What changed, for consumers; empty is nothing."""


class ServiceVersionView(View):
    """A version of a service that was announced."""

    number: int
    """Counts the service's versions, from 1."""
    version: str
    """The merchant's name for it."""
    notes: str
    """What changed, for consumers; empty is nothing."""
    made_by: str
    """Id of the account that announced it."""
    made_at: AwareDatetime
    """When it was announced."""


class ServiceVersionsView(View):
    """A page of versions."""

    items: list[ServiceVersionView]
    """The page's items."""
    next_cursor: NextCursor


class ParameterView(View):
    """A parameter of an operation."""

    name: str
    """As the document calls it."""
    place: str
    """`path`, `query`, `header` or `cookie`."""
    required: bool
    """Whether a call must have it."""
    description: str
    """What the document says of it; empty is nothing."""


class OperationView(View):
    """An operation of the service's OpenAPI document."""

    method: str
    """In capitals."""
    path: str
    """Below the base URL."""
    operation_id: str | None
    """The document's name for it; null is none."""
    summary: str
    """What the document says of it in one line; empty is nothing."""
    parameters: list[ParameterView]
    """Those of the path included."""
    request: str | None
    """The document's example of a request's body; null is none."""
    response: str | None
    """The document's example of an answer's body; null is none."""


class OperationsView(View):
    """The operations of a service's OpenAPI document."""

    items: list[OperationView]
    """In the document's order."""


ConnectionTestPart = Annotated[ConnectionTest, Depends(provided(CatalogParts, lambda catalog: catalog.connection_test))]
DescriptionsPart = Annotated[Descriptions, Depends(provided(CatalogParts, lambda catalog: catalog.descriptions))]
UpstreamSecretsPart = Annotated[
    UpstreamSecrets, Depends(provided(CatalogParts, lambda catalog: catalog.upstream_secrets))
]
Editor = Annotated[Caller, Depends(allowed("service.update"))]
Reader = Annotated[Caller, Depends(allowed("service.read"))]
Proposed = Annotated[bool, Query(description="As it would be with the changes that wait for approval")]


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


@router.put("/openapi", openapi_extra=_DOCUMENT, responses=_TOO_OFTEN)
async def import_openapi(
    caller: Annotated[Caller, Depends(allowed("service.import_openapi"))],
    documents: DescriptionsPart,
    service_id: ServiceId,
    request: Request,
    response: Response,
    content_type: Annotated[str, Header(include_in_schema=False)] = "",
    if_match: IfMatch = None,
) -> ServiceView:
    """Import an OpenAPI document, JSON or YAML. It may refer to itself only; its servers are replaced by AMS. Of a live
    service it waits for approval."""
    text = await request.body()
    return view(await documents.put(caller.actor, service_id, text, content_type, if_match), response)


@router.get("/openapi", responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}})
async def read_openapi(
    caller: Reader,
    services: ServicesPart,
    documents: DescriptionsPart,
    service_id: ServiceId,
    proposed: Proposed = False,
) -> Response:
    """The service's OpenAPI document, as JSON."""
    document = await documents.read(await _service(services, service_id, proposed))
    return Response(document, media_type="application/json")


@router.get("/operations")
async def list_operations(
    caller: Reader,
    services: ServicesPart,
    documents: DescriptionsPart,
    service_id: ServiceId,
    proposed: Proposed = False,
) -> OperationsView:
    """What the service's OpenAPI document offers, in its order; at most 500."""
    found = await documents.operations(await _service(services, service_id, proposed))
    return OperationsView(items=[OperationView.model_validate(one, from_attributes=True) for one in found])


@router.put("/upstream-secret")
async def set_upstream_secret(
    caller: Editor,
    vault: UpstreamSecretsPart,
    service_id: ServiceId,
    secret: UpstreamSecret,
    response: Response,
    if_match: IfMatch = None,
) -> ServiceView:
    """Set the header by which the merchant's API knows AMS. It holds at once, also for a live service."""
    return view(await vault.put(caller.actor, service_id, secret.header, secret.value, if_match), response)


@router.delete("/upstream-secret")
async def remove_upstream_secret(
    caller: Editor, vault: UpstreamSecretsPart, service_id: ServiceId, response: Response, if_match: IfMatch = None
) -> ServiceView:
    """Send calls without that header again."""
    return view(await vault.remove(caller.actor, service_id, if_match), response)


@router.post("/test-connection", responses=_TOO_OFTEN)
async def test_connection(
    caller: Annotated[Caller, Depends(allowed("service.test_connection"))],
    test: ConnectionTestPart,
    service_id: ServiceId,
    asked: ConnectionInput,
) -> ConnectionView:
    """Call the merchant's API once, with the service's own secret, and say whether it answers. Redirects are not
    followed, and addresses that are not public are not called."""
    reached = await test.run(service_id, asked.method, asked.path, proposed=asked.proposed)
    return ConnectionView.model_validate(reached, from_attributes=True)


@router.post("/versions", status_code=201)
async def announce_version(
    caller: Editor, services: ServicesPart, service_id: ServiceId, release: NewServiceVersion, response: Response
) -> ServiceVersionView:
    """Announce a version of a live service to its consumers. Approvals make versions by themselves."""
    detail, version = await services.release(caller.actor, service_id, release.version, release.notes)
    response.headers["ETag"] = entity_tag(detail.stored.etag)
    return ServiceVersionView.model_validate(version.model_dump())


@router.get("/versions")
async def list_versions(
    caller: Reader,
    services: ServicesPart,
    service_id: ServiceId,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> ServiceVersionsView:
    """The service's versions, newest first."""
    page = await services.versions(service_id, limit, cursor)
    items = [ServiceVersionView.model_validate(stored.value.model_dump()) for stored in page.items]
    return ServiceVersionsView(items=items, next_cursor=page.cursor)


async def _service(services: Services, service_id: ServiceId, proposed: bool) -> Service:
    detail = await services.read(service_id)
    return detail.proposed if proposed else detail.service
