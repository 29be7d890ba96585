"""The FastAPI application factory: routers, problem+json for every error, OpenAPI 3.1 at /api/v1/openapi.json."""

from collections.abc import Callable
from datetime import datetime
from functools import cache

from fastapi import Depends, FastAPI

from shared.access.consumers import routes as consumers
from shared.access.gate import routes as refusals
from shared.access.grants import routes as grants
from shared.access.keys import routes as keys
from shared.access.keys import state_routes as key_states
from shared.access.leaks import routes as leaks
from shared.access.projects import invite_routes as project_invites
from shared.access.projects import member_routes as members
from shared.access.projects import routes as projects
from shared.access.subscribers import routes as subscribers
from shared.alerts import routes as alerts
from shared.api.answers import answer_errors
from shared.api.edge import Edge
from shared.api.idempotency import Idempotency
from shared.api.openapi.document import describe
from shared.api.query import only_known_query
from shared.api.routes import audit, docs, settings
from shared.billing.documents import routes as documents
from shared.billing.month_close import routes as closes
from shared.billing.prices import calculator_routes as pricing
from shared.billing.prices import routes as plans
from shared.billing.profiles import routes as billing_setup
from shared.billing.receivables import routes as invoices
from shared.catalog.marketplace import routes as catalogue
from shared.catalog.merchants import admin_routes as admin_merchants
from shared.catalog.merchants import invite_routes as invites
from shared.catalog.merchants import routes as merchants
from shared.catalog.openapi import routes as service_documents
from shared.catalog.services import logo_routes as service_logos
from shared.catalog.services import review_routes as reviews
from shared.catalog.services import routes as services
from shared.catalog.services import version_routes as service_versions
from shared.catalog.upstreams import routes as upstreams
from shared.identity.accounts import admin_routes as accounts
from shared.identity.accounts import routes as me
from shared.kernel.clock import utc_now
from shared.kernel.http.operation_ids import operation_id
from shared.kernel.http.provided import PartsApi
from shared.metering.consume import routes as explain
from shared.metering.views.routes import consumer, holder, merchant, platform
from shared.reports import routes as reports
from shared.webhooks import routes as webhooks

VERSION = "0.1.0"

ROUTERS = (
    audit.router,
    settings.router,
    me.router,
    accounts.router,
    consumers.router,
    grants.router,
    subscribers.router,
    keys.router,
    key_states.router,
    refusals.router,
    leaks.router,
    projects.router,
    members.router,
    project_invites.router,
    invites.router,
    merchants.router,
    admin_merchants.router,
    catalogue.router,
    services.router,
    service_logos.router,
    service_documents.router,
    upstreams.router,
    service_versions.router,
    reviews.router,
    holder.router,
    explain.router,
    consumer.router,
    merchant.router,
    platform.router,
    plans.router,
    billing_setup.router,
    pricing.router,
    closes.router,
    invoices.router,
    *alerts.routers,
    *webhooks.routers,
    documents.router,
    *reports.routers,
)


def create_app(*parts: object, now: Callable[[], datetime] = utc_now) -> PartsApi:
    """Make the API with the parts of every noun (`<noun>.parts`), in any order."""
    return PartsApi(described(), parts, now)


@cache
def described() -> FastAPI:
    """Make all routes and their document. Making them takes a while, and they are the same for every application."""
    app = FastAPI(
        title="AMS",
        version=VERSION,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=operation_id,
    )
    for router in ROUTERS:
        app.include_router(router, prefix="/api/v1", dependencies=[Depends(only_known_query)])
    app.include_router(docs.router, prefix="/api")
    describe(app)
    answer_errors(app)
    app.add_middleware(Idempotency)
    app.add_middleware(Edge)  # outermost: it was added last
    return app
