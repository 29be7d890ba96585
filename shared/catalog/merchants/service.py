"""Merchants: their profile, and what admins decide about them.

    pending    → active | rejected
    active     → suspended | disabled
    suspended  → active | disabled
    disabled   → active

Only an active merchant's services are in the catalogue and can be called; what an admin stopped is refused with 403
(`shared.access.gate.service`). `flagged` has no effect; `subscriptions_blocked` stops new access requests only.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from shared.audit.journal import Journal
from shared.audit.models import Actor, changed
from shared.audit.tasks import Task
from shared.catalog.logos import keep_logo
from shared.catalog.mails import CatalogMails
from shared.catalog.merchants.registration import MERCHANT_SECRETS
from shared.catalog.models import Merchant, MerchantStatus
from shared.catalog.store import MERCHANTS, CatalogStore
from shared.catalog.tasks import RelistServices
from shared.identity.mails import one_line, reason_line
from shared.identity.models import Account
from shared.kernel.documents import Stored
from shared.kernel.errors import FieldError, Problem
from shared.kernel.http.etags import check_match
from shared.kernel.http.paging import Page
from shared.kernel.http.problems import not_found
from shared.platform.blobs import Blobs
from shared.platform.documents import Replace

MerchantDecision = Literal["activate", "reject", "suspend", "disable", "restore"]
Mark = Literal["flag", "unflag", "block-subscriptions", "allow-subscriptions"]

_DECISIONS: Mapping[MerchantDecision, tuple[frozenset[MerchantStatus], MerchantStatus]] = {
    "activate": (frozenset({"pending"}), "active"),
    "reject": (frozenset({"pending"}), "rejected"),
    "suspend": (frozenset({"active"}), "suspended"),
    "disable": (frozenset({"active", "suspended"}), "disabled"),
    "restore": (frozenset({"suspended", "disabled"}), "active"),
}
"""From which states a decision may be taken, and the state that it leads to."""

_MARKS: Mapping[Mark, tuple[str, bool]] = {
    "flag": ("flagged", True),
    "unflag": ("flagged", False),
    "block-subscriptions": ("subscriptions_blocked", True),
    "allow-subscriptions": ("subscriptions_blocked", False),
}
_SHOWN = {"name", "logo", "status"}
"""What the catalogue says of a merchant."""


class Merchants:
    """Changes merchants: their profiles by their own people, their status and marks by operators."""

    def __init__(self, store: CatalogStore, journal: Journal, blobs: Blobs, mails: CatalogMails) -> None:
        self._store = store
        self._journal = journal
        self._blobs = blobs
        self._mails = mails

    async def read(self, id: str) -> Stored[Merchant]:
        """Read a merchant. Raises Problem 404."""
        stored = await self._store.stored_merchant(id)
        if stored is None:
            raise not_found()
        return stored

    async def of(self, account: Account) -> Sequence[Merchant]:
        """List the merchants that the account runs. One that a kill left to the timer is not there yet."""
        found = [await self._store.merchant(merchant_id) for merchant_id in account.merchant_ids]
        return [merchant for merchant in found if merchant is not None]

    async def page(
        self, status: MerchantStatus | None, flagged: bool | None, prefix: str | None, limit: int, cursor: str | None
    ) -> Page[Stored[Merchant]]:
        """List merchants by slug, whose slug starts with `prefix`. Raises Problem 400 `cursor_invalid`."""
        return await self._store.merchants(status, flagged, prefix, limit, cursor)

    async def update(self, actor: Actor, id: str, values: Mapping[str, Any], if_match: str | None) -> Stored[Merchant]:
        """Change the profile; values are valid, by field name. Raises Problem 404, 409, 412, 428."""
        stored = await self.read(id)
        check_match(if_match, stored.etag)
        after = Merchant.model_validate({**stored.value.model_dump(), **values})
        return await self._commit(actor, "merchant.update", stored, after)

    async def set_logo(self, actor: Actor, id: str, picture: bytes | None, if_match: str | None) -> Stored[Merchant]:
        """Set the logo, or take it away with None. Raises Problem 400 `image_invalid`, 404, 409, 412, 413, 428."""
        stored = await self.read(id)
        check_match(if_match, stored.etag)
        logo = None if picture is None else await keep_logo(self._blobs, picture)
        after = stored.value.model_copy(update={"logo": logo})
        return await self._commit(actor, "merchant.update", stored, after)

    async def decide(self, actor: Actor, id: str, decision: MerchantDecision, reason: str) -> Stored[Merchant]:
        """Change the status of a merchant, as an admin. Raises Problem 404; 409 `state_invalid`, `conflict` when
        another admin decides at the same time."""
        stored = await self.read(id)
        sources, target = _DECISIONS[decision]
        if stored.value.status not in sources:
            rule = f"must be {' or '.join(sorted(sources))}, is {stored.value.status}"
            raise Problem(409, "state_invalid", f"`status` {rule}.", errors=(FieldError("status", rule),))
        after = stored.value.model_copy(update={"status": target, "reason": reason or None})
        text = f"{one_line(stored.value.name)} is {target} now.\n" + (f"\n{reason_line(reason)}\n" if reason else "")
        letter = await self._mails.to_merchant(after, f"Your merchant account is {target}", text)
        return await self._commit(actor, f"merchant.{decision}", stored, after, reason=reason, tasks=letter)

    async def mark(self, actor: Actor, id: str, mark: Mark, reason: str) -> Stored[Merchant]:
        """Set or clear a mark; to what it is already changes nothing. Raises Problem 404, 409 `conflict`."""
        stored = await self.read(id)
        field, value = _MARKS[mark]
        if getattr(stored.value, field) == value:
            return stored
        after = stored.value.model_copy(update={field: value})
        action = f"merchant.{mark.replace('-', '_')}"
        tasks: Sequence[Task] = ()
        if field == "subscriptions_blocked":
            taken = "not taken for now" if value else "taken again"
            text = f"New access requests to your services are {taken}.\n"
            tasks = await self._mails.to_merchant(after, "Access requests to your services", text)
        return await self._commit(actor, action, stored, after, reason=reason, tasks=tasks)

    async def _commit(
        self,
        actor: Actor,
        action: str,
        stored: Stored[Merchant],
        after: Merchant,
        *,
        reason: str = "",
        tasks: Sequence[Task] = (),
    ) -> Stored[Merchant]:
        before = stored.value
        change = changed(
            actor, action, f"merchant:{after.id}", before, after, reason=reason or None, secret=MERCHANT_SECRETS
        )
        follow = list(tasks)
        if before.model_dump(include=_SHOWN) != after.model_dump(include=_SHOWN):
            follow.append(RelistServices(merchant_id=after.id))
        write = Replace(after.id, after.to_json(), stored.etag)
        etags = await self._journal.commit(MERCHANTS, after.id, [write], change, tasks=follow)
        self._store.changed()
        return Stored(after, etags[0])
