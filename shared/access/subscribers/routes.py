"""`/api/v1/merchants/{merchant_id}/subscribers`: who uses a merchant's services, by pseudonym."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, Field

from shared.access.models import ApiKey, Environment, KeyStatus
from shared.access.parts import AccessParts
from shared.access.subscribers.key_revocation import SubscriberKeys
from shared.access.subscribers.service import GRANTS_AT_ONCE_MAX, Subscriber, Subscribers, SubscriberStatus, standing
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.documents import Identifier
from shared.kernel.http.fields import KeyId, MerchantId, NextCursor, Pseudonym, ServiceId
from shared.kernel.http.parameters import Cursor, PageSize
from shared.kernel.http.provided import provided
from shared.kernel.http.schemas import DecisionReason, View

router = APIRouter(tags=["subscribers"])


class SubscriberRestriction(DecisionReason):
    """The services to block or unblock for a subscriber."""

    service_ids: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=GRANTS_AT_ONCE_MAX)] | None = None
    """Ids of the merchant's services; null is all services of the merchant that the subscriber may use."""


class KeyRevocation(DecisionReason):
    """The services that a key loses permanently."""

    service_ids: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=1_000)] | None = None
    """Ids of the merchant's services; null is all services of the merchant."""


class SubscriptionView(View):
    """A subscriber's access to one service."""

    service_id: ServiceId
    status: SubscriberStatus
    """Status of the subscription. Calls are refused if the merchant has blocked the subscriber (`restricted`) or the
    access has ended (`left`)."""
    since: AwareDatetime | None
    """Time of the approval; null for seeded grants."""


class SubscriberKeyView(View):
    """A subscriber's key for services of the merchant, without its name and without the clear key."""

    id: KeyId
    prefix: str
    """First characters of the clear key."""
    last4: str
    """Last four characters of the clear key."""
    environment: Environment
    """`test` marks keys of tests. Consume treats both alike."""
    status: KeyStatus
    """Status of the key. Calls are accepted only while it is `active`."""
    service_ids: list[str]
    """Ids of this merchant's services that the key may call; services of other merchants are not shown."""


class SubscriberView(View):
    """A subscriber: a consumer of a merchant's services, as the merchant sees it."""

    pseudonym: Pseudonym
    name: str | None
    """Name of the consumer, if the consumer shares it with this merchant; otherwise null."""
    subscriptions: list[SubscriptionView]
    """Subscriptions, one for each service of this merchant that the subscriber uses or used."""
    keys: list[SubscriberKeyView]
    """The newest 100 keys of the subscriber for this merchant's services."""


class SubscribersView(View):
    """A page of subscribers."""

    items: list[SubscriberView]
    """Items of the page."""
    next_cursor: NextCursor


SubscriberKeysPart = Annotated[SubscriberKeys, Depends(provided(AccessParts, lambda access: access.subscriber_keys))]
SubscribersPart = Annotated[Subscribers, Depends(provided(AccessParts, lambda access: access.subscribers))]


@router.get("/merchants/{merchant_id}/subscribers", summary="List a merchant's subscribers")
async def list_subscribers(
    caller: Annotated[Caller, Depends(allowed("subscriber.list"))],
    subscribers: SubscribersPart,
    merchant_id: MerchantId,
    service: Annotated[str | None, Query(max_length=64, description="Only this service, by id.")] = None,
    status: Annotated[
        SubscriberStatus | None, Query(description="Only subscribers that have a subscription with this status.")
    ] = None,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> SubscribersView:
    """List the consumers that use, or once used, the merchant's services. A page may be short without being the last
    one."""
    page = await subscribers.page(merchant_id, service, status, limit, cursor)
    return SubscribersView(items=[_view(subscriber) for subscriber in page.items], next_cursor=page.cursor)


@router.get("/merchants/{merchant_id}/subscribers/{pseudonym}", summary="Read a merchant's subscriber")
async def read_subscriber(
    caller: Annotated[Caller, Depends(allowed("subscriber.list"))],
    subscribers: SubscribersPart,
    merchant_id: MerchantId,
    pseudonym: Pseudonym,
) -> SubscriberView:
    """Read one subscriber of the merchant, with the keys that call its services."""
    return _view(await subscribers.read(merchant_id, pseudonym))


@router.post("/merchants/{merchant_id}/subscribers/{pseudonym}/restrict", summary="Block a subscriber")
async def restrict_subscriber(
    caller: Annotated[Caller, Depends(allowed("subscriber.restrict"))],
    subscribers: SubscribersPart,
    merchant_id: MerchantId,
    pseudonym: Pseudonym,
    restriction: SubscriberRestriction,
) -> SubscriberView:
    """Refuse the subscriber's calls to this merchant's services until it is unblocked. The subscriber is notified by
    e-mail."""
    chosen, reason = restriction.service_ids, restriction.reason
    return _view(await subscribers.restrict(caller.actor, merchant_id, pseudonym, chosen, reason))


@router.post("/merchants/{merchant_id}/subscribers/{pseudonym}/unblock", summary="Unblock a subscriber")
async def unblock_subscriber(
    caller: Annotated[Caller, Depends(allowed("subscriber.restrict"))],
    subscribers: SubscribersPart,
    merchant_id: MerchantId,
    pseudonym: Pseudonym,
    restriction: SubscriberRestriction,
) -> SubscriberView:
    """Accept the subscriber's calls again. The subscriber is notified by e-mail."""
    chosen, reason = restriction.service_ids, restriction.reason
    return _view(await subscribers.unblock(caller.actor, merchant_id, pseudonym, chosen, reason))


@router.post(
    "/merchants/{merchant_id}/subscribers/{pseudonym}/keys/{key_id}/revoke",
    summary="Revoke a subscriber's key for your services",
)
async def revoke_subscriber_key(
    caller: Annotated[Caller, Depends(allowed("key.revoke_for_service"))],
    keys: SubscriberKeysPart,
    merchant_id: MerchantId,
    pseudonym: Pseudonym,
    key_id: KeyId,
    revocation: KeyRevocation,
) -> SubscriberKeyView:
    """Remove the merchant's services from one key permanently. Other merchants' services stay. The subscriber is
    notified by e-mail."""
    chosen, reason = revocation.service_ids, revocation.reason
    found = await keys.revoke(caller.actor, merchant_id, pseudonym, key_id, chosen, reason)
    return _key(found.key, set(found.service_ids))


def _view(subscriber: Subscriber) -> SubscriberView:
    subscriptions = [
        SubscriptionView(
            service_id=grant.service_id, status=standing(grant), since=grant.decided_at or grant.requested_at
        )
        for grant in subscriber.grants
    ]
    services = {grant.service_id for grant in subscriber.grants}
    keys = [_key(key, services) for key in subscriber.keys]
    return SubscriberView(pseudonym=subscriber.pseudonym, name=subscriber.name, subscriptions=subscriptions, keys=keys)


def _key(key: ApiKey, services: set[str]) -> SubscriberKeyView:
    mine = [service_id for service_id in key.service_ids if service_id in services]
    return SubscriberKeyView.model_validate({**key.model_dump(), "service_ids": mine})
