"""The FastAPI application factory: routers, problem+json for every error, OpenAPI 3.1 at /api/v1/openapi.json."""

from fastapi import FastAPI

from shared.access.routes import consumers, grants, key_states, keys, leaks, members, projects, refusals, subscribers
from shared.access.routes import invites as project_invites
from shared.alerts import routes as alerts
from shared.api.answers import answer_errors
from shared.api.edge import Edge
from shared.api.idempotency import Idempotency
from shared.api.openapi import describe
from shared.api.parts import Parts
from shared.api.routes import audit, docs, settings
from shared.billing.routes import closes, documents, invoices, plans, pricing, reports
from shared.billing.routes import setup as billing_setup
from shared.catalog.routes import admin_merchants, catalogue, merchants, reviews, service_parts, services
from shared.identity.routes import accounts, invites, me
from shared.metering.routes import consumer, explain, holder, merchant, platform
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
    service_parts.router,
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


def create_app(parts: Parts) -> FastAPI:
    """Routes find what they need, and who calls, in `app.state.parts`."""
    app = FastAPI(
        title="AMS", version=VERSION, openapi_url="/api/v1/openapi.json", docs_url=None, redoc_url=None,
        redirect_slashes=False,
    )  # fmt: skip
    app.state.parts = parts
    for router in ROUTERS:
        app.include_router(router, prefix="/api/v1")
    app.include_router(docs.router, prefix="/api")
    describe(app)
    answer_errors(app)
    app.add_middleware(Idempotency, documents=lambda: parts.documents, authority=lambda: parts.authority)
    app.add_middleware(Edge)  # outermost: it was added last
    return app
