"""Rules and what they fired, in and out of the documents port."""

from collections.abc import AsyncIterator, Sequence

from shared.alerts.models import Fired, Rule
from shared.kernel.documents import Held
from shared.kernel.http.paging import bad_cursor, decode_cursor, encode_cursor
from shared.platform.documents import CONTAINERS, Documents, Query, Where

ALERTS = CONTAINERS["alerts"]
RULES_MAX = 100


def rule_document(id: str) -> str:
    return f"rule:{id}"


def fired_document(rule_id: str, period: str) -> str:
    return f"fired:{period}:{rule_id}"


class AlertStore:
    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def rule(self, owner_id: str, id: str) -> Held[Rule] | None:
        document = await self._documents.get(ALERTS, owner_id, rule_document(id))
        return None if document is None else Held(Rule.model_validate_json(document.body), document.etag)

    async def rules(self, owner_id: str) -> list[Rule]:
        """All of an owner's, of which there are at most RULES_MAX, oldest first."""
        page = await self._documents.query(ALERTS, Query(owner_id, (Where("kind", "=", "rule"),), limit=1000))
        found = [Rule.model_validate_json(document.body) for document in page.documents]
        return sorted(found, key=lambda rule: rule.id)

    async def all_rules(self) -> AsyncIterator[Rule]:
        cursor = None
        while True:
            # Across tenants: the platform looks at everybody's rules.
            query = Query(None, (Where("kind", "=", "rule"),), order_by="kind", limit=1000)
            page = await self._documents.query(ALERTS, query, cursor)
            for document in page.documents:
                yield Rule.model_validate_json(document.body)
            cursor = page.cursor
            if cursor is None:
                return

    async def has_fired(self, owner_id: str, rule_id: str, period: str) -> bool:
        return await self._documents.get(ALERTS, owner_id, fired_document(rule_id, period)) is not None

    async def fired(self, owner_id: str, limit: int, cursor: str | None) -> tuple[Sequence[Fired], str | None]:
        """By period, the latest first, and the cursor of the next page. Raises Problem 400 `cursor_invalid`."""
        asked = f"fired:{owner_id}"
        inner = None if cursor is None else decode_cursor(asked, cursor)
        if not isinstance(inner, str | None):
            raise bad_cursor()
        query = Query(owner_id, (Where("id", "starts_with", "fired:"),), order_by="id", descending=True, limit=limit)
        try:
            page = await self._documents.query(ALERTS, query, inner)
        except ValueError:
            raise bad_cursor() from None
        found = [Fired.model_validate_json(document.body) for document in page.documents]
        return found, None if page.cursor is None else encode_cursor(asked, page.cursor)
