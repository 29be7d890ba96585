"""What is owed for what was used: prices, invoices, payments."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.bootstrap.alerts import Alerts
from shared.bootstrap.keys import KeyParts
from shared.bootstrap.webhooks import WebhookParts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from shared.billing.documents.cache import DocumentCache
    from shared.billing.documents.downloads import InvoiceDownloads
    from shared.billing.invoices.announcements import Announcer
    from shared.billing.invoices.listing import InvoiceListing
    from shared.billing.invoices.store import InvoiceStore
    from shared.billing.month_close.drafting import Drafter
    from shared.billing.month_close.filing import Filer
    from shared.billing.month_close.issuing import InvoiceIssuer
    from shared.billing.month_close.previews import Previews
    from shared.billing.month_close.service import Closer
    from shared.billing.month_close.store import CloseStore
    from shared.billing.month_close.subscribers import BilledSubscribers
    from shared.billing.prices.notices import PlanNotices
    from shared.billing.prices.service import Plans
    from shared.billing.prices.store import PlanStore
    from shared.billing.profiles.service import BillingSetup
    from shared.billing.profiles.store import ProfileStore
    from shared.billing.receivables.reminders import Reminders
    from shared.billing.receivables.service import Receivables
    from shared.downloads.service import Downloads
    from shared.kernel.background import Runner


class Billing(KeyParts, Alerts, WebhookParts):
    """The parts of `shared.billing`.

    A part is a `cached_property` that imports its module when it is built; it may use any part of the layers below.
    The handler of a task is registered in `Tasks`; what must be closed is named in `_CLOSED`.
    """

    @cached_property
    def plan_store(self) -> "PlanStore":
        from shared.billing.prices.store import PlanStore

        return PlanStore(self.documents)

    @cached_property
    def profile_store(self) -> "ProfileStore":
        from shared.billing.profiles.store import ProfileStore

        return ProfileStore(self.documents)

    @cached_property
    def invoice_store(self) -> "InvoiceStore":
        from shared.billing.invoices.store import InvoiceStore

        return InvoiceStore(self.documents)

    @cached_property
    def close_store(self) -> "CloseStore":
        from shared.billing.month_close.store import CloseStore

        return CloseStore(self.documents)

    @cached_property
    def billed_subscribers(self) -> "BilledSubscribers":
        from shared.billing.month_close.subscribers import BilledSubscribers

        return BilledSubscribers(self.access)

    @cached_property
    def drafter(self) -> "Drafter":
        from shared.billing.month_close.drafting import Drafter
        from shared.billing.usage.month import MonthReader

        return Drafter(
            plans=self.plan_store,
            profiles=self.profile_store,
            invoices=self.invoice_store,
            closes=self.close_store,
            access=self.access,
            catalog=self.catalog,
            reader=MonthReader(self.documents),
        )

    @cached_property
    def issuer(self) -> "InvoiceIssuer":
        from shared.billing.month_close.issuing import InvoiceIssuer

        return InvoiceIssuer(self.invoice_store, self.journal)

    @cached_property
    def closer(self) -> "Closer":
        from shared.billing.month_close.service import Closer

        return Closer(
            closes=self.close_store,
            profiles=self.profile_store,
            catalog=self.catalog,
            subscribers=self.billed_subscribers,
            drafter=self.drafter,
            issuer=self.issuer,
            journal=self.journal,
            settings=self.platform_settings,
            mails=self.mails,
        )

    @cached_property
    def downloads(self) -> "Downloads":
        from shared.downloads.service import Downloads

        return Downloads(self.blobs, self.journal)

    @cached_property
    def plans(self) -> "Plans":
        from shared.billing.prices.service import Plans

        return Plans(plans=self.plan_store, profiles=self.profile_store, catalog=self.catalog, journal=self.journal)

    @cached_property
    def plan_notices(self) -> "PlanNotices":
        from shared.billing.prices.notices import PlanNotices

        return PlanNotices(
            plans=self.plan_store, access=self.access, catalog=self.catalog, journal=self.journal, mails=self.mails
        )

    @cached_property
    def previews(self) -> "Previews":
        from shared.billing.month_close.previews import Previews

        return Previews(
            profiles=self.profile_store,
            subscribers=self.billed_subscribers,
            access=self.access,
            drafter=self.drafter,
            closer=self.closer,
        )

    @cached_property
    def invoice_downloads(self) -> "InvoiceDownloads":
        from shared.billing.documents.downloads import InvoiceDownloads

        return InvoiceDownloads(
            invoices=self.invoice_store,
            documents=self.documents,
            access=self.access,
            blobs=self.blobs,
            cache=self.document_cache,
            downloads=self.downloads,
        )

    @cached_property
    def document_cache(self) -> "DocumentCache":
        from shared.billing.documents.cache import DocumentCache

        return DocumentCache(self.blobs)

    @cached_property
    def filer(self) -> "Filer":
        from shared.billing.month_close.filing import Filer

        return Filer(
            documents=self.documents,
            closes=self.close_store,
            invoices=self.invoice_store,
            cache=self.document_cache,
        )

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
            invoices=self.invoice_store,
            profiles=self.profile_store,
            access=self.access,
            catalog=self.catalog,
            mails=self.mails,
            merchant_mails=self.catalog_mails,
            webhooks=self.webhook_store,
            send=lambda task_id, data: send_mail(self.mail, task_id, data),
            post=lambda task_id, data: self.webhook_sender.on_emit(task_id, data),
            leave=lambda merchant_id, tasks: self.journal.commit(BILLING, merchant_id, [], tasks=tasks),
            url=self.settings.ams_public_url,
        )

    @cached_property
    def invoice_listing(self) -> "InvoiceListing":
        from shared.billing.invoices.listing import InvoiceListing

        return InvoiceListing(self.invoice_store, self.access)

    @cached_property
    def receivables(self) -> "Receivables":
        from shared.billing.receivables.service import Receivables

        return Receivables(
            invoices=self.invoice_store,
            profiles=self.profile_store,
            journal=self.journal,
            announcer=self.announcer,
        )

    @cached_property
    def reminders(self) -> "Reminders":
        from shared.billing.receivables.reminders import Reminders

        return Reminders(self.invoice_store, self.journal, self.announcer)

    @cached_property
    def billing_setup(self) -> "BillingSetup":
        from shared.billing.profiles.service import BillingSetup

        return BillingSetup(self.profile_store, self.catalog, self.journal)
