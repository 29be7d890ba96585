"""Kinds of tasks that changes of the catalog leave in the outbox."""

GATEWAY_TASK = "gateway.sync"
"""Its data is `service_id`: tell the gateway what is true of the service by then
(`shared.catalog.upstreams.gateway`)."""

FORGET_SECRET_TASK = "upstream_secret.forget"  # noqa: S105 - a task's name
"""Its data is `name`, of an upstream's secret that was replaced (`shared.catalog.upstreams.secrets`)."""

PUBLISH_TASK = "pages.publish"
"""Its data is `service_id`: write the public page of the service as it is by then
(`shared.catalog.marketplace.static_site`)."""

RELIST_TASK = "catalog.relist"
"""Its data is `merchant_id`: list all of the merchant's services anew (`shared.catalog.services.relisting`)."""
