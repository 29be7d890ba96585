"""What the routes need of the application, by the names that `shared.bootstrap.Application` has."""

from typing import Protocol

from shared.audit.platform import PlatformSettingsStore
from shared.audit.search import AuditSearch
from shared.identity.guard import Authority
from shared.metering.consume import Consume
from shared.metering.queries import UsageQueries
from shared.platform.documents import Documents
from shared.webhooks.desk import WebhookDesk


class Parts(Protocol):
    """Built when first used. A noun's `routes.py` reads its own part as `request.app.state.parts.<name>`."""

    @property
    def documents(self) -> Documents: ...

    @property
    def authority(self) -> Authority: ...

    @property
    def audit_search(self) -> AuditSearch: ...

    @property
    def platform_settings(self) -> PlatformSettingsStore: ...

    @property
    def consume(self) -> Consume: ...

    @property
    def queries(self) -> UsageQueries: ...

    @property
    def webhooks(self) -> WebhookDesk: ...
