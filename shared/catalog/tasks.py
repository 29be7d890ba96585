"""Kinds of tasks that changes of the catalog leave in the outbox."""

from shared.audit.tasks import Task


class SyncGateway(Task):
    """Tell the gateway what is true of the service by then (`shared.catalog.upstreams.gateway`)."""

    kind = "gateway.sync"

    service_id: str


class ForgetSecret(Task):
    """Delete an upstream's secret that was replaced (`shared.catalog.upstreams.secrets`)."""

    kind = "upstream_secret.forget"

    name: str


class PublishPages(Task):
    """Write the public page of the service as it is by then (`shared.catalog.marketplace.static_site`)."""

    kind = "pages.publish"

    service_id: str


class RelistServices(Task):
    """List all of the merchant's services anew (`shared.catalog.services.relisting`)."""

    kind = "catalog.relist"

    merchant_id: str
