"""What is owed for what was used: prices, invoices, payments."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.billing.tasks import AnnounceInvoices, TellPriceChange

if TYPE_CHECKING:
    from shared.access.parts import AccessParts
    from shared.audit.journal import Journal
    from shared.audit.parts import AuditParts
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
    from shared.catalog.parts import CatalogParts
    from shared.downloads.service import Downloads
    from shared.identity.parts import IdentityParts
    from shared.kernel.background import MakeRunner, Runner
    from shared.platform import Ports
    from shared.webhooks.parts import WebhookParts


class BillingParts:
    """The services of `shared.billing`, each made when it is first used."""

    def __init__(
        self,
        ports: "Ports",
        audit: "AuditParts",
        identity: "IdentityParts",
        webhooks: "WebhookParts",
        catalog: "CatalogParts",
        access: "AccessParts",
        *,
        public_url: str,
        runner: "MakeRunner",
    ) -> None:
        self._ports = ports
        self._audit = audit
        self._identity = identity
        self._webhooks = webhooks
        self._catalog = catalog
        self._access = access
        self._public_url = public_url
        self._make_runner = runner
        audit.prepare(self._handle_tasks)

    def _handle_tasks(self, journal: "Journal") -> None:
        """Register the handlers of this noun's tasks. What does a task is made, and imported, when there is one to do:
        consume's start does not wait for it."""
        journal.on(AnnounceInvoices, lambda task_id, task: self.announcer.on_issued(task_id, task))
        journal.on(TellPriceChange, lambda task_id, task: self.plan_notices.on_tell(task_id, task))

    @cached_property
    def plan_store(self) -> "PlanStore":
        from shared.billing.prices.store import PlanStore

        return PlanStore(self._ports.documents)

    @cached_property
    def profile_store(self) -> "ProfileStore":
        from shared.billing.profiles.store import ProfileStore

        return ProfileStore(self._ports.documents)

    @cached_property
    def invoice_store(self) -> "InvoiceStore":
        from shared.billing.invoices.store import InvoiceStore

        return InvoiceStore(self._ports.documents)

    @cached_property
    def close_store(self) -> "CloseStore":
        from shared.billing.month_close.store import CloseStore

        return CloseStore(self._ports.documents)

    @cached_property
    def billed_subscribers(self) -> "BilledSubscribers":
        from shared.billing.month_close.subscribers import BilledSubscribers

        return BilledSubscribers(self._access.store)

    @cached_property
    def drafter(self) -> "Drafter":
        from shared.billing.month_close.drafting import Drafter
        from shared.billing.usage.month import MonthReader

        return Drafter(
            plans=self.plan_store,
            profiles=self.profile_store,
            invoices=self.invoice_store,
            closes=self.close_store,
            access=self._access.store,
            catalog=self._catalog.store,
            reader=MonthReader(self._ports.documents),
        )

    @cached_property
    def issuer(self) -> "InvoiceIssuer":
        from shared.billing.month_close.issuing import InvoiceIssuer

        return InvoiceIssuer(self.invoice_store, self._audit.journal, now=self._ports.now)

    @cached_property
    def closer(self) -> "Closer":
        from shared.billing.month_close.service import Closer

        return Closer(
            closes=self.close_store,
            profiles=self.profile_store,
            catalog=self._catalog.store,
            subscribers=self.billed_subscribers,
            drafter=self.drafter,
            issuer=self.issuer,
            journal=self._audit.journal,
            settings=self._audit.platform_settings,
            mails=self._access.mails,
            now=self._ports.now,
        )

    @cached_property
    def downloads(self) -> "Downloads":
        from shared.downloads.service import Downloads

        return Downloads(self._ports.blobs, self._audit.journal, now=self._ports.now)

    @cached_property
    def plans(self) -> "Plans":
        from shared.billing.prices.service import Plans

        return Plans(
            plans=self.plan_store,
            profiles=self.profile_store,
            catalog=self._catalog.store,
            journal=self._audit.journal,
            now=self._ports.now,
        )

    @cached_property
    def plan_notices(self) -> "PlanNotices":
        from shared.billing.prices.notices import PlanNotices

        return PlanNotices(
            plans=self.plan_store,
            access=self._access.store,
            catalog=self._catalog.store,
            journal=self._audit.journal,
            mails=self._access.mails,
        )

    @cached_property
    def previews(self) -> "Previews":
        from shared.billing.month_close.previews import Previews

        return Previews(
            profiles=self.profile_store,
            subscribers=self.billed_subscribers,
            access=self._access.store,
            drafter=self.drafter,
            closer=self.closer,
            now=self._ports.now,
        )

    @cached_property
    def invoice_downloads(self) -> "InvoiceDownloads":
        from shared.billing.documents.downloads import InvoiceDownloads

        return InvoiceDownloads(
            invoices=self.invoice_store,
            documents=self._ports.documents,
            access=self._access.store,
            blobs=self._ports.blobs,
            cache=self.document_cache,
            downloads=self.downloads,
        )

    @cached_property
    def document_cache(self) -> "DocumentCache":
        from shared.billing.documents.cache import DocumentCache

        return DocumentCache(self._ports.blobs)

    @cached_property
    def filer(self) -> "Filer":
        from shared.billing.month_close.filing import Filer

        return Filer(
            documents=self._ports.documents,
            closes=self.close_store,
            invoices=self.invoice_store,
            cache=self.document_cache,
            now=self._ports.now,
        )

    @cached_property
    def filing_runner(self) -> "Runner":
        return self._make_runner("invoice-documents", lambda: self.filer.run())

    @cached_property
    def announcer(self) -> "Announcer":
        from shared.billing.invoices.announcements import Announcer
        from shared.billing.store import BILLING
        from shared.identity.mails import send_mail

        return Announcer(
            invoices=self.invoice_store,
            profiles=self.profile_store,
            access=self._access.store,
            catalog=self._catalog.store,
            mails=self._access.mails,
            merchant_mails=self._catalog.mails,
            webhooks=self._webhooks.store,
            send=lambda task_id, task: send_mail(self._ports.mail, task_id, task),
            post=lambda task_id, task: self._webhooks.sender.on_emit(task_id, task),
            leave=lambda merchant_id, tasks: self._audit.journal.commit(BILLING, merchant_id, [], tasks=tasks),
            url=self._public_url,
            now=self._ports.now,
        )

    @cached_property
    def invoice_listing(self) -> "InvoiceListing":
        from shared.billing.invoices.listing import InvoiceListing

        return InvoiceListing(self.invoice_store, self._access.store)

    @cached_property
    def receivables(self) -> "Receivables":
        from shared.billing.receivables.service import Receivables

        return Receivables(
            invoices=self.invoice_store,
            profiles=self.profile_store,
            journal=self._audit.journal,
            announcer=self.announcer,
            now=self._ports.now,
        )

    @cached_property
    def reminders(self) -> "Reminders":
        from shared.billing.receivables.reminders import Reminders

        return Reminders(self.invoice_store, self._audit.journal, self.announcer, now=self._ports.now)

    @cached_property
    def setup(self) -> "BillingSetup":
        from shared.billing.profiles.service import BillingSetup

        return BillingSetup(self.profile_store, self._catalog.store, self._audit.journal, now=self._ports.now)

    async def close(self) -> None:
        """Give up what is being made: another process does it."""
        if "filing_runner" in self.__dict__:
            await self.filing_runner.close()
