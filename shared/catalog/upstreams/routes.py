"""The secret that goes with every call to a merchant's API, and the test of the connection to it."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from shared.catalog.models import HeaderName
from shared.catalog.parts import CatalogParts
from shared.catalog.services.routes import view
from shared.catalog.services.schemas import ServiceView
from shared.catalog.upstreams.connection_test import ConnectionTest
from shared.catalog.upstreams.secrets import UpstreamSecrets
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.http.fields import ServiceId
from shared.kernel.http.parameters import IfMatch
from shared.kernel.http.provided import provided
from shared.kernel.http.schemas import Input, View

router = APIRouter(prefix="/services/{service_id}", tags=["services"])

_TOO_OFTEN: dict[int | str, dict[str, Any]] = {
    429: {"description": "Too many requests. Try again after `Retry-After` seconds."}
}

ConnectionTestPart = Annotated[ConnectionTest, Depends(provided(CatalogParts, lambda catalog: catalog.connection_test))]
UpstreamSecretsPart = Annotated[
    UpstreamSecrets, Depends(provided(CatalogParts, lambda catalog: catalog.upstream_secrets))
]
ServiceEditor = Annotated[Caller, Depends(allowed("service.update"))]


class UpstreamSecret(Input):
    """A header that AMS sets on every call, by which the merchant's API authenticates AMS."""

    header: Annotated[HeaderName, Field(examples=["Authorization"])]
    """Name of the header."""
    value: Annotated[
        str, Field(min_length=1, max_length=8_000, pattern=r"^[\x20-\x7e]+$", json_schema_extra={"writeOnly": True})
    ]
    """Value of the header. It is never shown again."""


class ConnectionInput(Input):
    """A call that tests the connection to the merchant's API."""

    method: Literal["GET", "HEAD"] = "GET"
    """HTTP method of the call."""
    path: Annotated[str, Field(max_length=2_000)] = ""
    """Path below the base URL; empty is the base URL itself."""
    proposed: bool = False
    """Whether to call the base URL that waits for approval instead of the current one."""


class ConnectionView(View):
    """Result of a connection test."""

    reachable: bool
    """Whether the merchant's API answered, with any status."""
    status: int | None
    """HTTP status of the answer; null if there was none."""
    time_ms: int
    """Milliseconds until the answer's headers arrived, or until the failure."""
    reason: str | None
    """Reason why there was no answer; null if there was one."""


@router.put("/upstream-secret", summary="Set a service's upstream secret")
async def set_upstream_secret(
    caller: ServiceEditor,
    vault: UpstreamSecretsPart,
    service_id: ServiceId,
    secret: UpstreamSecret,
    response: Response,
    if_match: IfMatch = None,
) -> ServiceView:
    """Set the header that identifies AMS to the merchant's API. It applies at once, also for a live service."""
    return view(await vault.put(caller.actor, service_id, secret.header, secret.value, if_match), response)


@router.delete("/upstream-secret", summary="Remove a service's upstream secret")
async def remove_upstream_secret(
    caller: ServiceEditor,
    vault: UpstreamSecretsPart,
    service_id: ServiceId,
    response: Response,
    if_match: IfMatch = None,
) -> ServiceView:
    """Remove the header that identifies AMS to the merchant's API."""
    return view(await vault.remove(caller.actor, service_id, if_match), response)


@router.post("/test-connection", responses=_TOO_OFTEN, summary="Test a service's connection")
async def test_connection(
    caller: Annotated[Caller, Depends(allowed("service.test_connection"))],
    test: ConnectionTestPart,
    service_id: ServiceId,
    asked: ConnectionInput,
) -> ConnectionView:
    """Call the merchant's API once, with the service's own secret, and report whether it answers. Redirects are not
    followed, and addresses that are not public are not called."""
    reached = await test.run(service_id, asked.method, asked.path, proposed=asked.proposed)
    return ConnectionView.model_validate(reached, from_attributes=True)
