"""What belongs to a service beside its fields: its OpenAPI document, versions, the secret of its upstream."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import AwareDatetime, Field

from shared.catalog.models import HeaderName, Service
from shared.catalog.openapi.service import Descriptions
from shared.catalog.parts import CatalogParts
from shared.catalog.services.routes import Notes, ServicesPart, ServiceView, view
from shared.catalog.services.service import Services
from shared.catalog.upstreams.connection_test import ConnectionTest
from shared.catalog.upstreams.secrets import UpstreamSecrets
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.http.etags import entity_tag
from shared.kernel.http.fields import ServiceId
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
    """AMS sets `header` to `value` on every call. The value is never shown again."""

    header: Annotated[HeaderName, Field(examples=["Authorization"])]
    value: Annotated[
        str, Field(min_length=1, max_length=8_000, pattern=r"^[\x20-\x7e]+$", json_schema_extra={"writeOnly": True})
    ]


class ConnectionInput(Input):
    """`path` is put behind the base URL. With `proposed`, the base URL that waits for approval is called."""

    method: Literal["GET", "HEAD"] = "GET"
    path: Annotated[str, Field(max_length=2_000)] = ""
    proposed: bool = False


class ConnectionView(View):
    """`reachable` is whether it answered at all, with whatever `status`. `time_ms` is until the headers came."""

    reachable: bool
    status: int | None
    time_ms: int
    reason: str | None


class NewServiceVersion(Input):
    version: Annotated[str, Field(min_length=1, max_length=50, examples=["2.1.0"])]
    notes: Notes = ""


class ServiceVersionView(View):
    """`number` counts the service's versions, `version` is the merchant's name for it."""

    number: int
    version: str
    notes: str
    made_by: str
    made_at: AwareDatetime


class ServiceVersionsView(View):
    items: list[ServiceVersionView]
    next_cursor: str | None


class ParameterView(View):
    """`place` is `path`, `query`, `header` or `cookie`."""

    name: str
    place: str
    required: bool
    description: str


class OperationView(View):
    """`request` and `response` are examples, where the document has them."""

    method: str
    path: str
    operation_id: str | None
    summary: str
    parameters: list[ParameterView]
    request: str | None
    response: str | None


class OperationsView(View):
    items: list[OperationView]


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
    response.headers["ETag"] = entity_tag(detail.held.etag)
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
    items = [ServiceVersionView.model_validate(held.value.model_dump()) for held in page.items]
    return ServiceVersionsView(items=items, next_cursor=page.cursor)


async def _service(services: Services, service_id: ServiceId, proposed: bool) -> Service:
    detail = await services.read(service_id)
    return detail.proposed if proposed else detail.service
