"""Rules and what they fired, in and out of the documents port."""

from collections.abc import AsyncIterator
from functools import partial

from shared.alerts.models import Fired, Rule
from shared.kernel.documents import Stored
from shared.kernel.http.paging import Page, read_all, read_page
from shared.platform.documents import CONTAINERS, Documents, Query, Where

ALERTS = CONTAINERS["alerts"]
RULES_MAX = 100


def rule_document(id: str) -> str:
    return f"rule:{id}"


def fired_document(rule_id: str, period: str) -> str:
    return f"fired:{period}:{rule_id}"


class AlertStore:
    """Reads rules and what they fired."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def rule(self, owner_id: str, id: str) -> Stored[Rule] | None:
        document = await self._documents.get(ALERTS, owner_id, rule_document(id))
        return None if document is None else Stored(Rule.model_validate_json(document.body), document.etag)

    async def rules(self, owner_id: str) -> list[Rule]:
        """List all rules of an owner, of which there are at most RULES_MAX, oldest first."""
        page = await self._documents.query(ALERTS, Query(owner_id, (Where("kind", "=", "rule"),), limit=1000))
        found = [Rule.model_validate_json(document.body) for document in page.items]
        return sorted(found, key=lambda rule: rule.id)

    async def all_rules(self) -> AsyncIterator[Rule]:
        # Across tenants: the platform looks at everybody's rules.
        query = Query(None, (Where("kind", "=", "rule"),), order_by="kind", limit=1000)
        async for document in read_all(partial(self._documents.query, ALERTS, query)):
            yield Rule.model_validate_json(document.body)

    async def has_fired(self, owner_id: str, rule_id: str, period: str) -> bool:
        return await self._documents.get(ALERTS, owner_id, fired_document(rule_id, period)) is not None

    async def fired(self, owner_id: str, limit: int, cursor: str | None) -> Page[Fired]:
        """List what the rules of an owner fired by period, the latest first. Raises Problem 400 `cursor_invalid`."""
        list_name = f"fired:{owner_id}"
        query = Query(owner_id, (Where("id", "starts_with", "fired:"),), order_by="id", descending=True, limit=limit)
        page = await read_page(partial(self._documents.query, ALERTS, query), list_name=list_name, cursor=cursor)
        return page.map(lambda document: Fired.model_validate_json(document.body))
