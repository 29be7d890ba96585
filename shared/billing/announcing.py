"""Who is told of an invoice, and how: mails to the buyer (and, of money, to the merchant), webhooks to both."""

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from shared.access.letters import Letters, line
from shared.access.store import AccessStore
from shared.audit.journal import GaveUp, Task
from shared.billing.models import CreditNote, Invoice
from shared.billing.store import BillingStore
from shared.identity.mail import MAIL_TASK, mail
from shared.kernel.clock import utc_now
from shared.kernel.money import money_text
from shared.webhooks.events import emit
from shared.webhooks.models import EventType
from shared.webhooks.store import WebhookStore

Do = Callable[[str, dict[str, Any]], Awaitable[None]]
"""Does a task: its id, and its data."""


class Announcer:
    """One per process. `send` does a mail's task, `post` one of a webhook's event."""

    def __init__(
        self, store: BillingStore, access: AccessStore, letters: Letters, webhooks: WebhookStore, send: Do, post: Do,
        url: str, now: Callable[[], datetime] = utc_now,
    ) -> None:  # fmt: skip
        self._store = store
        self._access = access
        self._letters = letters
        self._webhooks = webhooks
        self._send = send
        self._post = post
        self._url = url
        self._now = now

    async def on_issued(self, task_id: str, data: dict[str, Any]) -> None:
        """Of invoices that were issued together. Done again after a failure it may send a mail a second time, with the
        same Message-ID; none is lost. An address that takes no mail does not keep the others from theirs."""
        merchant_id: str = data["merchant_id"]
        for id in data["ids"]:  # noqa: A001 - the field's own word
            held = await self._store.invoice(merchant_id, id)
            if held is None:
                continue
            for number, task in enumerate(await self.issued(held.value)):
                do = self._send if task.kind == MAIL_TASK else self._post
                with contextlib.suppress(GaveUp):
                    await do(f"{task_id}.{id}.{number}", task.data)

    async def issued(self, invoice: Invoice) -> list[Task]:
        text = f"Your invoice {invoice.number} of {self._by(invoice)} for {invoice.period} is here.\n\n"
        mails = await self._to_buyer(invoice, f"Invoice {invoice.number}", text + self._facts(invoice))
        return [*mails, *await self._events(invoice, "invoice.issued")]

    async def paid(self, invoice: Invoice) -> list[Task]:
        text = f"Invoice {invoice.number} of {self._by(invoice)} for {invoice.period} is paid. Thank you.\n\n"
        mails = await self._to_buyer(invoice, f"Paid: invoice {invoice.number}", text + self._where(invoice))
        return [*mails, *await self._events(invoice, "invoice.paid")]

    async def overdue(self, invoice: Invoice, days: int) -> list[Task]:
        """`days` after it was due. Webhooks are told once, when it becomes so."""
        text = f"Invoice {invoice.number} of {self._by(invoice)} was due {days} days ago.\n\n"
        subject = f"Overdue: invoice {invoice.number}"
        mails = await self._to_buyer(invoice, subject, text + self._facts(invoice))
        return [*mails, *(await self._events(invoice, "invoice.overdue") if not invoice.reminders else [])]

    async def voided(self, invoice: Invoice) -> list[Task]:
        reason = invoice.voided_reason or ""
        text = f"Invoice {invoice.number} of {self._by(invoice)} is void: nothing is to be paid.\n\nReason: {reason}\n"
        return await self._to_buyer(invoice, f"Void: invoice {invoice.number}", text)

    async def credited(self, invoice: Invoice, note: CreditNote) -> list[Task]:
        amount = f"{money_text(note.total, note.currency)} {note.currency}"
        text = (
            f"Credit note {note.number} of {self._by(invoice)} over {amount}, for invoice {note.invoice_number}.\n\n"
            f"Reason: {note.reason}\n\n{self._facts(invoice)}"
        )
        return await self._to_buyer(invoice, f"Credit note {note.number}", text)

    def _by(self, invoice: Invoice) -> str:
        return line(invoice.seller.name)

    def _facts(self, invoice: Invoice) -> str:
        left = invoice.amount_due - invoice.paid - invoice.credited
        due = f", due on {invoice.due_on}" if left and invoice.status != "paid" else ""
        total = f"Total: {money_text(invoice.total, invoice.currency)} {invoice.currency}\n"
        return f"{total}To pay: {money_text(left, invoice.currency)} {invoice.currency}{due}\n\n{self._where(invoice)}"

    def _where(self, invoice: Invoice) -> str:
        return f"Sign in to see and download it:\n{self._url}/invoices/{invoice.id}\n"

    async def _to_buyer(self, invoice: Invoice, subject: str, text: str) -> list[Task]:
        details = await self._store.buyer(invoice.consumer_id)
        if details is not None and details.value.email is not None:
            return [mail(details.value.email, subject, text)]
        return await self._letters.to_consumer(await self._access.consumer(invoice.consumer_id), subject, text)

    async def _events(self, invoice: Invoice, type: EventType) -> list[Task]:
        """For whoever listens: with 100,000 invoices at once, nobody makes events for no one."""
        found = []
        for owner_id, data in (
            (invoice.merchant_id, {"pseudonym": invoice.pseudonym}),
            (invoice.consumer_id, {"seller": invoice.seller.name}),
        ):
            if await self._listens(owner_id, type):
                found.append(emit(owner_id, type, {**_event(invoice), **data}, self._now()))
        return found

    async def _listens(self, owner_id: str, type: EventType) -> bool:
        hooks: Sequence[Any] = await self._webhooks.webhooks(owner_id)
        return any(held.value.status == "enabled" and type in held.value.events for held in hooks)


def _event(invoice: Invoice) -> dict[str, object]:
    return {
        "invoice_id": invoice.id, "number": invoice.number, "merchant_id": invoice.merchant_id,
        "period": invoice.period, "currency": invoice.currency, "status": invoice.status, "due_on": invoice.due_on,
        "total": money_text(invoice.total, invoice.currency),
        "amount_due": money_text(invoice.amount_due, invoice.currency),
        "paid": money_text(invoice.paid, invoice.currency),
    }  # fmt: skip
