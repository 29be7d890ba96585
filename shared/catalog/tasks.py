"""Kinds of tasks that changes of the catalog leave in the outbox."""

PUBLISH_TASK = "pages.publish"
"""Its data is `service_id`: write the public page of the service as it is by then (`shared.catalog.publish`)."""
