"""`/api/v1/consume/explain`: why would a call with this key be refused?"""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from pydantic import Field, IPvAnyAddress

from shared.access.keys.networks import parse_address
from shared.kernel.http.provided import provided
from shared.kernel.http.schemas import Input, View
from shared.metering.consume.explain import Explainer
from shared.metering.parts import MeteringParts

router = APIRouter(tags=["consume"])
own_header = APIKeyHeader(
    name="X-AMS-Key",
    scheme_name="AmsKey",
    auto_error=False,
    description="An API key of a consumer, from `POST …/keys`.",
)
bearer = HTTPBearer(
    scheme_name="AmsBearer",
    auto_error=False,
    description="The same API key as in `X-AMS-Key`, sent as `Authorization: Bearer …`.",
)


class ExplainInput(Input):
    """A call or usage report whose refusal is to be explained."""

    service: Annotated[str, Field(min_length=1, max_length=64)]
    """Slug or id of the service."""
    way: Literal["call", "report"] = "call"
    """`call` for a forwarded call, `report` for a usage report."""
    source_address: IPvAnyAddress | None = None
    """IP address that the call would come from; null is the address of this request."""


class ExplainCheckView(View):
    """A check of consume."""

    check: str
    """Name of the check."""
    passed: bool | None
    """Whether the check passed; null if it was skipped because an earlier check failed."""
    code: str | None
    """Problem code of the refusal; null unless the check failed."""
    detail: str | None
    """What is wrong; null unless the check failed."""
    what_to_do: str | None
    """What to do about the failure; null unless the check failed."""
    first_failure: bool
    """Whether a call is refused because of this check."""


class Explanation(View):
    """Result of all checks of consume."""

    allowed: bool
    """Whether every check passed."""
    checks: list[ExplainCheckView]
    """Checks in the order of consume. A call is refused because of the first that fails."""


ExplainerPart = Annotated[Explainer, Depends(provided(MeteringParts, lambda metering: metering.explainer))]


@router.post(
    "/consume/explain",
    responses={429: {"description": "Too many questions about this key. Try again after `Retry-After` seconds."}},
    summary="Explain a refusal",
)
async def explain_refusal(
    request: Request,
    explainer: ExplainerPart,
    _key: Annotated[object, Security(own_header)],
    _token: Annotated[object, Security(bearer)],
    question: ExplainInput,
) -> Explanation:
    """Run every check of consume for the key that this request carries, even if the key is expired, disabled or
    revoked. No call and no quota is counted."""
    source = None if question.source_address is None else parse_address(str(question.source_address))
    checks = await explainer.explain(request.headers, question.service, source, forwarding=question.way == "call")
    first = next((each for each in checks if each.passed is False), None)
    views = [
        ExplainCheckView(
            check=each.check,
            passed=each.passed,
            code=each.code,
            detail=each.detail,
            what_to_do=each.what_to_do,
            first_failure=each is first,
        )
        for each in checks
    ]
    return Explanation(allowed=first is None, checks=views)
