"""Platform settings: what operators decide while AMS runs. One document, audited like everything else."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field

from shared.audit.journal import Journal
from shared.audit.models import Actor, changed
from shared.kernel.cache import FreshCache
from shared.kernel.documents import Held, StoredModel
from shared.kernel.http.etags import check_match
from shared.platform.documents import CONTAINERS, Create, Documents, Replace

PLATFORM = CONTAINERS["platform"]
_ID = "platform"
CACHE_S = 1.0


class PlatformSettings(StoredModel):
    """Defaults hold until an admin changes them.

    `commission_percent` of a merchant's sales is the platform's. `merchants_activate_at_once`: a registration with an
    invite makes an active merchant. `services_approve_at_once`: a submitted service is active without a review.
    `auto_approval_allowed`: services may grant access by themselves. `leaked_key_action`: what a leak report does.
    `alert_recipients` get the platform's own mails. `close_grace_hours` after its end a month is closed: usage that
    comes until then is on its invoice.
    """

    commission_percent: Annotated[Decimal, Field(ge=0, le=100, max_digits=7, decimal_places=4)] = Decimal("10")
    merchants_activate_at_once: bool = False
    services_approve_at_once: bool = False
    auto_approval_allowed: bool = True
    leaked_key_action: Literal["revoke", "warn"] = "revoke"
    invite_days: Annotated[int, Field(ge=1, le=90)] = 14
    services_per_merchant_max: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    keys_per_consumer_max: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    projects_per_consumer_max: Annotated[int, Field(ge=1, le=10_000)] = 100
    members_per_project_max: Annotated[int, Field(ge=1, le=10_000)] = 100
    rotation_overlap_hours_max: Annotated[int, Field(ge=0, le=8_760)] = 720
    close_grace_hours: Annotated[int, Field(ge=0, le=720)] = 24
    delivery_log_days: Annotated[int, Field(ge=1, le=400)] = 30
    alert_recipients: Annotated[tuple[Annotated[str, Field(max_length=254)], ...], Field(max_length=20)] = ()


class PlatformSettingsStore:
    """One per process; what is read is used for at most CACHE_S seconds."""

    def __init__(self, documents: Documents, journal: Journal) -> None:
        self._documents = documents
        self._journal = journal
        self._cache: FreshCache[str, Held[PlatformSettings]] = FreshCache(CACHE_S, 1)
        journal.on_change(self._cache.clear)

    async def current(self) -> PlatformSettings:
        return (await self._cache.get(_ID, self._load)).value

    async def held(self) -> Held[PlatformSettings]:
        """Read afresh, for a change. The ETag is empty while everything is at its default."""
        return await self._load(_ID)

    async def _load(self, id: str) -> Held[PlatformSettings]:
        document = await self._documents.get(PLATFORM, id, id)
        if document is None:
            return Held(PlatformSettings(), "")
        return Held(PlatformSettings.model_validate_json(document.body), document.etag)

    async def change(
        self, actor: Actor, values: Mapping[str, Any], *, if_match: str | None, reason: str
    ) -> Held[PlatformSettings]:
        """Set `values`, which are valid, by field name. Raises Problem 412, 428 and, when somebody changes them at the
        same time, 409."""
        held = await self.held()
        check_match(if_match, held.etag)
        after = held.value.model_copy(update=dict(values))
        change = changed(actor, "settings.update", f"settings:{_ID}", held.value, after, reason=reason)
        write = Replace(_ID, after.to_json(), held.etag) if held.etag else Create(_ID, after.to_json())
        etags = await self._journal.commit(PLATFORM, _ID, [write], change)
        return Held(after, etags[0])
