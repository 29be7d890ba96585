"""Reports: asked for, scheduled, made when nobody else needs the processor."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.bootstrap.billing import Billing

if TYPE_CHECKING:
    from shared.billing.reports.desk import ReportDesk
    from shared.billing.reports.making import Maker
    from shared.billing.reports.schedules import Scheduler
    from shared.billing.reports.sources import Sources
    from shared.billing.reports.store import ReportStore
    from shared.billing.running import Runner


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
        return self.beside("reports", lambda: self.report_maker.run())
