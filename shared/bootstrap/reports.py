"""ReportParts: asked for, scheduled, made when nobody else needs the processor."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.bootstrap.billing import Billing

if TYPE_CHECKING:
    from shared.kernel.background import Runner
    from shared.reports.maker import ReportMaker
    from shared.reports.schedules import ReportScheduler
    from shared.reports.service import Reports
    from shared.reports.sources import ReportSources
    from shared.reports.store import ReportStore


class ReportParts(Billing):
    """The parts of `shared.reports`."""

    @cached_property
    def report_store(self) -> "ReportStore":
        from shared.reports.store import ReportStore

        return ReportStore(self.documents)

    @cached_property
    def report_sources(self) -> "ReportSources":
        from shared.reports.sources import ReportSources

        return ReportSources(self.access, self.catalog, self.consumer_usage, self.merchant_usage, self.platform_usage)

    @cached_property
    def reports(self) -> "Reports":
        from shared.reports.service import Reports

        return Reports(self.report_store, self.report_sources, self.journal, self.downloads)

    @cached_property
    def report_scheduler(self) -> "ReportScheduler":
        from shared.reports.schedules import ReportScheduler

        return ReportScheduler(self.report_store, self.journal)

    @cached_property
    def report_maker(self) -> "ReportMaker":
        from shared.reports.mails import ReportMails
        from shared.reports.maker import ReportMaker
        from shared.reports.pdf import render

        notices = ReportMails(
            self.identity, self.access, self.catalog, self.report_sources, self.mails, self.settings.ams_public_url
        )
        return ReportMaker(self.report_store, self.report_sources, self.blobs, self.journal, notices, render)

    @cached_property
    def report_runner(self) -> "Runner":
        return self.beside("reports", lambda: self.report_maker.run())
