"""What every change goes through: the journal with its outbox, the audit log, the platform's settings."""

from abc import ABC, abstractmethod
from functools import cached_property

from shared.audit.journal import Journal
from shared.audit.log import AuditLog
from shared.audit.platform import PlatformSettingsStore
from shared.audit.search import AuditSearch
from shared.bootstrap.adapters import Adapters


class Audit(Adapters, ABC):
    """The journal and what it writes; `Tasks` says who does what it leaves in the outbox."""

    @cached_property
    def audit_log(self) -> AuditLog:
        return AuditLog(self.documents)

    @cached_property
    def audit_search(self) -> AuditSearch:
        return AuditSearch(self.documents, self.audit_log)

    @cached_property
    def journal(self) -> Journal:
        journal = Journal(self.documents, self.audit_log.append)
        self._handle_tasks(journal)
        return journal

    @abstractmethod
    def _handle_tasks(self, journal: Journal) -> None:
        """Give `journal` the handler of every task, and who is to know of a change."""

    @cached_property
    def platform_settings(self) -> PlatformSettingsStore:
        return PlatformSettingsStore(self.documents, self.journal)
