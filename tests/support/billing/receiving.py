"""What happens to a merchant's invoices after they are issued."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from shared.audit.models import Actor
from shared.billing.invoices.announcements import Announcer
from shared.billing.invoices.models import Invoice, Payment
from shared.billing.invoices.store import invoice_document
from shared.billing.receivables.reminders import Reminders
from shared.billing.receivables.service import Receivables
from shared.billing.store import BILLING
from shared.catalog.mails import CatalogMails
from shared.identity.store import AccountStore
from shared.identity.tasks import SendMail
from shared.webhooks.store import WebhookStore
from shared.webhooks.tasks import EmitEvent
from tests.support.billing.books import Books

ACTOR = Actor("acc_1", "merchant")


class Receiving:
    """A merchant's receivables, and what was sent."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.mails: list[SendMail] = []
        self.events: list[EmitEvent] = []
        self.ids: list[str] = []
        webhooks = WebhookStore(books.documents)
        self.announcer = Announcer(
            invoices=books.invoice_store,
            profiles=books.profiles,
            access=books.access,
            catalog=books.catalog,
            mails=books.mails,
            merchant_mails=CatalogMails(AccountStore(books.documents), books.settings),
            webhooks=webhooks,
            send=self._mail,
            post=self._post,
            leave=lambda merchant_id, tasks: books.journal.commit(BILLING, merchant_id, [], tasks=tasks),
            url="https://ams.example",
            now=books.time,
        )
        self.receivables = Receivables(
            invoices=books.invoice_store,
            profiles=books.profiles,
            journal=books.journal,
            announcer=self.announcer,
            now=books.time,
        )
        self.reminders = Reminders(books.invoice_store, books.journal, self.announcer, books.time)
        books.journal.on(SendMail, self._mail)
        books.journal.on(EmitEvent, self._post)

    async def _mail(self, task_id: str, task: SendMail) -> None:
        self.ids.append(task_id)
        self.mails.append(task)

    async def _post(self, task_id: str, task: EmitEvent) -> None:
        self.events.append(task)

    async def put(self, invoice: Invoice) -> Invoice:
        stored = invoice.model_copy(update={"due": invoice.due_on})
        await self.books.documents.upsert(BILLING, "mer_1", invoice_document(invoice.id), stored.to_json())
        return stored

    async def read(self, id: str = "inv_1") -> Invoice:
        stored = await self.books.invoice_store.invoice("mer_1", id)
        assert stored is not None
        return stored.value

    async def pay(self, amount: str, **changes: Any) -> Invoice:
        fields: dict[str, Any] = {
            "id": f"pay_{amount}".replace(".", "_"),
            "amount": Decimal(amount),
            "received_on": "2026-04-01",
            "recorded_at": datetime(2026, 4, 10, tzinfo=UTC),
            "recorded_by": "acc_1",
        }
        return (await self.receivables.pay(ACTOR, "mer_1", "inv_1", Payment(**{**fields, **changes}))).value

    async def credit(self, amount: str | Decimal, id: str = "inv_1") -> Any:
        return (await self.receivables.credit(ACTOR, "mer_1", id, Decimal(amount), "a mistake"))[0]
