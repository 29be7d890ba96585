"""`/api/v1/consumers/{consumer_id}` and the operators' `/api/v1/admin/consumers`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AwareDatetime, Field

from shared.access.consumers.service import Consumers
from shared.access.models import Consumer, ConsumerStatus
from shared.access.parts import AccessParts
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.documents import Identifier, Name, Stored
from shared.kernel.http.etags import entity_tag
from shared.kernel.http.fields import ConsumerId, NextCursor
from shared.kernel.http.parameters import Cursor, IfMatch, PageSize
from shared.kernel.http.provided import provided
from shared.kernel.http.schemas import DecisionReason, Input, View

router = APIRouter(tags=["consumers"])


class ConsumerChange(Input):
    """A change of a consumer: only what is given is changed."""

    name: Name | None = None
    """Name of the consumer; null or absent leaves it."""
    shares_name_with: Annotated[tuple[Identifier, ...], Field(max_length=1_000)] | None = None
    """Ids of the merchants that see the name; all other merchants see a pseudonym. Replaces the whole list; null or
    absent leaves it."""


class ConsumerView(View):
    """A consumer: an organisation that calls services and pays for them. It has grants, projects and keys."""

    id: ConsumerId
    name: str
    """Name of the consumer. Merchants see it only if they are in `shares_name_with`."""
    status: ConsumerStatus
    """Status of the consumer. Every call with a key of a `suspended` consumer is refused."""
    reason: str | None
    """Reason of the suspension, as the owner was notified; null while the consumer is active."""
    shares_name_with: list[str]
    """Ids of the merchants that see the name instead of a pseudonym."""
    created_at: AwareDatetime | None
    """Time of creation, which is the owner's first sign-in; null for seeded consumers."""


class AdminConsumerView(ConsumerView):
    """A consumer, as admins see it."""

    account_id: str | None
    """Id of the account that owns the consumer; null if there is none."""


class AdminConsumers(View):
    """A page of consumers."""

    items: list[AdminConsumerView]
    """Items of the page."""
    next_cursor: NextCursor


ConsumersPart = Annotated[Consumers, Depends(provided(AccessParts, lambda access: access.consumers))]


@router.get("/consumers/{consumer_id}", summary="Read a consumer")
async def read_consumer(
    caller: Annotated[Caller, Depends(allowed("consumer.read"))],
    consumers: ConsumersPart,
    consumer_id: ConsumerId,
    response: Response,
) -> ConsumerView:
    """Read a consumer, an organisation that calls services. Consumers read only their own."""
    return _one(await consumers.read(consumer_id), response)


@router.patch("/consumers/{consumer_id}", summary="Change a consumer")
async def update_consumer(
    caller: Annotated[Caller, Depends(allowed("consumer.update"))],
    consumers: ConsumersPart,
    consumer_id: ConsumerId,
    change: ConsumerChange,
    response: Response,
    if_match: IfMatch = None,
) -> ConsumerView:
    """Change the consumer's name, or the merchants that may see the name."""
    values = {name: value for name in change.model_fields_set if (value := getattr(change, name)) is not None}
    return _one(await consumers.update(caller.actor, consumer_id, values, if_match), response)


@router.get("/admin/consumers", summary="List all consumers")
async def list_consumers(
    caller: Annotated[Caller, Depends(allowed("consumer.list"))],
    consumers: ConsumersPart,
    status: Annotated[ConsumerStatus | None, Query(description="Only consumers with this status.")] = None,
    q: Annotated[
        str | None, Query(max_length=200, description="Only consumers whose name contains this, or whose id is this.")
    ] = None,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> AdminConsumers:
    """List all consumers. A page may be short without being the last one."""
    page = await consumers.page(status, q, limit, cursor)
    items = [AdminConsumerView.model_validate(stored.value.model_dump()) for stored in page.items]
    return AdminConsumers(items=items, next_cursor=page.cursor)


@router.post("/admin/consumers/{consumer_id}/suspend", summary="Suspend a consumer")
async def suspend_consumer(
    caller: Annotated[Caller, Depends(allowed("consumer.decide"))],
    consumers: ConsumersPart,
    consumer_id: ConsumerId,
    decision: DecisionReason,
    response: Response,
) -> AdminConsumerView:
    """Refuse all calls of the consumer until it is restored. The consumer is notified by e-mail."""
    return _admins(await consumers.suspend(caller.actor, consumer_id, decision.reason), response)


@router.post("/admin/consumers/{consumer_id}/restore", summary="Restore a consumer")
async def restore_consumer(
    caller: Annotated[Caller, Depends(allowed("consumer.decide"))],
    consumers: ConsumersPart,
    consumer_id: ConsumerId,
    decision: DecisionReason,
    response: Response,
) -> AdminConsumerView:
    """Lift a consumer's suspension. The consumer is notified by e-mail."""
    return _admins(await consumers.restore(caller.actor, consumer_id, decision.reason), response)


def _one(stored: Stored[Consumer], response: Response) -> ConsumerView:
    response.headers["ETag"] = entity_tag(stored.etag)
    return ConsumerView.model_validate(stored.value.model_dump())


def _admins(stored: Stored[Consumer], response: Response) -> AdminConsumerView:
    response.headers["ETag"] = entity_tag(stored.etag)
    return AdminConsumerView.model_validate(stored.value.model_dump())
