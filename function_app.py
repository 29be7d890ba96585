"""The one FunctionApp: registers the blueprints, nothing else."""

import azure.functions as func

from functions.events import aggregate_usage
from functions.http import consume, downloads, health, metrics, pages, portal
from functions.timers import (
    close_months,
    deliver_outbox,
    derive_rollups,
    evaluate_alerts,
    file_invoices,
    make_reports,
    notify_expiring_keys,
    publish_site,
    reconcile_usage,
    remind_unpaid,
)

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

for module in (
    aggregate_usage,
    close_months,
    consume,
    deliver_outbox,
    derive_rollups,
    downloads,
    evaluate_alerts,
    file_invoices,
    health,
    make_reports,
    metrics,
    notify_expiring_keys,
    pages,
    portal,
    publish_site,
    reconcile_usage,
    remind_unpaid,
):
    app.register_functions(module.blueprint)
