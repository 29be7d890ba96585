"""What is owed for what was used: prices, invoices, payments."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.bootstrap.alerts import Alerts
from shared.bootstrap.keys import Keys
from shared.bootstrap.webhooks import Webhooks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from shared.billing.announcing import Announcer
    from shared.billing.book import InvoiceBook
    from shared.billing.closing import Closer
    from shared.billing.documents.shelf import Shelf
    from shared.billing.downloads import Downloads
    from shared.billing.drafting import Drafter
    from shared.billing.filing import Filer
    from shared.billing.issuing import Issuer
    from shared.billing.papers import InvoicePapers
    from shared.billing.plan_notices import PlanNotices
    from shared.billing.plans import PlanDesk
    from shared.billing.previews import Previews
    from shared.billing.receivables import Receivables
    from shared.billing.reminders import Reminders
    from shared.billing.running import Runner
    from shared.billing.setup import BillingSetup
    from shared.billing.store import BillingStore


class Billing(Keys, Alerts, Webhooks):
    """The parts of `shared.billing`.

    A part is a `cached_property` that imports its module when it is built; it may use any part of the layers below.
    The handler of a task is registered in `Tasks`; what must be closed is named in `_CLOSED`.
    """

    @cached_property
    def billing(self) -> "BillingStore":
        from shared.billing.store import BillingStore

        return BillingStore(self.documents)

    @cached_property
    def drafter(self) -> "Drafter":
        from shared.billing.drafting import Drafter
        from shared.billing.months import MonthReader

        return Drafter(self.billing, self.access, self.catalog, MonthReader(self.documents))

    @cached_property
    def issuer(self) -> "Issuer":
        from shared.billing.issuing import Issuer

        return Issuer(self.billing, self.journal)

    @cached_property
    def closer(self) -> "Closer":
        from shared.billing.closing import Closer

        return Closer(
            self.documents, self.billing, self.access, self.catalog, self.drafter, self.issuer, self.journal,
            self.platform_settings, self.letters,
        )  # fmt: skip

    @cached_property
    def downloads(self) -> "Downloads":
        from shared.billing.downloads import Downloads

        return Downloads(self.blobs, self.journal)

    @cached_property
    def plans(self) -> "PlanDesk":
        from shared.billing.plans import PlanDesk

        return PlanDesk(self.billing, self.catalog, self.journal)

    @cached_property
    def plan_notices(self) -> "PlanNotices":
        from shared.billing.plan_notices import PlanNotices

        return PlanNotices(self.billing, self.access, self.catalog, self.journal, self.letters)

    @cached_property
    def previews(self) -> "Previews":
        from shared.billing.previews import Previews

        return Previews(self.billing, self.access, self.drafter, self.closer)

    @cached_property
    def invoice_papers(self) -> "InvoicePapers":
        from shared.billing.papers import InvoicePapers

        return InvoicePapers(self.billing, self.documents, self.access, self.blobs, self.shelf, self.downloads)

    @cached_property
    def shelf(self) -> "Shelf":
        from shared.billing.documents.shelf import Shelf

        return Shelf(self.blobs)

    @cached_property
    def filer(self) -> "Filer":
        from shared.billing.filing import Filer

        return Filer(self.documents, self.billing, self.shelf)

    @cached_property
    def filing_runner(self) -> "Runner":
        return self.beside("invoice-documents", lambda: self.filer.run())

    def beside(self, work: str, do: "Callable[[], Awaitable[object]]") -> "Runner":
        """What does `work` when nobody else needs the processor, or `do` here where no process can be started."""
        from shared.billing.running import Runner, in_own_process

        own = self.settings.ams_report_process == "own"
        return Runner((lambda: in_own_process("shared.bootstrap.spare_time", work)) if own else do)

    @cached_property
    def announcer(self) -> "Announcer":
        from shared.billing.announcing import Announcer
        from shared.billing.store import BILLING
        from shared.identity.mail import send_mail

        return Announcer(
            self.billing, self.access, self.catalog, self.letters, self.catalog_letters, self.webhook_store,
            lambda task_id, data: send_mail(self.mail, task_id, data),
            lambda task_id, data: self.webhook_sender.on_emit(task_id, data),
            lambda merchant_id, tasks: self.journal.commit(BILLING, merchant_id, [], tasks=tasks),
            self.settings.ams_public_url,
        )  # fmt: skip

    @cached_property
    def invoice_book(self) -> "InvoiceBook":
        from shared.billing.book import InvoiceBook

        return InvoiceBook(self.billing, self.access)

    @cached_property
    def receivables(self) -> "Receivables":
        from shared.billing.receivables import Receivables

        return Receivables(self.billing, self.journal, self.announcer)

    @cached_property
    def reminders(self) -> "Reminders":
        from shared.billing.reminders import Reminders

        return Reminders(self.billing, self.journal, self.announcer)

    @cached_property
    def billing_setup(self) -> "BillingSetup":
        from shared.billing.setup import BillingSetup

        return BillingSetup(self.billing, self.catalog, self.journal)
