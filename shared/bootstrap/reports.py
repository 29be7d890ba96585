"""Reports: asked for, scheduled, made in a process of their own."""

from functools import cached_property, partial
from typing import TYPE_CHECKING

from shared.bootstrap.billing import Billing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from shared.billing.reports.desk import ReportDesk
    from shared.billing.reports.making import Maker
    from shared.billing.reports.running import Runner
    from shared.billing.reports.schedules import Scheduler
    from shared.billing.reports.sources import Sources
    from shared.billing.reports.store import ReportStore

PROCESS = "shared.bootstrap.report_process"


class Reports(Billing):
    """The parts of `shared.billing.reports`."""

    @cached_property
    def report_store(self) -> "ReportStore":
        from shared.billing.reports.store import ReportStore

        return ReportStore(self.documents)

    @cached_property
    def report_sources(self) -> "Sources":
        from shared.billing.reports.sources import Sources

        return Sources(self.access, self.catalog, self.consumer_usage, self.merchant_usage, self.platform_usage)

    @cached_property
    def reports(self) -> "ReportDesk":
        from shared.billing.reports.desk import ReportDesk

        return ReportDesk(self.report_store, self.report_sources, self.journal, self.downloads)

    @cached_property
    def report_scheduler(self) -> "Scheduler":
        from shared.billing.reports.schedules import Scheduler

        return Scheduler(self.report_store, self.journal)

    @cached_property
    def report_maker(self) -> "Maker":
        from shared.billing.documents.report_pdf import render
        from shared.billing.reports.making import Maker
        from shared.billing.reports.notices import Notices

        notices = Notices(
            self.identity, self.access, self.catalog, self.report_sources, self.letters, self.settings.ams_public_url
        )
        return Maker(self.report_store, self.report_sources, self.blobs, self.journal, notices, render)

    @cached_property
    def report_runner(self) -> "Runner":
        from shared.billing.reports.running import Runner, in_own_process

        own: Callable[[], Awaitable[object]] = partial(in_own_process, PROCESS)
        return Runner(own if self.settings.ams_report_process == "own" else lambda: self.report_maker.run())
