"""Who is told of invoices, by mail and webhook, when they are issued and when they are overdue: nobody twice."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.audit.journal import FIRST_DUE
from shared.billing.store import BILLING
from shared.billing.tasks import AnnounceInvoices
from shared.kernel.clock import format_time, utc_now
from shared.platform.documents import Query, Where
from shared.platform.mail import MailDeferred, MailUnavailable
from tests.emulators.receiver import Receiver
from tests.support.api.invoice_market import MERCHANT, InvoiceMarket, numbers

OVERDUE = ("ann@buyers.example", "Overdue: invoice ACME26-000001")


class TestReminding:
    async def test_overdue_is_told_once(
        self, bills: InvoiceMarket, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await bills.issue()
        hook = {"url": receiver.url, "events": ["invoice.overdue"]}
        assert (await bills.ann.post(f"{bills.market.consumer}/webhooks", json=hook)).status_code == 201
        reminders = bills.api.app.billing.reminders
        for day in (2, 3, 3, 9):
            bills.api.clock.moment = datetime(2026, 5, day, 8, tzinfo=UTC)
            await asyncio.gather(*(reminders.run() for _ in range(5)))
        assert (await bills.subjects()) == [OVERDUE] * 2
        assert [json.loads(posted.body)["data"]["status"] for posted in receiver.requests] == ["overdue"]
        assert await numbers(bills.mia, f"{MERCHANT}/invoices", status="overdue") == [1]
        assert (await bills.pay("119")).json()["status"] == "paid"

    async def test_one_that_cannot_be_reminded_of_does_not_stop_the_others(
        self, bills: InvoiceMarket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await bills.issue(1, time_zone="Nowhere/Land")
        await bills.issue(2)
        bills.api.clock.moment = datetime(2026, 5, 4, tzinfo=UTC)
        assert await bills.api.app.billing.reminders.run() == 1
        assert [(await bills.read(f"inv_{n}")).status for n in (1, 2)] == ["issued", "overdue"]

    @pytest.mark.parametrize(("zone", "reminded"), [("Pacific/Auckland", 1), ("America/Los_Angeles", 0)])
    async def test_the_day_is_the_merchants(
        self, bills: InvoiceMarket, monkeypatch: pytest.MonkeyPatch, zone: str, reminded: int
    ) -> None:
        await bills.issue(time_zone=zone)
        bills.api.clock.moment = datetime(2026, 5, 2, 13, tzinfo=UTC)
        assert await bills.api.app.billing.reminders.run() == reminded


class TestAnnouncing:
    async def _issued(self, bills: InvoiceMarket, *ids: str) -> None:
        """As issuing leaves it in the outbox."""
        at = format_time(utc_now())
        task = AnnounceInvoices(merchant_id="mer_1", ids=ids, at=at)
        await bills.api.app.audit.journal.commit(BILLING, "mer_1", [], tasks=[task])

    async def test_buyers_and_subscribers_are_told(self, bills: InvoiceMarket, receiver: Receiver) -> None:
        hook = {"url": receiver.url, "events": ["invoice.issued"]}
        assert (await bills.mia.post(f"{MERCHANT}/webhooks", json=hook)).status_code == 201
        await bills.issue(1)
        await bills.issue(2, status="void")
        await self._issued(bills, "inv_1", "inv_2", "inv_gone")
        assert await bills.subjects() == [("ann@buyers.example", "Invoice ACME26-000001")]
        [mail] = bills.api.mails()
        text = mail.get_content()
        for fact in ("Acme GmbH", "2026-03", "119.00 EUR", "2026-05-02", "/invoices/inv_1"):
            assert fact in text
        assert [json.loads(posted.body)["data"]["number"] for posted in receiver.requests] == ["ACME26-000001"]

    async def test_nobody_who_listens_no_documents(self, bills: InvoiceMarket) -> None:
        for number in range(1, 41):
            await bills.issue(number)
        await self._issued(bills, *(f"inv_{number}" for number in range(1, 41)))
        assert len(await bills.subjects()) == 40
        page = await bills.api.app.ports.documents.query(BILLING, Query("mer_1", (Where("outbox", ">", ""),)))
        assert page.items == ()

    async def test_done_again_it_is_the_same_mails_and_events(
        self, bills: InvoiceMarket, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The second buyer's mail fails at first: then that invoice is announced again, a minute later."""
        hook = {"url": receiver.url, "events": ["invoice.issued"]}
        assert (await bills.mia.post(f"{MERCHANT}/webhooks", json=hook)).status_code == 201
        await bills.issue(1)
        await bills.issue(2)
        app = bills.api.app
        sent: list[str] = []
        send = app.ports.mail.send

        async def fails_once(message: Any) -> None:
            sent.append(message.id)
            if len(sent) == 2:
                raise MailUnavailable("no")
            await send(message)

        with monkeypatch.context() as patched:
            patched.setattr(app.ports.mail, "send", fails_once)
            await self._issued(bills, "inv_1", "inv_2")
            await bills.api.drain()
            bills.api.clock.passes(seconds=FIRST_DUE.total_seconds())
            await app.audit.journal.deliver_due()
        await bills.api.drain()
        assert sent[1:] == [sent[1]] * 2, "the same Message-ID"
        assert len(bills.api.mails()) == 2
        assert sorted(json.loads(posted.body)["data"]["number"] for posted in receiver.requests) == [
            "ACME26-000001",
            "ACME26-000002",
        ], "each event once"

    async def test_a_server_that_takes_a_few_mails_at_a_time_gets_each_once(
        self, bills: InvoiceMarket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(1, 11):
            await bills.issue(number)
        app, times = bills.api.app, 0
        sent: list[str] = []
        send = app.ports.mail.send

        async def three_a_minute(message: Any) -> None:
            if len(sent) == 3 * times:
                raise MailUnavailable("421 slow down")
            sent.append(message.subject)
            await send(message)

        with monkeypatch.context() as patched:
            patched.setattr(app.ports.mail, "send", three_a_minute)
            times = 1
            await self._issued(bills, *(f"inv_{number}" for number in range(1, 11)))
            await bills.api.drain()
            for times in (2, 3, 4):
                bills.api.clock.passes(seconds=times * FIRST_DUE.total_seconds())
                await app.audit.journal.deliver_due()
                await bills.api.drain()
        assert sent == [f"Invoice ACME26-{number:06d}" for number in range(1, 11)]

    async def test_a_mailbox_that_is_full_keeps_nobody_from_theirs(
        self, bills: InvoiceMarket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(1, 4):
            await bills.issue(number)
        app, full = bills.api.app, True
        send = app.ports.mail.send

        async def second_is_full(message: Any) -> None:
            if full and message.subject.endswith("2"):
                raise MailDeferred("452 mailbox full")
            await send(message)

        with monkeypatch.context() as patched:
            patched.setattr(app.ports.mail, "send", second_is_full)
            await self._issued(bills, "inv_1", "inv_2", "inv_3")
            assert [subject[-1] for _, subject in await bills.subjects()] == ["1", "3"]
            full = False
            bills.api.clock.passes(seconds=FIRST_DUE.total_seconds())
            await app.audit.journal.deliver_due()
        assert sorted(subject[-1] for _, subject in await bills.subjects()) == ["1", "2", "3"]

    async def test_who_has_no_address_keeps_nobody_from_theirs(self, bills: InvoiceMarket) -> None:
        await bills.issue(1, consumer_id="con_nobody", pseudonym="cus_nobody")
        await bills.issue(2)
        await self._issued(bills, "inv_1", "inv_2")
        assert await bills.subjects() == [("ann@buyers.example", "Invoice ACME26-000002")]
