"""Owners of webhooks, alert rules and reports: a consumer, a merchant or the platform, each below its own path."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

from shared.kernel.http.fields import ConsumerId, MerchantId

OwnerKind = Literal["consumer", "merchant", "platform"]

PLATFORM_OWNER = "platform"
"""The platform's own id as an owner; a consumer and a merchant have theirs."""

OWNER_PATHS: Mapping[OwnerKind, str] = {
    "consumer": "/consumers/{consumer_id}",
    "merchant": "/merchants/{merchant_id}",
    "platform": "/admin",
}
"""Below which path an owner of each kind has its things."""


OWNER_NAMES: Mapping[OwnerKind, str] = {
    "consumer": "a consumer's",
    "merchant": "a merchant's",
    "platform": "the platform's",
}
"""Whose a thing is, in the summaries of operations."""


async def _consumer(consumer_id: ConsumerId) -> str:
    return consumer_id


async def _merchant(merchant_id: MerchantId) -> str:
    return merchant_id


async def _platform() -> str:
    return PLATFORM_OWNER


OWNER_IDS: Mapping[OwnerKind, Callable[..., Awaitable[str]]] = {
    "consumer": _consumer,
    "merchant": _merchant,
    "platform": _platform,
}
"""For `fastapi.Depends`: the id of the owner that a path names."""
