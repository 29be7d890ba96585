"""What happens to invoices after they are issued: payments, voids, credit notes, reminders; sums that always agree."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.alerts.store import ALERTS
from shared.billing.invoices.models import CreditNote, CreditUse, Payment, open_amount
from shared.billing.profiles.models import BuyerDetails
from shared.billing.profiles.store import BUYER
from shared.billing.store import BILLING
from shared.billing.tasks import AnnounceInvoices
from shared.kernel.errors import Problem
from shared.kernel.money import ZERO, round_money
from shared.webhooks.models import Webhook
from shared.webhooks.store import webhook_document
from tests.support.billing.books import open_books
from tests.support.billing.invoice_samples import BERLIN, make_invoice, make_line
from tests.support.billing.receiving import ACTOR, Receiving


@pytest.fixture
async def receiving(tmp_path: Path) -> AsyncIterator[Receiving]:
    books = await open_books(tmp_path)
    receiving = Receiving(books)
    await receiving.put(make_invoice())  # 100.00 and 19.00 of VAT
    details = BuyerDetails(consumer_id="con_1", legal_name="Globex", address=BERLIN, email="pay@globex.example")
    await books.documents.upsert(BILLING, "con_1", BUYER, details.to_json())
    yield receiving
    await books.journal.drain()
    await books.embedded.close()


async def test_payments_in_parts(receiving: Receiving) -> None:
    part = await receiving.pay("19.00")
    assert (part.status, part.paid, open_amount(part), part.due) == ("issued", Decimal(19), Decimal(100), "2026-05-02")
    whole = await receiving.pay("100")
    assert (whole.status, open_amount(whole), whole.due) == ("paid", ZERO, None)
    await receiving.books.journal.drain()
    assert [(m.to, m.subject) for m in receiving.mails] == [("pay@globex.example", "Paid: invoice ACME26-000001")]


async def test_a_payment_that_is_sent_twice_is_recorded_once(receiving: Receiving) -> None:
    await receiving.pay("19")
    assert (await receiving.pay("19")).paid == 19
    with pytest.raises(Problem, match="Another payment was recorded with this id"):
        await receiving.pay("19", reference="other")


@pytest.mark.parametrize(
    ("amount", "rule"),
    [("119.01", "at most 119.00"), ("0", "above 0"), ("-5", "above 0"), ("1.005", "at most 2 digits")],
)
async def test_payments_that_are_refused(receiving: Receiving, amount: str, rule: str) -> None:
    with pytest.raises(Problem, match=rule) as refused:
        await receiving.pay(amount)
    assert refused.value.errors[0].field == "amount"
    assert (await receiving.read()).paid == 0


async def test_many_who_pay_at_once_never_pay_too_much(receiving: Receiving) -> None:
    others = [Receiving(receiving.books.again()) for _ in range(3)]
    processes = [receiving, *others]
    done = await asyncio.gather(*(_try(processes[n % 4], n) for n in range(100)))
    invoice = await receiving.read()
    assert sum(done) == 39  # 39 × 3 = 117, and 2 are left
    assert (invoice.paid, open_amount(invoice), len(invoice.payments)) == (Decimal(117), Decimal(2), 39)


async def _try(receiving: Receiving, number: int) -> bool:
    try:
        await receiving.receivables.pay(
            ACTOR,
            "mer_1",
            "inv_1",
            Payment(
                id=f"pay_{number}",
                amount=Decimal(3),
                received_on="2026-04-01",
                recorded_at=datetime(2026, 4, 10, tzinfo=UTC),
                recorded_by="acc_1",
            ),
        )
    except Problem:
        return False  # more than is open
    return True


async def test_a_void_invoice_keeps_its_number_and_gives_credit_back(receiving: Receiving) -> None:
    used = CreditUse(note_number="N1", amount=Decimal(20))
    await receiving.put(make_invoice(credit=[used]))
    stored = await receiving.receivables.void(ACTOR, "mer_1", "inv_1", "wrong consumer")
    assert (stored.value.status, stored.value.number, stored.value.due) == ("void", "ACME26-000001", None)
    credit = await receiving.books.invoice_store.credit("mer_1", "con_1", "EUR")
    assert credit is not None
    assert credit.value.left == (used,)
    with pytest.raises(Problem, match="is void and cannot become paid"):
        await receiving.pay("1")
    with pytest.raises(Problem, match="is void and cannot become void"):
        await receiving.receivables.void(ACTOR, "mer_1", "inv_1", "again")
    with pytest.raises(Problem, match="is void and cannot become credited"):
        await receiving.credit("1")


async def test_what_was_paid_in_part_cannot_be_void(receiving: Receiving) -> None:
    await receiving.pay("1")
    with pytest.raises(Problem, match="give a credit note"):
        await receiving.receivables.void(ACTOR, "mer_1", "inv_1", "no")


async def test_a_credit_note_lowers_what_is_due_first(receiving: Receiving) -> None:
    await receiving.pay("100")
    note = await receiving.credit("59.50")
    assert (note.number, note.net, note.total) == ("ACME26C000001", Decimal("50.00"), Decimal("59.50"))
    assert note.taxes[0].amount == Decimal("9.50")
    invoice = await receiving.read()
    assert (invoice.status, invoice.credited) == ("paid", Decimal(19))
    credit = await receiving.books.invoice_store.credit("mer_1", "con_1", "EUR")
    assert credit is not None
    assert credit.value.left == (CreditUse(note_number=note.number, amount=Decimal("40.50")),)
    with pytest.raises(Problem, match=r"at most 59\.50"):
        await receiving.credit("59.51")


@pytest.mark.parametrize("number", [200, pytest.param(1_000, marks=pytest.mark.long)])
async def test_credit_notes_at_once_have_no_gap(receiving: Receiving, number: int) -> None:
    await receiving.put(make_invoice(lines=[make_line("10000")]))
    processes = [receiving, *(Receiving(receiving.books.again()) for _ in range(3))]
    notes = await asyncio.gather(*(processes[n % 4].credit("1.19") for n in range(number)))
    assert sorted(note.number for note in notes) == [f"ACME26C{n:06d}" for n in range(1, number + 1)]
    invoice = await receiving.read()
    assert (invoice.credited, open_amount(invoice)) == (Decimal("1.19") * number, 11_900 - Decimal("1.19") * number)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(data=st.data(), currency=st.sampled_from(["EUR", "JPY", "KWD"]))
async def test_notes_and_payments_in_any_order_sum_to_the_invoice(
    receiving: Receiving, data: st.DataObject, currency: str
) -> None:
    id = f"inv_{data.draw(st.uuids()).hex}"  # noqa: A001 - the field's own word
    invoice = await receiving.put(make_invoice(lines=[make_line("97")], currency=currency, id=id))
    noted: list[CreditNote] = []
    for _ in range(data.draw(st.integers(1, 6))):
        before = await receiving.read(id)
        if data.draw(st.booleans()) and open_amount(before):
            share = Decimal(data.draw(st.integers(1, 100))) / 100
            amount = round_money(open_amount(before) * share, currency)
            if amount:
                await _pay(receiving, id, amount)
        else:
            left = invoice.total - sum((note.total for note in noted), ZERO)
            amount = round_money(left * Decimal(data.draw(st.integers(1, 100))) / 100, currency)
            if amount:
                noted.append(await receiving.credit(amount, id))
    left = invoice.total - sum((note.total for note in noted), ZERO)
    if left:
        noted.append(await receiving.credit(left, id))
    after = await receiving.read(id)
    assert sum((note.net for note in noted), ZERO) == invoice.net
    assert sum((note.taxes[0].amount for note in noted), ZERO) == invoice.taxes[0].amount
    assert all(note.net >= 0 <= note.taxes[0].amount for note in noted)
    assert after.paid + after.credited == after.amount_due
    assert after.status == "paid"


async def _pay(receiving: Receiving, id: str, amount: Decimal) -> None:
    payment = Payment(
        id=f"pay_{id[-20:]}_{amount}".replace(".", "_"),
        amount=amount,
        received_on="2026-04-01",
        recorded_at=datetime(2026, 4, 10, tzinfo=UTC),
        recorded_by="acc_1",
    )
    await receiving.receivables.pay(ACTOR, "mer_1", id, payment)


async def test_reminders_each_once(receiving: Receiving) -> None:
    seen = []
    for day in range(1, 60):
        receiving.books.time.moment = datetime(2026, 5, 1, 9, tzinfo=UTC)
        receiving.books.time.passes(days=day)
        seen += [day] * await receiving.reminders.run()
        assert await receiving.reminders.run() == 0
    assert seen == [2, 8, 15, 31]  # 1, 7, 14 and 30 days after 2 May
    await receiving.books.journal.drain()
    invoice = await receiving.read()
    assert (invoice.status, invoice.reminders) == ("overdue", ("2026-05-03", "2026-05-09", "2026-05-16", "2026-06-01"))
    assert [m.subject for m in receiving.mails] == ["Overdue: invoice ACME26-000001"] * 4
    assert "To pay: 119.00 EUR" in receiving.mails[0].text


async def test_reminders_that_were_missed_are_one_mail(receiving: Receiving) -> None:
    receiving.books.time.moment = datetime(2026, 5, 20, tzinfo=UTC)
    others = [Receiving(receiving.books.again()) for _ in range(4)]
    assert sum(await asyncio.gather(*(each.reminders.run() for each in others))) == 1
    assert len((await receiving.read()).reminders) == 3


async def test_who_paid_is_not_reminded(receiving: Receiving) -> None:
    await receiving.pay("119")
    receiving.books.time.moment = datetime(2026, 6, 20, tzinfo=UTC)
    assert await receiving.reminders.run() == 0


async def test_buyers_and_listeners_are_told_of_what_was_issued(receiving: Receiving) -> None:
    hook = Webhook(
        id="whk_1",
        owner_id="mer_1",
        url="https://hooks.example/",
        events=("invoice.issued",),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    documents = receiving.books.documents
    await documents.upsert(ALERTS, "mer_1", webhook_document("whk_1"), hook.to_json())
    issued = AnnounceInvoices(merchant_id="mer_1", ids=("inv_1", "inv_unknown"))
    await receiving.announcer.on_issued("job_1", issued)
    assert [mail.subject for mail in receiving.mails] == ["Invoice ACME26-000001"]
    assert "https://ams.example/invoices/inv_1" in receiving.mails[0].text
    [event] = receiving.events
    assert (event.owner_id, event.type, event.data["number"]) == ("mer_1", "invoice.issued", "ACME26-000001")
    assert event.data["total"] == "119.00"
    assert "con_1" not in str(event.data), "a merchant learns no consumer's id"
    await receiving.announcer.on_issued("job_1", issued)
    assert receiving.ids[0] == receiving.ids[1], "a mail that is sent again is recognised"
