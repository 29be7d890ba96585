"""No operation takes a query parameter that it does not have: it would answer something else than what was asked."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast, get_args

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from shared.api.app import create_app, described
from shared.api.query import query_parameters
from shared.audit.parts import AuditParts
from shared.identity.models import Account, Role, SignedIn
from shared.identity.parts import IdentityParts
from shared.identity.permissions import Relation
from shared.kernel.clock import utc_now
from shared.kernel.http.provided import PartsApi
from tests.support.api.harness import Api


class Anybody:
    """Lets everybody do everything, so that every guard comes to the query. There is nothing behind it."""

    async def authenticate(self, headers: Mapping[str, str]) -> SignedIn:
        account = Account(id="acc_1", name="Ann", role="admin", consumer_id="con_1", created_at=utc_now())
        return SignedIn(account, "ses_1", 0)

    async def relations(
        self, signed: SignedIn, path: Mapping[str, str], query: Mapping[str, str]
    ) -> frozenset[tuple[Role, Relation]]:
        return frozenset((role, relation) for role in get_args(Role) for relation in get_args(Relation))


def _app() -> PartsApi:
    nothing: Any = None
    identity = IdentityParts(
        nothing,
        AuditParts(nothing),
        oidc_issuers=(),
        admins=(),
        auth_cache_s=0,
        first_tasks=lambda _: (),
        authority=Anybody,
    )
    return create_app(identity)


APP = _app()
PREFIX = "/api/v1/"


def routes(app: FastAPI) -> Iterator[tuple[str, str, APIRoute]]:
    """Method, path and route of every operation of the API."""
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute) and (context.path or "").startswith(PREFIX):
            for method in sorted(context.methods or ()):
                yield method, context.path or "", route


ROUTES = list(routes(described()))


async def call(method: str, path: str, query: str) -> httpx.Response:
    transport = httpx.ASGITransport(cast("Any", APP), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://ams.test") as client:
        return await client.request(method, re.sub(r"{\w+}", "x", path) + query)


def test_there_are_routes() -> None:
    documented = {(method.upper(), path) for path, item in described().openapi()["paths"].items() for method in item}
    assert {(method, path) for method, path, _ in ROUTES} <= documented
    assert len(ROUTES) > 200


@pytest.mark.parametrize(("method", "path", "route"), ROUTES, ids=lambda value: value if isinstance(value, str) else "")
async def test_an_unknown_parameter_is_refused_and_named(method: str, path: str, route: APIRoute) -> None:
    answer = await call(method, path, "?no_such_parameter=1")
    assert answer.status_code == 400
    assert answer.json()["code"] == "request_invalid"
    assert answer.json()["errors"] == [
        {"field": "no_such_parameter", "rule": "is not a query parameter of this operation"}
    ]


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [(method, path, name) for method, path, route in ROUTES for name in sorted(query_parameters(route).single)],
)
async def test_a_parameter_that_is_no_list_is_given_once(method: str, path: str, name: str) -> None:
    answer = await call(method, path, f"?{name}=1&{name}=2")
    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"field": name, "rule": "must be given only once"}]


async def test_what_the_document_lists_is_known() -> None:
    for method, path, route in ROUTES:
        operation = described().openapi()["paths"][path][method.lower()]
        listed = {each["name"] for each in operation.get("parameters", []) if each["in"] == "query"}
        known = query_parameters(route)
        assert listed == known.single | known.repeatable, (method, path)


async def test_a_filter_that_is_none_does_not_answer_the_platforms_total(api: Api) -> None:
    admin = await api.sign_in("Admin", admin=True)
    answer = await admin.get("/api/v1/admin/usage?consumer=con_acme&service=svc_weather")
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["consumer"]


async def test_a_list_may_be_repeated(api: Api) -> None:
    answer = await api.anonymous.get("/api/v1/catalog/services?tag=a&tag=b")
    assert answer.status_code == 200
