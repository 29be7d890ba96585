"""Platform settings: what operators decide while AMS runs. One document, audited like everything else."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field

from shared.audit.journal import Journal
from shared.audit.models import Actor, changed
from shared.kernel.cache import FreshCache
from shared.kernel.documents import Stored, StoredModel
from shared.kernel.http.etags import check_match
from shared.platform.documents import CONTAINERS, Create, Documents, Replace

PLATFORM = CONTAINERS["platform"]
_ID = "platform"
CACHE_S = 1.0


class PlatformSettings(StoredModel):
    """Settings of the platform that admins change while AMS runs."""

    commission_percent: Annotated[
        Decimal,
        Field(
            ge=0,
            le=100,
            max_digits=7,
            decimal_places=4,
            description="The platform's share of merchants' net sales in percent.",
        ),
    ] = Decimal("10")
    merchants_activate_at_once: Annotated[
        bool, Field(description="Whether a merchant is active as soon as it registers with an invite.")
    ] = False
    services_approve_at_once: Annotated[
        bool, Field(description="Whether a submitted service becomes active without a review.")
    ] = False
    auto_approval_allowed: Annotated[
        bool, Field(description="Whether services may approve access requests automatically.")
    ] = True
    leaked_key_action: Annotated[
        Literal["revoke", "warn"],
        Field(
            description=(
                "Reaction to a report of a leaked key: `revoke` revokes the key, `warn` only notifies its owner."
            )
        ),
    ] = "revoke"
    invite_days: Annotated[
        int,
        Field(
            ge=1, le=90, description="Number of days until an invite expires, unless the invite sets another number."
        ),
    ] = 14
    services_per_merchant_max: Annotated[
        int, Field(ge=1, le=100_000, description="Maximum number of services of a merchant.")
    ] = 1_000
    keys_per_consumer_max: Annotated[
        int, Field(ge=1, le=100_000, description="Maximum number of keys of a consumer.")
    ] = 1_000
    projects_per_consumer_max: Annotated[
        int, Field(ge=1, le=10_000, description="Maximum number of projects of a consumer.")
    ] = 100
    members_per_project_max: Annotated[
        int, Field(ge=1, le=10_000, description="Maximum number of members of a project.")
    ] = 100
    rotation_overlap_hours_max: Annotated[
        int,
        Field(
            ge=0, le=8_760, description="Maximum number of hours for which a rotation lets the previous secret work."
        ),
    ] = 720
    close_grace_hours: Annotated[
        int,
        Field(
            ge=0,
            le=720,
            description=(
                "Hours between the end of a month and its close. Usage that arrives until then is on the "
                "month's invoices."
            ),
        ),
    ] = 24
    delivery_log_days: Annotated[
        int, Field(ge=1, le=400, description="Number of days for which webhook deliveries are kept.")
    ] = 30
    alert_recipients: Annotated[
        tuple[Annotated[str, Field(max_length=254)], ...],
        Field(max_length=20, description="E-mail addresses that receive the platform's own notifications."),
    ] = ()


class PlatformSettingsStore:
    """Reads and changes the platform settings; one per process. What is read is used for at most CACHE_S seconds."""

    def __init__(self, documents: Documents, journal: Journal) -> None:
        self._documents = documents
        self._journal = journal
        self._cache: FreshCache[str, Stored[PlatformSettings]] = FreshCache(CACHE_S, 1)
        journal.on_change(self._cache.clear)

    async def current(self) -> PlatformSettings:
        return (await self._cache.get(_ID, self._load)).value

    async def stored(self) -> Stored[PlatformSettings]:
        """Read the settings afresh, for a change. The ETag is empty while everything is at its default."""
        return await self._load(_ID)

    async def _load(self, id: str) -> Stored[PlatformSettings]:
        document = await self._documents.get(PLATFORM, id, id)
        if document is None:
            return Stored(PlatformSettings(), "")
        return Stored(PlatformSettings.model_validate_json(document.body), document.etag)

    async def change(
        self, actor: Actor, values: Mapping[str, Any], *, if_match: str | None, reason: str
    ) -> Stored[PlatformSettings]:
        """Set `values`, which are valid, by field name. Raises Problem 412, 428 and, when somebody changes them at the
        same time, 409."""
        stored = await self.stored()
        check_match(if_match, stored.etag)
        after = stored.value.model_copy(update=dict(values))
        change = changed(actor, "settings.update", f"settings:{_ID}", stored.value, after, reason=reason)
        write = Replace(_ID, after.to_json(), stored.etag) if stored.etag else Create(_ID, after.to_json())
        etags = await self._journal.commit(PLATFORM, _ID, [write], change)
        return Stored(after, etags[0])
