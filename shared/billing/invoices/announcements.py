"""Announcements of invoices: mails to the buyer (and, that it is paid, to the merchant), webhooks to both."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from hashlib import sha256

from shared.access.mails import AccessMails
from shared.access.store import AccessStore
from shared.audit.journal import PermanentFailure
from shared.audit.tasks import Task
from shared.billing.invoices.models import CreditNote, Invoice
from shared.billing.invoices.store import InvoiceStore
from shared.billing.profiles.store import ProfileStore
from shared.billing.tasks import AnnounceInvoices
from shared.catalog.mails import CatalogMails
from shared.catalog.store import CatalogStore
from shared.identity.mails import one_line, reason_line
from shared.identity.tasks import SendMail
from shared.kernel.clock import format_time, parse_time, utc_now
from shared.kernel.errors import Unavailable
from shared.kernel.money import money_text
from shared.platform.mail import MailDeferred
from shared.webhooks.models import EventType
from shared.webhooks.store import WebhookStore
from shared.webhooks.tasks import EmitEvent, emit

LeaveTasks = Callable[[str, Sequence[Task]], Awaitable[object]]
"""Leaves tasks to the outbox: the merchant's id, and the tasks."""

LATER_S = 60

_logger = logging.getLogger(__name__)


class Announcer:
    """Tells buyers and webhooks of invoices. `send` does a mail's task, `post` one of a webhook's event, `leave` leaves
    tasks of a merchant's to the outbox. Every method but `on_issued` returns tasks, to be committed with the change."""

    def __init__(
        self,
        *,
        invoices: InvoiceStore,
        profiles: ProfileStore,
        access: AccessStore,
        catalog: CatalogStore,
        mails: AccessMails,
        merchant_mails: CatalogMails,
        webhooks: WebhookStore,
        send: Callable[[str, SendMail], Awaitable[None]],
        post: Callable[[str, EmitEvent], Awaitable[None]],
        leave: LeaveTasks,
        url: str,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._invoices = invoices
        self._profiles = profiles
        self._access = access
        self._catalog = catalog
        self._mails = mails
        self._merchant_mails = merchant_mails
        self._webhooks = webhooks
        self._send = send
        self._post = post
        self._leave = leave
        self._url = url
        self._now = now

    async def on_issued(self, task_id: str, task: AnnounceInvoices) -> None:
        """Handle AnnounceInvoices: tell of invoices that were issued together, here and not by a task for each, as
        there may be 100,000 of them. After a failure it goes on where it was: with the invoice whose mail may be sent a
        second time, with the same Message-ID, and whose event may be posted again, with the same `webhook-id`; nothing
        is lost. An address that takes no mail, or none now, does not keep the others from theirs. Raises
        MailUnavailable, DocumentsUnavailable."""
        merchant_id, ids = task.merchant_id, task.ids
        first = task.first_task or task_id
        at = self._now() if task.at is None else parse_time(task.at)
        listening = {merchant_id: await self._listens(merchant_id, "invoice.issued")}
        for position, invoice_id in enumerate(ids):
            try:
                await self._announce_issued(f"{first}.{invoice_id}", merchant_id, invoice_id, at, listening)
            except Unavailable as error:
                if not position:
                    raise
                _logger.warning("%d invoices of %s are announced later: %s", len(ids) - position, merchant_id, error)
                left = {"ids": ids[position:], "at": format_time(at), "first_task": first, "delay_s": LATER_S}
                await self._leave(merchant_id, [task.model_copy(update=left)])
                return

    async def _announce_issued(
        self, id: str, merchant_id: str, invoice_id: str, at: datetime, listening: dict[str, bool]
    ) -> None:
        stored = await self._invoices.invoice(merchant_id, invoice_id)
        if stored is None or stored.value.status == "void":
            return
        for task in await self._issued_tasks(stored.value, at, listening):
            task_id = f"{id}.{_recipient(task)}"
            try:
                await (self._send(task_id, task) if isinstance(task, SendMail) else self._post(task_id, task))
            except PermanentFailure as error:
                _logger.warning("task %s is given up: %s", task_id, error)
            except MailDeferred as error:
                _logger.warning("task %s is left for later: %s", task_id, error)
                await self._leave(merchant_id, [task.model_copy(update={"delay_s": LATER_S})])

    async def _issued_tasks(
        self, invoice: Invoice, at: datetime, listening: dict[str, bool]
    ) -> list[SendMail | EmitEvent]:
        text = f"Your invoice {invoice.number} of {self._by(invoice)} for {invoice.period} is here.\n\n"
        mails = await self._to_buyer(invoice, f"Invoice {invoice.number}", text + self._facts(invoice))
        return [*mails, *await self._events(invoice, "invoice.issued", at, listening)]

    async def paid(self, invoice: Invoice) -> list[Task]:
        """Thank the buyer, and tell the merchant, that nothing of an invoice is open any more."""
        text = f"Invoice {invoice.number} of {self._by(invoice)} for {invoice.period} is paid. Thank you.\n\n"
        subject = f"Paid: invoice {invoice.number}"
        mails = await self._to_buyer(invoice, subject, text + self._where(invoice))
        merchant = await self._catalog.merchant(invoice.merchant_id)
        paid_text = f"Invoice {invoice.number} to {one_line(invoice.buyer.name)} for {invoice.period} is paid.\n"
        mails += await self._merchant_mails.to_merchant(merchant, subject, paid_text)
        return [*mails, *await self._events(invoice, "invoice.paid")]

    async def overdue(self, invoice: Invoice, days: int) -> list[Task]:
        """Remind the buyer of an invoice that was due `days` ago. Webhooks are told once, when it becomes overdue."""
        ago = "yesterday" if days == 1 else f"{days} days ago"
        text = f"Invoice {invoice.number} of {self._by(invoice)} was due {ago}.\n\n"
        subject = f"Overdue: invoice {invoice.number}"
        mails = await self._to_buyer(invoice, subject, text + self._facts(invoice))
        return [*mails, *(await self._events(invoice, "invoice.overdue") if not invoice.reminders else [])]

    async def voided(self, invoice: Invoice) -> list[SendMail]:
        """Tell the buyer that an invoice is void."""
        text = f"Invoice {invoice.number} of {self._by(invoice)} is void: nothing is to be paid.\n\n"
        text += f"{reason_line(invoice.voided_reason or '')}\n"
        return await self._to_buyer(invoice, f"Void: invoice {invoice.number}", text)

    async def credited(self, invoice: Invoice, note: CreditNote) -> list[SendMail]:
        """Tell the buyer of a credit note."""
        amount = f"{money_text(note.total, note.currency)} {note.currency}"
        text = (
            f"Credit note {note.number} of {self._by(invoice)} over {amount}, for invoice {note.invoice_number}.\n\n"
            f"{reason_line(note.reason)}\n\n{self._facts(invoice)}"
        )
        return await self._to_buyer(invoice, f"Credit note {note.number}", text)

    def _by(self, invoice: Invoice) -> str:
        return one_line(invoice.seller.name)

    def _facts(self, invoice: Invoice) -> str:
        left = invoice.amount_due - invoice.paid - invoice.credited
        due = f", due on {invoice.due_on}" if left and invoice.status != "paid" else ""
        total = f"Total: {money_text(invoice.total, invoice.currency)} {invoice.currency}\n"
        return f"{total}To pay: {money_text(left, invoice.currency)} {invoice.currency}{due}\n\n{self._where(invoice)}"

    def _where(self, invoice: Invoice) -> str:
        return f"Sign in to see and download it:\n{self._url}/invoices/{invoice.id}\n"

    async def _to_buyer(self, invoice: Invoice, subject: str, text: str) -> list[SendMail]:
        details = await self._profiles.buyer(invoice.consumer_id)
        if details is not None and details.value.email is not None:
            return [SendMail(to=details.value.email, subject=subject, text=text)]
        return await self._mails.to_consumer(await self._access.consumer(invoice.consumer_id), subject, text)

    async def _events(
        self, invoice: Invoice, type: EventType, at: datetime | None = None, listening: dict[str, bool] | None = None
    ) -> list[EmitEvent]:
        """Make events for whoever listens: with 100,000 invoices at once, nobody makes events for no one. `listening`
        says of owners whether they do, where that is known already."""
        found = []
        for owner_id, data in (
            (invoice.merchant_id, {"pseudonym": invoice.pseudonym}),
            (invoice.consumer_id, {"seller": invoice.seller.name}),
        ):
            listens = (listening or {}).get(owner_id)
            if await self._listens(owner_id, type) if listens is None else listens:
                found.append(emit(owner_id, type, {**_event(invoice), **data}, at or self._now()))
        return found

    async def _listens(self, owner_id: str, type: EventType) -> bool:
        hooks = await self._webhooks.webhooks(owner_id)
        return any(stored.value.status == "enabled" and type in stored.value.events for stored in hooks)


def _recipient(task: SendMail | EmitEvent) -> str:
    """Name a task's recipient for the id of what is done: another order of tasks, or another address, must not share an
    id."""
    recipient = task.to if isinstance(task, SendMail) else task.owner_id
    return sha256(recipient.encode()).hexdigest()[:16]


def _event(invoice: Invoice) -> dict[str, object]:
    return {
        "invoice_id": invoice.id,
        "number": invoice.number,
        "merchant_id": invoice.merchant_id,
        "period": invoice.period,
        "currency": invoice.currency,
        "status": invoice.status,
        "due_on": invoice.due_on,
        "total": money_text(invoice.total, invoice.currency),
        "amount_due": money_text(invoice.amount_due, invoice.currency),
        "paid": money_text(invoice.paid, invoice.currency),
    }
