"""What an owner does with its rules: add, change, delete, look at what they fired."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from shared.alerts.models import Fired, Rule
from shared.alerts.store import ALERTS, RULES_MAX, AlertStore, rule_document
from shared.audit.journal import Journal
from shared.audit.models import Actor, changed
from shared.kernel.clock import utc_now
from shared.kernel.documents import Stored
from shared.kernel.errors import FieldError, Problem
from shared.kernel.http.etags import check_match
from shared.kernel.http.paging import Page
from shared.kernel.http.problems import not_found
from shared.kernel.ids import new_id
from shared.platform.documents import Create, Delete, Replace
from shared.webhooks.owners import OwnerKind


class AlertRules:
    """Adds, changes and deletes the alert rules of an owner."""

    def __init__(self, store: AlertStore, journal: Journal, now: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._journal = journal
        self._now = now

    async def add(self, actor: Actor, kind: OwnerKind, owner_id: str, values: Mapping[str, Any]) -> Stored[Rule]:
        """Add a rule. Raises Problem 400, 409 `limit_reached`."""
        if len(await self._store.rules(owner_id)) >= RULES_MAX:
            raise Problem(409, "limit_reached", f"There are {RULES_MAX} alert rules already. Delete one first.")
        made = {"id": new_id("rul"), "owner_kind": kind, "owner_id": owner_id, "created_at": self._now()}
        rule = _checked({**values, **made})
        change = changed(actor, "alert.create", f"alert:{rule.id}", None, rule)
        etags = await self._journal.commit(ALERTS, owner_id, [Create(rule_document(rule.id), rule.to_json())], change)
        return Stored(rule, etags[0])

    async def list(self, owner_id: str) -> Sequence[Rule]:
        return await self._store.rules(owner_id)

    async def find(self, owner_id: str, id: str) -> Stored[Rule]:
        """Read a rule. Raises Problem 404."""
        stored = await self._store.rule(owner_id, id)
        if stored is None:
            raise not_found()
        return stored

    async def update(
        self, actor: Actor, owner_id: str, id: str, values: Mapping[str, Any], if_match: str | None
    ) -> Stored[Rule]:
        """Change a rule. One that fired in this period does not fire in it again, whatever is changed. Raises Problem
        400, 404, 409, 412, 428."""
        stored = await self.find(owner_id, id)
        check_match(if_match, stored.etag)
        after = _checked({**stored.value.model_dump(), **values})
        change = changed(actor, "alert.update", f"alert:{id}", stored.value, after)
        write = Replace(rule_document(id), after.to_json(), stored.etag)
        etags = await self._journal.commit(ALERTS, owner_id, [write], change)
        return Stored(after, etags[0])

    async def remove(self, actor: Actor, owner_id: str, id: str, if_match: str | None) -> None:
        """Delete a rule; what it fired stays in the list. Raises Problem 404, 409, 412, 428."""
        stored = await self.find(owner_id, id)
        check_match(if_match, stored.etag)
        change = changed(actor, "alert.delete", f"alert:{id}", stored.value, None)
        await self._journal.commit(ALERTS, owner_id, [Delete(rule_document(id), stored.etag)], change)

    async def fired(self, owner_id: str, limit: int, cursor: str | None) -> Page[Fired]:
        """List what the rules of an owner fired, the latest period first. Raises Problem 400 `cursor_invalid`."""
        return await self._store.fired(owner_id, limit, cursor)


def _checked(values: Mapping[str, Any]) -> Rule:
    try:
        return Rule.model_validate(values)
    except ValidationError as error:
        errors = [
            FieldError(".".join(map(str, e["loc"])) or "metric", e["msg"].removeprefix("Value error, "))
            for e in error.errors(include_input=False)
        ]
        detail = "; ".join(f"`{e.field}`: {e.rule}" for e in errors)
        raise Problem(400, "request_invalid", detail, errors) from None
