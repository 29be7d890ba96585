"""`/api/v1/consumers/{consumer_id}/keys`: API keys, made, found and described anew."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AwareDatetime

from shared.access.keys.creation import CreatedKey, KeyCreation
from shared.access.keys.service import KeyFilter, Keys
from shared.access.keys.views import (
    KeyChange,
    KeysView,
    KeyView,
    NewKey,
    NewProjectKey,
    ShownKeyView,
)
from shared.access.models import ApiKey, Environment, KeyStatus
from shared.access.parts import AccessParts
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.documents import Stored
from shared.kernel.http.etags import entity_tag
from shared.kernel.http.fields import ConsumerId, KeyId, ProjectId
from shared.kernel.http.paging import Page
from shared.kernel.http.parameters import Cursor, IfMatch, PageSize
from shared.kernel.http.problems import not_found
from shared.kernel.http.provided import provided

router = APIRouter(tags=["keys"])


async def key_filter(
    status: Annotated[KeyStatus | None, Query(description="Only keys with this status.")] = None,
    service: Annotated[str | None, Query(max_length=64, description="Only this service, by id.")] = None,
    project_id: Annotated[str | None, Query(max_length=64, description="Only keys of this project.")] = None,
    environment: Annotated[Environment | None, Query(description="Only keys of this environment.")] = None,
    expiring_before: Annotated[
        AwareDatetime | None, Query(description="Only keys that expire before this time.")
    ] = None,
) -> KeyFilter:
    return KeyFilter(
        status=status,
        service_id=service,
        project_id=project_id,
        environment=environment,
        expiring_before=expiring_before,
    )


KeysPart = Annotated[Keys, Depends(provided(AccessParts, lambda access: access.keys))]
KeyCreationPart = Annotated[KeyCreation, Depends(provided(AccessParts, lambda access: access.key_creation))]
Wanted = Annotated[KeyFilter, Depends(key_filter)]


@router.post("/consumers/{consumer_id}/keys", status_code=201, summary="Create a key")
async def create_key(
    caller: Annotated[Caller, Depends(allowed("key.create"))],
    creation: KeyCreationPart,
    consumer_id: ConsumerId,
    new: NewKey,
    response: Response,
) -> ShownKeyView:
    """Create an API key of the consumer. The clear key is only in this answer."""
    if caller.relation != "own":  # people of a project, who named it in the query: they use the project's own path
        raise not_found()
    return shown_view(
        await creation.create(caller.actor, caller.account, consumer_id, new.request(new.project_id)), response
    )


@router.post("/consumers/{consumer_id}/projects/{project_id}/keys", status_code=201, summary="Create a project's key")
async def create_project_key(
    caller: Annotated[Caller, Depends(allowed("key.create"))],
    creation: KeyCreationPart,
    consumer_id: ConsumerId,
    project_id: ProjectId,
    new: NewProjectKey,
    response: Response,
) -> ShownKeyView:
    """Create an API key of a project. The clear key is only in this answer."""
    return shown_view(
        await creation.create(caller.actor, caller.account, consumer_id, new.request(project_id)), response
    )


@router.get("/consumers/{consumer_id}/keys", summary="List a consumer's keys")
async def list_keys(
    caller: Annotated[Caller, Depends(allowed("key.list"))],
    keys: KeysPart,
    consumer_id: ConsumerId,
    key_filter: Wanted,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> KeysView:
    """List the consumer's API keys in the order of their creation. Members of a project must pass `project_id`. A page
    may be short without being the last one."""
    return page_view(await keys.page(consumer_id, key_filter, limit, cursor))


@router.get("/consumers/{consumer_id}/keys/{key_id}", summary="Read a key")
async def read_key(
    caller: Annotated[Caller, Depends(allowed("key.read"))],
    keys: KeysPart,
    consumer_id: ConsumerId,
    key_id: KeyId,
    response: Response,
) -> KeyView:
    """Read one API key. The clear key cannot be read again."""
    return key_view(await keys.read(consumer_id, key_id), response)


@router.patch("/consumers/{consumer_id}/keys/{key_id}", summary="Change a key")
async def update_key(
    caller: Annotated[Caller, Depends(allowed("key.update"))],
    keys: KeysPart,
    consumer_id: ConsumerId,
    key_id: KeyId,
    change: KeyChange,
    response: Response,
    if_match: IfMatch = None,
) -> KeyView:
    """Change a key's name, purpose, services, limits or networks. A service that its merchant revoked cannot be added
    again."""
    given = {name: value for name in change.model_fields_set if (value := getattr(change, name)) is not None}
    if change.limits is not None:
        given["limits"] = change.limits.stored
    if change.service_ids is not None:
        given["service_ids"] = tuple(dict.fromkeys(change.service_ids))
    return key_view(await keys.update(caller.actor, consumer_id, key_id, given, if_match), response)


def _view(key: ApiKey) -> dict[str, object]:
    return {**key.model_dump(), "needs_rotation": key.needs_rotation}


def page_view(page: Page[Stored[ApiKey]]) -> KeysView:
    items = [KeyView.model_validate(_view(stored.value)) for stored in page.items]
    return KeysView(items=items, next_cursor=page.cursor)


def key_view(stored: Stored[ApiKey], response: Response) -> KeyView:
    response.headers["ETag"] = entity_tag(stored.etag)
    return KeyView.model_validate(_view(stored.value))


def shown_view(shown: CreatedKey, response: Response) -> ShownKeyView:
    response.headers["ETag"] = entity_tag(shown.key.etag)
    return ShownKeyView.model_validate({**_view(shown.key.value), "key": shown.clear})
