"""`/api/v1/consumers/{consumer_id}/keys`: API keys, made, found and described anew."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AwareDatetime, Field

from shared.access.keys.creation import KeyIssuing, KeyPlan, Shown
from shared.access.keys.service import KeyFilter, Keys
from shared.access.models import ApiKey, Environment, KeyStatus, Network
from shared.access.parts import AccessParts
from shared.catalog.models import Limits
from shared.identity.guard import allowed, not_found
from shared.identity.models import Caller
from shared.kernel.documents import Held, Identifier, Name
from shared.kernel.http.etags import entity_tag
from shared.kernel.http.fields import ConsumerId, KeyId, ProjectId
from shared.kernel.http.paging import Page
from shared.kernel.http.parameters import Cursor, IfMatch, PageSize
from shared.kernel.http.provided import provided
from shared.kernel.http.schemas import Input, View

router = APIRouter(tags=["keys"])

Description = Annotated[str, Field(max_length=2_000)]
Purpose = Annotated[str, Field(max_length=200)]
Networks = Annotated[
    tuple[Network, ...],
    Field(max_length=100, description="Where calls may come from, such as `192.0.2.0/24`; empty for anywhere"),
]
ServiceIds = Annotated[tuple[Identifier, ...], Field(max_length=1_000)]
LIMIT_MAX = 2**53 - 1
"""What a JSON number can hold exactly."""

Limit = Annotated[int, Field(ge=1, le=LIMIT_MAX)] | None


class KeyLimits(Input):
    """Of this key, beside those of the service. Null is no limit; the quota counts requests in a UTC month."""

    per_minute: Limit = None
    per_hour: Limit = None
    per_day: Limit = None
    quota_per_month: Limit = None

    @property
    def stored(self) -> Limits:
        return Limits(**self.model_dump())


NO_LIMITS = KeyLimits()


class NewProjectKey(Input):
    """`service_ids` are services with an approved grant that the project may use. `ttl_days` null: it never expires."""

    name: Name
    description: Description = ""
    purpose: Purpose = ""
    environment: Environment = "live"
    service_ids: Annotated[ServiceIds, Field(min_length=1)]
    ttl_days: Annotated[int, Field(ge=1, le=3_650)] | None = None
    limits: KeyLimits = NO_LIMITS
    networks: Networks = ()

    def plan(self, project_id: str | None) -> KeyPlan:
        return KeyPlan(
            name=self.name,
            description=self.description,
            purpose=self.purpose,
            environment=self.environment,
            service_ids=self.service_ids,
            project_id=project_id,
            ttl_days=self.ttl_days,
            limits=self.limits.stored,
            networks=self.networks,
        )


class NewKey(NewProjectKey):
    """A key belongs to one project, or none, for life."""

    project_id: Identifier | None = None


class KeyChange(Input):
    """Only what is given is changed; `limits` and lists as a whole."""

    name: Name | None = None
    description: Description | None = None
    purpose: Purpose | None = None
    service_ids: ServiceIds | None = None
    limits: KeyLimits | None = None
    networks: Networks | None = None


class LimitsView(View):
    per_minute: int | None
    per_hour: int | None
    per_day: int | None
    quota_per_month: int | None


class KeyView(View):
    """What is known of a key, which is never the key. `revoked_service_ids` were taken away by their merchant.
    `previous_until` is there while the secret before the last rotation still works. `needs_rotation`: the platform has
    ended its secret. `leaked_at`: when its secret was found in public."""

    id: str
    consumer_id: str
    project_id: str | None
    name: str
    description: str
    purpose: str
    environment: Environment
    status: KeyStatus
    reason: str | None
    prefix: str
    last4: str
    service_ids: list[str]
    revoked_service_ids: list[str]
    limits: LimitsView
    networks: list[str]
    ttl_days: int | None
    expires_at: AwareDatetime | None
    previous_until: AwareDatetime | None
    needs_rotation: bool
    leaked_at: AwareDatetime | None
    created_by: str | None
    created_at: AwareDatetime | None
    rotated_at: AwareDatetime | None


class ShownKeyView(KeyView):
    """`key` is the clear key. It is shown in this answer only: nobody can read it again."""

    key: str


class KeysView(View):
    items: list[KeyView]
    next_cursor: str | None


async def key_filter(
    status: KeyStatus | None = None,
    service: Annotated[str | None, Query(max_length=64, description="Id of a service")] = None,
    project_id: Annotated[str | None, Query(max_length=64)] = None,
    environment: Environment | None = None,
    expiring_before: AwareDatetime | None = None,
) -> KeyFilter:
    return KeyFilter(
        status=status,
        service_id=service,
        project_id=project_id,
        environment=environment,
        expiring_before=expiring_before,
    )


KeysPart = Annotated[Keys, Depends(provided(AccessParts, lambda access: access.keys))]
KeyIssuingPart = Annotated[KeyIssuing, Depends(provided(AccessParts, lambda access: access.key_issuing))]
Wanted = Annotated[KeyFilter, Depends(key_filter)]


@router.post("/consumers/{consumer_id}/keys", status_code=201)
async def create_key(
    caller: Annotated[Caller, Depends(allowed("key.create"))],
    issuing: KeyIssuingPart,
    consumer_id: ConsumerId,
    new: NewKey,
    response: Response,
) -> ShownKeyView:
    """Make a key, for whoever's organisation it is. The answer shows it, once."""
    if caller.relation != "own":  # people of a project, who named it in the query: they use the project's own path
        raise not_found()
    return shown_view(
        await issuing.create(caller.actor, caller.account, consumer_id, new.plan(new.project_id)), response
    )


@router.post("/consumers/{consumer_id}/projects/{project_id}/keys", status_code=201)
async def create_project_key(
    caller: Annotated[Caller, Depends(allowed("key.create"))],
    issuing: KeyIssuingPart,
    consumer_id: ConsumerId,
    project_id: ProjectId,
    new: NewProjectKey,
    response: Response,
) -> ShownKeyView:
    """Make a key of a project. The answer shows it, once."""
    return shown_view(await issuing.create(caller.actor, caller.account, consumer_id, new.plan(project_id)), response)


@router.get("/consumers/{consumer_id}/keys")
async def list_keys(
    caller: Annotated[Caller, Depends(allowed("key.list"))],
    keys: KeysPart,
    consumer_id: ConsumerId,
    wanted: Wanted,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> KeysView:
    """Keys, in the order in which they were made; people of a project ask with `project_id`. A page may be short and
    still not be the last."""
    return page_view(await keys.page(consumer_id, wanted, limit, cursor))


@router.get("/consumers/{consumer_id}/keys/{key_id}")
async def read_key(
    caller: Annotated[Caller, Depends(allowed("key.read"))],
    keys: KeysPart,
    consumer_id: ConsumerId,
    key_id: KeyId,
    response: Response,
) -> KeyView:
    """One key."""
    return key_view(await keys.read(consumer_id, key_id), response)


@router.patch("/consumers/{consumer_id}/keys/{key_id}")
async def update_key(
    caller: Annotated[Caller, Depends(allowed("key.update"))],
    keys: KeysPart,
    consumer_id: ConsumerId,
    key_id: KeyId,
    change: KeyChange,
    response: Response,
    if_match: IfMatch = None,
) -> KeyView:
    """Change what it is called and what it may do. A service that its merchant took from it cannot come back."""
    given = {name: value for name in change.model_fields_set if (value := getattr(change, name)) is not None}
    if change.limits is not None:
        given["limits"] = change.limits.stored
    if change.service_ids is not None:
        given["service_ids"] = tuple(dict.fromkeys(change.service_ids))
    return key_view(await keys.update(caller.actor, consumer_id, key_id, given, if_match), response)


def _view(key: ApiKey) -> dict[str, object]:
    return {**key.model_dump(), "needs_rotation": key.needs_rotation}


def page_view(page: Page[Held[ApiKey]]) -> KeysView:
    items = [KeyView.model_validate(_view(held.value)) for held in page.items]
    return KeysView(items=items, next_cursor=page.cursor)


def key_view(held: Held[ApiKey], response: Response) -> KeyView:
    response.headers["ETag"] = entity_tag(held.etag)
    return KeyView.model_validate(_view(held.value))


def shown_view(shown: Shown, response: Response) -> ShownKeyView:
    response.headers["ETag"] = entity_tag(shown.key.etag)
    return ShownKeyView.model_validate({**_view(shown.key.value), "key": shown.clear})
