"""Webhooks: kept, and posted."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.webhooks.service import Webhooks
from shared.webhooks.store import WebhookStore
from shared.webhooks.tasks import DeliverEvent, EmitEvent

if TYPE_CHECKING:
    from shared.audit.journal import Journal
    from shared.audit.parts import AuditParts
    from shared.platform import Ports
    from shared.webhooks.sender import WebhookSender


class WebhookParts:
    """The services of `shared.webhooks`, each made when it is first used."""

    def __init__(
        self,
        ports: "Ports",
        audit: "AuditParts",
    ) -> None:
        self._ports = ports
        self._audit = audit
        audit.prepare(self._handle_tasks)

    def _handle_tasks(self, journal: "Journal") -> None:
        """Register the handlers of this noun's tasks. What does a task is made, and imported, when there is one to do:
        consume's start does not wait for it."""
        journal.on(EmitEvent, lambda task_id, task: self.sender.on_emit(task_id, task))
        journal.on(DeliverEvent, lambda task_id, task: self.sender.on_deliver(task_id, task))

    @cached_property
    def store(self) -> WebhookStore:
        return WebhookStore(self._ports.documents)

    @cached_property
    def service(self) -> Webhooks:
        return Webhooks(self.store, self._audit.journal, self._ports.secrets, now=self._ports.now)

    @cached_property
    def sender(self) -> "WebhookSender":
        from shared.webhooks.sender import WebhookSender

        return WebhookSender(
            self._ports.documents,
            self.store,
            self._audit.journal,
            self._ports.secrets,
            self._ports.upstream,
            self._audit.platform_settings,
            now=self._ports.now,
        )
