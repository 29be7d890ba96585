"""Which services a key may be assigned to."""

from collections.abc import Collection

from shared.access.models import Grant, Project
from shared.access.store import AccessStore, grant_document
from shared.kernel.http.problems import invalid_field


async def check_services(
    store: AccessStore, consumer_id: str, project: Project | None, service_ids: Collection[str]
) -> None:
    """Check that a key of this project (None: of none) may be assigned to services: each needs an approved grant that
    is open to the project. Raises Problem 400, with the same rule for a service that is not granted and for one that is
    not there."""
    if not service_ids:
        return
    grants = await store.all_of(Grant, consumer_id, grant_document(""))
    usable = {g.value.service_id for g in grants if g.value.status == "approved" and g.value.open_to(project)}
    if set(service_ids) - usable:
        raise invalid_field("service_ids", "must name services with an approved grant that this key's project may use")
