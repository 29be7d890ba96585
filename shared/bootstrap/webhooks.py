"""WebhookParts: kept, and sent."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.bootstrap.audit import Audit
from shared.webhooks.service import Webhooks
from shared.webhooks.store import WebhookStore

if TYPE_CHECKING:
    from shared.webhooks.sender import WebhookSender


class WebhookParts(Audit):
    """The parts of `shared.webhooks`."""

    @cached_property
    def webhook_store(self) -> WebhookStore:
        return WebhookStore(self.documents)

    @cached_property
    def webhooks(self) -> Webhooks:
        return Webhooks(self.webhook_store, self.journal, self.secrets)

    @cached_property
    def webhook_sender(self) -> "WebhookSender":
        from shared.webhooks.sender import WebhookSender

        return WebhookSender(
            self.documents, self.webhook_store, self.journal, self.secrets, self.upstream, self.platform_settings
        )
