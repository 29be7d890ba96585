"""What every change goes through: the journal with its outbox, the audit log, the platform's settings."""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from shared.audit.journal import Journal
from shared.audit.log import AuditLog
from shared.audit.platform import PlatformSettingsStore
from shared.audit.search import AuditSearch

if TYPE_CHECKING:
    from shared.platform import Ports
    from shared.platform.documents import Documents


class AuditParts:
    """The services of `shared.audit`, each made when it is first used."""

    def __init__(
        self,
        ports: "Ports",
    ) -> None:
        self._ports = ports
        self._preparations: list[Callable[[Journal], None]] = []

    def prepare(self, preparation: Callable[[Journal], None]) -> None:
        """Have `preparation` called with the journal when that is made: a noun gives it the handlers of its tasks."""
        self._preparations.append(preparation)

    @cached_property
    def log(self) -> AuditLog:
        return AuditLog(self._ports.documents)

    @cached_property
    def search(self) -> AuditSearch:
        return AuditSearch(self._ports.documents, self.log)

    @cached_property
    def journal(self) -> Journal:
        journal = Journal(self._ports.documents, self.log.append, now=self._ports.now)
        for prepare in self._preparations:
            prepare(journal)
        return journal

    @cached_property
    def platform_settings(self) -> PlatformSettingsStore:
        return PlatformSettingsStore(self._ports.documents, self.journal)

    @property
    def documents(self) -> "Documents":
        """Where the API keeps the answers that an Idempotency-Key repeats: the store of all documents."""
        return self._ports.documents

    async def drain(self) -> None:
        """Finish what the journal began."""
        if "journal" in self.__dict__:
            await self.journal.drain()
