"""What is owed for what was used: prices, invoices, payments."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.bootstrap.alerts import Alerts
from shared.bootstrap.keys import KeyParts
from shared.bootstrap.webhooks import WebhookParts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from shared.billing.documents.cache import Shelf
    from shared.billing.documents.downloads import InvoiceDownloads
    from shared.billing.invoices.announcements import Announcer
    from shared.billing.invoices.listing import InvoiceListing
    from shared.billing.month_close.drafting import Drafter
    from shared.billing.month_close.filing import Filer
    from shared.billing.month_close.issuing import Issuer
    from shared.billing.month_close.previews import Previews
    from shared.billing.month_close.service import Closer
    from shared.billing.prices.notices import PlanNotices
    from shared.billing.prices.service import Plans
    from shared.billing.profiles.service import BillingSetup
    from shared.billing.receivables.reminders import Reminders
    from shared.billing.receivables.service import Receivables
    from shared.billing.store import BillingStore
    from shared.downloads.service import Downloads
    from shared.kernel.background import Runner


class Billing(KeyParts, Alerts, WebhookParts):
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
        from shared.billing.month_close.drafting import Drafter
        from shared.billing.usage.month import MonthReader

        return Drafter(self.billing, self.access, self.catalog, MonthReader(self.documents))

    @cached_property
    def issuer(self) -> "Issuer":
        from shared.billing.month_close.issuing import Issuer

        return Issuer(self.billing, self.journal)

    @cached_property
    def closer(self) -> "Closer":
        from shared.billing.month_close.service import Closer

        return Closer(
            self.documents,
            self.billing,
            self.access,
            self.catalog,
            self.drafter,
            self.issuer,
            self.journal,
            self.platform_settings,
            self.mails,
        )

    @cached_property
    def downloads(self) -> "Downloads":
        from shared.downloads.service import Downloads

        return Downloads(self.blobs, self.journal)

    @cached_property
    def plans(self) -> "Plans":
        from shared.billing.prices.service import Plans

        return Plans(self.billing, self.catalog, self.journal)

    @cached_property
    def plan_notices(self) -> "PlanNotices":
        from shared.billing.prices.notices import PlanNotices

        return PlanNotices(self.billing, self.access, self.catalog, self.journal, self.mails)

    @cached_property
    def previews(self) -> "Previews":
        from shared.billing.month_close.previews import Previews

        return Previews(self.billing, self.access, self.drafter, self.closer)

    @cached_property
    def invoice_downloads(self) -> "InvoiceDownloads":
        from shared.billing.documents.downloads import InvoiceDownloads

        return InvoiceDownloads(self.billing, self.documents, self.access, self.blobs, self.shelf, self.downloads)

    @cached_property
    def shelf(self) -> "Shelf":
        from shared.billing.documents.cache import Shelf

        return Shelf(self.blobs)

    @cached_property
    def filer(self) -> "Filer":
        from shared.billing.month_close.filing import Filer

        return Filer(self.documents, self.billing, self.shelf)

    @cached_property
    def filing_runner(self) -> "Runner":
        return self.beside("invoice-documents", lambda: self.filer.run())

    def beside(self, work: str, do: "Callable[[], Awaitable[object]]") -> "Runner":
        """What does `work` when nobody else needs the processor, or `do` here where no process can be started."""
        from shared.kernel.background import Runner, in_own_process

        own = self.settings.ams_report_process == "own"
        return Runner((lambda: in_own_process("shared.bootstrap.background_process", work)) if own else do)

    @cached_property
    def announcer(self) -> "Announcer":
        from shared.billing.invoices.announcements import Announcer
        from shared.billing.store import BILLING
        from shared.identity.mail_task import send_mail

        return Announcer(
            self.billing,
            self.access,
            self.catalog,
            self.mails,
            self.catalog_mails,
            self.webhook_store,
            lambda task_id, data: send_mail(self.mail, task_id, data),
            lambda task_id, data: self.webhook_sender.on_emit(task_id, data),
            lambda merchant_id, tasks: self.journal.commit(BILLING, merchant_id, [], tasks=tasks),
            self.settings.ams_public_url,
        )

    @cached_property
    def invoice_listing(self) -> "InvoiceListing":
        from shared.billing.invoices.listing import InvoiceListing

        return InvoiceListing(self.billing, self.access)

    @cached_property
    def receivables(self) -> "Receivables":
        from shared.billing.receivables.service import Receivables

        return Receivables(self.billing, self.journal, self.announcer)

    @cached_property
    def reminders(self) -> "Reminders":
        from shared.billing.receivables.reminders import Reminders

        return Reminders(self.billing, self.journal, self.announcer)

    @cached_property
    def billing_setup(self) -> "BillingSetup":
        from shared.billing.profiles.service import BillingSetup

        return BillingSetup(self.billing, self.catalog, self.journal)
