"""Unpaid invoices: overdue from the day after they were due, with reminders at intervals, each once."""

import logging
from collections.abc import Callable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from shared.audit.journal import Journal
from shared.audit.models import SYSTEM, Change
from shared.billing.invoices.announcements import Announcer
from shared.billing.invoices.models import Invoice
from shared.billing.invoices.store import InvoiceStore, invoice_document
from shared.billing.store import BILLING
from shared.kernel.clock import utc_now
from shared.kernel.documents import Stored
from shared.kernel.errors import Problem, Unavailable
from shared.platform.documents import Replace

AFTER_DAYS = (1, 7, 14, 30)
"""Reminders, in days after an invoice was due. A run that was missed is made up for with one mail, not several."""

_logger = logging.getLogger(__name__)


class Reminders:
    """Makes unpaid invoices overdue, and reminds of them. There is one in each process."""

    def __init__(
        self, invoices: InvoiceStore, journal: Journal, announcer: Announcer, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._invoices = invoices
        self._journal = journal
        self._announcer = announcer
        self._now = now

    async def run(self) -> int:
        """Remind of every unpaid invoice that a reminder is due for. Returns how many were reminded. Two that run at
        once remind once: the invoice is changed by its ETag in the transaction that leaves the mail."""
        reminded = 0
        tomorrow = self._now().date() + timedelta(days=1)  # it is tomorrow somewhere already
        async for stored in self._invoices.unpaid(str(tomorrow)):
            try:
                reminded += await self._remind(stored)
            except Unavailable:
                raise
            except Exception:  # whatever is wrong with one invoice, the others are reminded; tomorrow it is tried again
                _logger.exception("invoice %s could not be reminded of", stored.value.id)
        return reminded

    async def _remind(self, stored: Stored[Invoice]) -> bool:
        invoice = stored.value
        today = self._now().astimezone(ZoneInfo(invoice.time_zone)).date()
        late = (today - date.fromisoformat(invoice.due_on)).days
        reached = sum(days <= late for days in AFTER_DAYS)
        if reached <= len(invoice.reminders) or invoice.status not in ("issued", "overdue"):
            return False
        reminders = invoice.reminders + (str(today),) * (reached - len(invoice.reminders))
        after = invoice.model_copy(update={"status": "overdue", "due": _next_look(invoice, reached)})
        tasks = await self._announcer.overdue(after, late)
        after = after.model_copy(update={"reminders": reminders})
        change = Change(
            SYSTEM,
            "invoice.remind",
            f"invoice:{invoice.id}",
            before={"status": invoice.status},
            after={"status": "overdue", "days_late": late},
        )
        write = Replace(invoice_document(invoice.id), after.to_json(), stored.etag)
        try:
            await self._journal.commit(BILLING, invoice.merchant_id, [write], change, tasks=tasks)
        except Problem as problem:
            if problem.code != "conflict":
                raise
            return False  # paid, or reminded, at this moment
        return True


def _next_look(invoice: Invoice, reached: int) -> str | None:
    if reached == len(AFTER_DAYS):
        return None
    return str(date.fromisoformat(invoice.due_on) + timedelta(days=AFTER_DAYS[reached]))
