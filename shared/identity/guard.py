"""The one dependency that decides on every route: `caller: Annotated[Caller, Depends(allowed("key.create"))]`.

It verifies the token, finds out in which relations the account stands to the object that the path names, and looks the
action up in the permission table. A test lists the routes and fails for one that has neither this nor a place in
`PUBLIC_ROUTES`.
"""

from typing import Annotated, get_args

from fastapi import Header, Request, Security
from fastapi.security import HTTPBearer
from pydantic import WithJsonSchema

from shared.identity.models import Caller, Role, SignedIn
from shared.identity.parts import IdentityParts
from shared.identity.permissions import PERMISSIONS, Relation, decide
from shared.kernel.errors import FieldError, Problem
from shared.kernel.http.problems import not_found
from shared.kernel.http.provided import parts_of
from shared.kernel.ids import new_id

ROLE_HEADER = "X-AMS-Role"
_token = HTTPBearer(
    scheme_name="SignIn", auto_error=False, description="An access token of the sign-in provider (OpenID Connect)."
)


class Allowed:
    """Decides whether the caller of a route may do `action`; a dependency of FastAPI. `action` is one of the permission
    table."""

    def __init__(self, action: str) -> None:
        if action not in PERMISSIONS:
            raise ValueError(f"{action} is not in the permission table")
        self.action = action

    async def __call__(
        self,
        request: Request,
        _token: Annotated[object, Security(_token)],
        active_role: Annotated[
            str | None,
            WithJsonSchema({"type": "string", "enum": sorted(get_args(Role))}),  # `_narrow` checks it, after the token
            Header(
                alias=ROLE_HEADER,
                description="Act only in this role of the account. Left out, all roles that it holds count.",
            ),
        ] = None,
    ) -> Caller:
        authority = parts_of(request, IdentityParts).authority
        signed = await authority.authenticate(request.headers)
        held = await authority.relations(signed, request.path_params, request.query_params)
        if active_role is not None:
            held = _narrow(signed, held, active_role)
        if not held:
            raise not_found()
        decided = decide(self.action, held)
        if decided is None:
            raise Problem(403, "forbidden", f"Your role does not allow {self.action} here.")
        if problem := getattr(request.state, "query_problem", None):  # see shared.api.query
            raise problem
        role, relation = decided
        request_id: str = getattr(request.state, "request_id", "") or new_id("req")
        return Caller(signed.account, signed.session_id, role, relation, request_id)


def allowed(action: str) -> Allowed:
    """Make the dependency of a route that decides whether its caller may do an action of the permission table."""
    return Allowed(action)


def _narrow(signed: SignedIn, held: frozenset[tuple[Role, Relation]], active: str) -> frozenset[tuple[Role, Relation]]:
    if active not in get_args(Role):
        rule = f"must be one of {', '.join(get_args(Role))}"
        raise Problem(400, "request_invalid", f"`{ROLE_HEADER}` {rule}.", errors=(FieldError(ROLE_HEADER, rule),))
    if active not in signed.roles:
        raise Problem(403, "role_not_held", f"Your account does not hold the role {active}.")
    return frozenset(pair for pair in held if pair[0] == active)
