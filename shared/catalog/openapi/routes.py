"""The OpenAPI document of a service: imported, read, and its operations listed."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from shared.catalog.models import Service
from shared.catalog.openapi.service import OpenApiDocuments
from shared.catalog.parts import CatalogParts
from shared.catalog.services.routes import ServicesPart, view
from shared.catalog.services.schemas import ServiceView
from shared.catalog.services.service import Services
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.http.fields import ServiceId
from shared.kernel.http.parameters import IfMatch
from shared.kernel.http.provided import provided
from shared.kernel.http.schemas import View

router = APIRouter(prefix="/services/{service_id}", tags=["services"])

_DOCUMENT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            media: {
                "schema": {"type": "object", "description": "An OpenAPI document, version 3.0 or 3.1, at most 2 MiB."}
            }
            for media in ("application/json", "application/yaml")
        },
    }
}
_TOO_OFTEN: dict[int | str, dict[str, Any]] = {
    429: {"description": "Too many requests. Try again after `Retry-After` seconds."}
}

OpenApiDocumentsPart = Annotated[
    OpenApiDocuments, Depends(provided(CatalogParts, lambda catalog: catalog.openapi_documents))
]
Reader = Annotated[Caller, Depends(allowed("service.read"))]
Proposed = Annotated[bool, Query(description="Whether to include the changes that wait for approval.")]


class ParameterView(View):
    """A parameter of an operation."""

    name: str
    """Name of the parameter."""
    place: str
    """Place of the parameter: `path`, `query`, `header` or `cookie`."""
    required: bool
    """Whether the parameter is required."""
    description: str
    """Description from the document; empty is none."""


class OperationView(View):
    """An operation of the service's OpenAPI document."""

    method: str
    """HTTP method in capitals."""
    path: str
    """Path below the base URL."""
    operation_id: str | None
    """`operationId` from the document; null is none."""
    summary: str
    """Summary from the document; empty is none."""
    parameters: list[ParameterView]
    """Parameters, those of the path included."""
    request: str | None
    """Example of a request body from the document; null is none."""
    response: str | None
    """Example of a response body from the document; null is none."""


class OperationsView(View):
    """The operations of a service's OpenAPI document."""

    items: list[OperationView]
    """Operations in the order of the document."""


@router.put("/openapi", openapi_extra=_DOCUMENT, responses=_TOO_OFTEN, summary="Import a service's OpenAPI document")
async def import_openapi(
    caller: Annotated[Caller, Depends(allowed("service.import_openapi"))],
    documents: OpenApiDocumentsPart,
    service_id: ServiceId,
    request: Request,
    response: Response,
    content_type: Annotated[str, Header(include_in_schema=False)] = "",
    if_match: IfMatch = None,
) -> ServiceView:
    """Import an OpenAPI document as JSON or YAML. References must stay inside the document; its servers are replaced by
    AMS. For a live service the document waits for approval."""
    text = await request.body()
    return view(await documents.put(caller.actor, service_id, text, content_type, if_match), response)


@router.get(
    "/openapi",
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
    summary="Read a service's OpenAPI document",
)
async def read_openapi(
    caller: Reader,
    services: ServicesPart,
    documents: OpenApiDocumentsPart,
    service_id: ServiceId,
    proposed: Proposed = False,
) -> Response:
    """Read the service's OpenAPI document as JSON."""
    document = await documents.read(await _service(services, service_id, proposed))
    return Response(document, media_type="application/json")


@router.get("/operations", summary="List the operations of a service")
async def list_operations(
    caller: Reader,
    services: ServicesPart,
    documents: OpenApiDocumentsPart,
    service_id: ServiceId,
    proposed: Proposed = False,
) -> OperationsView:
    """List the operations of the service's OpenAPI document, in its order; at most 500."""
    found = await documents.operations(await _service(services, service_id, proposed))
    return OperationsView(items=[OperationView.model_validate(one, from_attributes=True) for one in found])


async def _service(services: Services, service_id: ServiceId, proposed: bool) -> Service:
    detail = await services.read(service_id)
    return detail.proposed if proposed else detail.service
