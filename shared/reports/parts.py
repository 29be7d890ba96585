"""Reports of usage: asked for, scheduled, made when nobody else needs the processor."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.reports.tasks import ClearReport, MakeReports

if TYPE_CHECKING:
    from shared.access.parts import AccessParts
    from shared.audit.journal import Journal
    from shared.audit.parts import AuditParts
    from shared.catalog.parts import CatalogParts
    from shared.identity.parts import IdentityParts
    from shared.kernel.background import MakeRunner, Runner
    from shared.metering.parts import MeteringParts
    from shared.platform import Ports
    from shared.reports.maker import ReportMaker
    from shared.reports.schedules import ReportScheduler
    from shared.reports.service import Reports
    from shared.reports.sources import ReportSources
    from shared.reports.store import ReportStore


class ReportParts:
    """The services of `shared.reports`, each made when it is first used."""

    def __init__(
        self,
        ports: "Ports",
        audit: "AuditParts",
        identity: "IdentityParts",
        catalog: "CatalogParts",
        access: "AccessParts",
        metering: "MeteringParts",
        *,
        public_url: str,
        runner: "MakeRunner",
    ) -> None:
        self._ports = ports
        self._audit = audit
        self._identity = identity
        self._catalog = catalog
        self._access = access
        self._metering = metering
        self._public_url = public_url
        self._make_runner = runner
        audit.prepare(self._handle_tasks)

    def _handle_tasks(self, journal: "Journal") -> None:
        """Register the handlers of this noun's tasks. What does a task is made, and imported, when there is one to do:
        consume's start does not wait for it."""
        journal.on(MakeReports, self._on_make)
        journal.on(ClearReport, lambda task_id, task: self.maker.on_clear(task_id, task))

    async def _on_make(self, task_id: str, task: MakeReports) -> None:
        self.runner.start()  # what fails there is found by the timer

    @cached_property
    def store(self) -> "ReportStore":
        from shared.reports.store import ReportStore

        return ReportStore(self._ports.documents)

    @cached_property
    def sources(self) -> "ReportSources":
        from shared.reports.sources import ReportSources

        return ReportSources(
            self._access.store,
            self._catalog.store,
            self._metering.consumer_usage,
            self._metering.merchant_usage,
            self._metering.platform_usage,
        )

    @cached_property
    def service(self) -> "Reports":
        from shared.downloads.service import Downloads
        from shared.reports.service import Reports

        return Reports(
            self.store,
            self.sources,
            self._audit.journal,
            Downloads(self._ports.blobs, self._audit.journal, now=self._ports.now),
            now=self._ports.now,
        )

    @cached_property
    def scheduler(self) -> "ReportScheduler":
        from shared.reports.schedules import ReportScheduler

        return ReportScheduler(self.store, self._audit.journal, now=self._ports.now)

    @cached_property
    def maker(self) -> "ReportMaker":
        from shared.reports.mails import ReportMails
        from shared.reports.maker import ReportMaker
        from shared.reports.pdf import render

        notices = ReportMails(
            self._identity.store,
            self._access.store,
            self._catalog.store,
            self.sources,
            self._access.mails,
            self._public_url,
        )
        return ReportMaker(
            self.store, self.sources, self._ports.blobs, self._audit.journal, notices, render, now=self._ports.now
        )

    @cached_property
    def runner(self) -> "Runner":
        return self._make_runner("reports", lambda: self.maker.run())

    async def close(self) -> None:
        """Give up what is being made: another process does it."""
        if "runner" in self.__dict__:
            await self.runner.close()
