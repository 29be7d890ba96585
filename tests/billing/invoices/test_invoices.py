"""Invoices over the API: who sees what of them, payments, voids, credit notes, reminders, whom they are told to."""

import asyncio
import base64
import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from shared.audit.journal import FIRST_DUE
from tests.emulators.receiver import Receiver
from tests.support.api.invoice_market import MERCHANT, InvoiceMarket, numbers
from tests.support.api.problems import problem
from tests.support.billing.invoice_samples import make_line

THE_MERCHANTS = {"commission", "commission_percent", "merchant_net", "pseudonym"}
PAID = ("ann@buyers.example", "Paid: invoice ACME26-000001")


class TestReading:
    async def test_each_side_sees_its_own(self, bills: InvoiceMarket) -> None:
        await bills.issue()
        merchants = (await bills.mia.get(f"{MERCHANT}/invoices/inv_1")).json()
        consumers = (await bills.ann.get(f"{bills.market.consumer}/invoices/inv_1")).json()
        assert merchants.keys() - consumers.keys() == THE_MERCHANTS
        assert (merchants["commission"], merchants["merchant_net"]) == ("10", "90")
        assert {name: merchants[name] for name in consumers} == consumers
        assert (consumers["status"], consumers["open"], consumers["number"]) == ("issued", "119", "ACME26-000001")

    async def test_a_merchant_learns_no_consumers_id(self, bills: InvoiceMarket) -> None:
        for number in range(1, 4):
            await bills.issue(number)
        one = await bills.mia.get(f"{MERCHANT}/invoices/inv_1")
        page = await bills.mia.get(f"{MERCHANT}/invoices", params={"pseudonym": bills.pseudonym, "limit": 2})
        cursor = page.json()["next_cursor"]
        read = base64.urlsafe_b64decode(cursor + "==").decode()
        assert bills.pseudonym in page.text
        assert bills.market.consumer_id not in one.text + page.text + read

    async def test_lists_have_pages_and_filters(self, bills: InvoiceMarket) -> None:
        for number in range(1, 6):
            await bills.issue(number, period=f"2026-0{number}", status="paid" if number == 2 else "issued")
        await bills.issue(9, consumer_id="con_other", pseudonym="cus_other")
        assert await numbers(bills.mia, f"{MERCHANT}/invoices", limit=2) == [9, 5, 4, 3, 2, 1]
        assert await numbers(bills.mia, f"{MERCHANT}/invoices", pseudonym=bills.pseudonym) == [5, 4, 3, 2, 1]
        assert await numbers(bills.mia, f"{MERCHANT}/invoices", pseudonym="cus_nobody") == []
        assert await numbers(bills.mia, f"{MERCHANT}/invoices", status="paid") == [2]
        assert await numbers(bills.mia, f"{MERCHANT}/invoices", period="2026-04", status="issued") == [4]
        own = f"{bills.market.consumer}/invoices"
        assert await numbers(bills.ann, own, limit=2) == [5, 4, 3, 2, 1]
        assert await numbers(bills.ann, own, status="paid") == [2]
        assert await numbers(bills.ann, own, period="2026-03") == [3]

    async def test_admins_see_everybodys(self, bills: InvoiceMarket) -> None:
        await bills.issue(1)
        await bills.issue(2, merchant_id="mer_2", consumer_id="con_2", period="2026-04", status="overdue")
        assert await numbers(bills.root, "/api/v1/admin/invoices", limit=1) == [2, 1]
        assert await numbers(bills.root, "/api/v1/admin/invoices", merchant_id="mer_2") == [2]
        assert await numbers(bills.root, "/api/v1/admin/invoices", consumer_id=bills.market.consumer_id) == [1]
        assert await numbers(bills.root, "/api/v1/admin/invoices", status="overdue") == [2]
        item = (await bills.root.get("/api/v1/admin/invoices", params={"merchant_id": "mer_2"})).json()["items"][0]
        assert (item["consumer_id"], item["commission"]) == ("con_2", "10")
        assert (await bills.root.get("/api/v1/merchants/mer_2/invoices/inv_2")).status_code == 200

    async def test_a_cursor_holds_for_its_own_filters_only(self, bills: InvoiceMarket) -> None:
        await bills.issue(1)
        await bills.issue(2)
        path = f"{MERCHANT}/invoices"
        cursor = (await bills.mia.get(path, params={"limit": 1})).json()["next_cursor"]
        for other in ({"status": "paid"}, {"pseudonym": bills.pseudonym}, {"period": "2026-03"}):
            answer = await bills.mia.get(path, params={"limit": 1, "cursor": cursor, **other})
            assert problem(answer) == (400, "cursor_invalid")

    async def test_anothers_does_not_exist(self, bills: InvoiceMarket) -> None:
        await bills.issue()
        eve = await bills.api.sign_in("Eve")
        await bills.market.merchant("mer_2")
        await eve.runs("mer_2")
        for person, path in (
            (eve, f"{MERCHANT}/invoices/inv_1"),
            (eve, "/api/v1/merchants/mer_2/invoices/inv_1"),
            (eve, f"{bills.market.consumer}/invoices/inv_1"),
            (eve, f"{bills.consumer(eve)}/invoices/inv_1"),
            (eve, f"{bills.consumer(eve)}/invoices/inv_1/credit-notes"),
            (bills.mia, f"{bills.consumer(bills.mia)}/invoices/inv_1"),
        ):
            assert problem(await person.get(path)) == (404, "not_found"), path
        for verb, body in (("void", {"reason": "x"}), ("credit-notes", {"amount": "1", "reason": "x"})):
            answer = await eve.post(f"/api/v1/merchants/mer_2/invoices/inv_1/{verb}", json=body)
            assert problem(answer) == (404, "not_found"), verb
        assert (await bills.read()).status == "issued"


class TestPaying:
    async def test_in_parts(self, bills: InvoiceMarket) -> None:
        await bills.issue()
        first = await bills.pay("19", body={"reference": "SEPA 1"})
        assert (first.status_code, first.json()["status"], first.json()["open"]) == (201, "issued", "100")
        assert await bills.subjects() == []
        last = await bills.pay("100.00")
        assert (last.json()["status"], last.json()["open"], last.json()["paid"]) == ("paid", "0", "119")
        assert last.headers["etag"] == (await bills.mia.get(f"{MERCHANT}/invoices/inv_1")).headers["etag"]
        assert [payment["reference"] for payment in last.json()["payments"]] == ["SEPA 1", ""]
        assert sorted(await bills.subjects()) == [PAID, (str(bills.mia.account.email), PAID[1])], "both sides"
        entries = await bills.audited("invoice.pay")
        assert [(entry["actor"], entry["resource"]) for entry in entries] == [
            (bills.mia.account.id, "invoice:inv_1")
        ] * 2

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"amount": "119.01"}, "amount"),
            ({"amount": "0"}, "amount"),
            ({"amount": "-1"}, "amount"),
            ({"amount": "1.005"}, "amount"),
            ({"amount": "NaN"}, "amount"),
            ({"amount": 12.5}, "amount"),
            ({"amount": "9" * 19}, "amount"),
            ({"received_on": "2999-01-01"}, "received_on"),
            ({"received_on": "2026-02-30"}, "received_on"),
            ({"reference": "x" * 201}, "reference"),
            ({"status": "paid"}, "status"),
            ({"recorded_by": "acc_x"}, "recorded_by"),
        ],
    )
    async def test_what_is_refused(self, bills: InvoiceMarket, body: dict[str, Any], field: str) -> None:
        await bills.issue()
        answer = await bills.pay("1", body=body)
        assert problem(answer) == (400, "request_invalid")
        assert answer.json()["errors"][0]["field"] == field
        assert (await bills.read()).payments == ()

    async def test_yen_have_no_cents(self, bills: InvoiceMarket) -> None:
        await bills.issue(currency="JPY")
        assert problem(await bills.pay("1.5")) == (400, "request_invalid")
        assert (await bills.pay("119")).json()["status"] == "paid"

    async def test_the_same_again_is_recorded_once(self, bills: InvoiceMarket) -> None:
        await bills.issue()
        headers = {"Idempotency-Key": "one"}
        answers = [await bills.pay("19", headers=headers) for _ in range(3)]
        answers += [await bills.pay("50", body={"id": "bank_7"}) for _ in range(3)]
        assert {answer.status_code for answer in answers} == {201}
        assert problem(await bills.pay("51", body={"id": "bank_7"})) == (409, "conflict")
        assert [payment.amount for payment in (await bills.read()).payments] == [Decimal(19), Decimal(50)]

    async def test_a_hundred_at_once_never_pay_too_much(self, bills: InvoiceMarket) -> None:
        await bills.issue()
        answers = await asyncio.gather(*(bills.pay("3") for _ in range(100)))
        statuses = [answer.status_code for answer in answers]
        assert (statuses.count(201), statuses.count(400)) == (39, 61)  # 39 × 3 = 117
        invoice = await bills.read()
        assert (invoice.paid, invoice.status) == (Decimal(117), "issued")

    async def test_both_webhooks_are_told_once(self, bills: InvoiceMarket, receiver: Receiver) -> None:
        await bills.issue()
        for person, home in ((bills.mia, MERCHANT), (bills.ann, bills.market.consumer)):
            made = await person.post(f"{home}/webhooks", json={"url": receiver.url, "events": ["invoice.paid"]})
            assert made.status_code == 201, made.text
        await bills.pay("119")
        assert problem(await bills.pay("1")) == (409, "state_invalid")
        await bills.api.drain()
        events = [json.loads(posted.body) for posted in receiver.requests]
        assert [event["type"] for event in events] == ["invoice.paid"] * 2
        assert {event["data"]["number"] for event in events} == {"ACME26-000001"}
        [to_merchant] = [event for event in events if "pseudonym" in event["data"]]
        assert bills.market.consumer_id not in json.dumps(to_merchant)

    async def test_a_kill_after_the_payment_loses_no_mail(
        self, bills: InvoiceMarket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Killed(BaseException):
            pass

        async def dies(*_: object) -> None:
            raise Killed

        await bills.issue()
        app = bills.api.app
        with monkeypatch.context() as patched:
            patched.setattr(app.audit.journal, "_do_inline", dies)
            with pytest.raises(Killed):
                await bills.pay("119")
        assert (await bills.read()).status == "paid"
        assert await bills.audited("invoice.pay") == []
        bills.api.clock.passes(seconds=FIRST_DUE.total_seconds() + 1)
        await app.audit.journal.deliver_due()
        assert PAID in await bills.subjects()
        assert len(await bills.audited("invoice.pay")) == 1


class TestVoiding:
    async def test_it_keeps_its_number_and_is_told(self, bills: InvoiceMarket) -> None:
        await bills.issue()
        answer = await bills.void()
        assert (answer.status_code, answer.json()["status"], answer.json()["open"]) == (200, "void", "0")
        assert (answer.json()["number"], answer.json()["voided_reason"]) == ("ACME26-000001", "wrong buyer")
        assert await bills.subjects() == [("ann@buyers.example", "Void: invoice ACME26-000001")]
        [entry] = await bills.audited("invoice.void")
        assert (entry["reason"], entry["before"]["status"], entry["after"]["status"]) == (
            "wrong buyer",
            "issued",
            "void",
        )

    @pytest.mark.parametrize("status", ["paid", "void"])
    async def test_only_what_is_unpaid(self, bills: InvoiceMarket, status: str) -> None:
        await bills.issue(status=status)
        answer = await bills.void()
        assert problem(answer) == (409, "state_invalid")
        assert f"is {status} and cannot become void" in answer.json()["detail"]

    async def test_not_once_something_was_paid(self, bills: InvoiceMarket) -> None:
        await bills.issue()
        await bills.pay("1")
        assert problem(await bills.void()) == (409, "state_invalid")

    async def test_a_reason_is_needed(self, bills: InvoiceMarket) -> None:
        await bills.issue()
        for body in ({}, {"reason": ""}, {"reason": " "}, {"reason": "x", "status": "paid"}):
            answer = await bills.mia.post(f"{MERCHANT}/invoices/inv_1/void", json=body)
            assert problem(answer) == (400, "request_invalid"), body

    async def test_paying_and_voiding_at_once_is_one_of_them(self, bills: InvoiceMarket) -> None:
        await bills.issue()
        paid, void = await asyncio.gather(bills.pay("119"), bills.void())
        assert sorted([paid.is_success, void.is_success]) == [False, True]
        invoice = await bills.read()
        assert invoice.status == ("paid" if paid.is_success else "void")
        assert (invoice.paid == 119) is paid.is_success


class TestCrediting:
    async def test_it_lowers_what_is_open(self, bills: InvoiceMarket, stopped: datetime) -> None:
        await bills.issue()
        answer = await bills.credit("11.90")
        note = answer.json()
        assert (answer.status_code, note["number"]) == (201, f"ACME{stopped:%y}C000001")
        assert (note["net"], note["taxes"][0]["amount"], note["total"]) == ("10", "1.9", "11.9")
        assert (await bills.read()).credited == Decimal("11.9")
        own = (await bills.ann.get(f"{bills.market.consumer}/invoices/inv_1/credit-notes")).json()["items"]
        listed = (await bills.mia.get(f"{MERCHANT}/credit-notes")).json()["items"]
        assert own == listed == [note]
        assert bills.market.consumer_id not in answer.text
        assert await bills.subjects() == [("ann@buyers.example", f"Credit note {note['number']}")]
        assert [entry["reason"] for entry in await bills.audited("credit_note.issue")] == ["an outage"]

    async def test_all_of_it_is_paid(self, bills: InvoiceMarket) -> None:
        await bills.issue()
        await bills.pay("19")
        await bills.credit("100")
        invoice = await bills.read()
        assert (invoice.status, invoice.credited, invoice.paid) == ("paid", Decimal(100), Decimal(19))

    async def test_what_was_paid_already_is_credit_for_the_next(self, bills: InvoiceMarket) -> None:
        await bills.issue()
        await bills.pay("119")
        note = (await bills.credit("20")).json()
        stored = await bills.api.app.billing.invoice_store.credit("mer_1", bills.market.consumer_id, "EUR")
        assert stored is not None
        assert [(use.note_number, use.amount) for use in stored.value.left] == [(note["number"], Decimal(20))]

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"amount": "119.01"}, "amount"),
            ({"amount": "0.00"}, "amount"),
            ({"amount": "0.001"}, "amount"),
            ({"reason": ""}, "reason"),
            ({"number": "X"}, "number"),
            ({"net": "1"}, "net"),
        ],
    )
    async def test_what_is_refused(self, bills: InvoiceMarket, body: dict[str, Any], field: str) -> None:
        await bills.issue()
        answer = await bills.credit(**{"amount": "1", **body})
        assert problem(answer) == (400, "request_invalid")
        assert answer.json()["errors"][0]["field"] == field
        assert (await bills.mia.get(f"{MERCHANT}/credit-notes")).json()["items"] == []

    async def test_numbers_have_no_gap_over_all_invoices(self, bills: InvoiceMarket) -> None:
        for number in range(1, 6):
            await bills.issue(number)
        answers = await asyncio.gather(*(bills.credit("40", f"inv_{n % 5 + 1}") for n in range(20)))
        made = [answer.json()["number"] for answer in answers if answer.status_code == 201]
        assert sorted(int(number[-6:]) for number in made) == list(range(1, 11)), "two of each fit in 119"
        assert await numbers(bills.mia, f"{MERCHANT}/credit-notes", limit=3) == list(range(10, 0, -1))

    async def test_a_void_one_takes_none(self, bills: InvoiceMarket) -> None:
        await bills.issue(status="void")
        assert problem(await bills.credit("1")) == (409, "state_invalid")


@pytest.mark.parametrize(
    ("currency", "parts"),
    [("JPY", ("40", "40", "1")), ("EUR", ("39.67", "0.01", "33.34")), ("KWD", ("38.333", "0.001", "38.333"))],
)
async def test_notes_sum_to_the_invoice_in_every_currency(
    bills: InvoiceMarket, currency: str, parts: tuple[str, ...]
) -> None:
    await bills.issue(currency=currency, lines=[make_line("97")])
    total = (await bills.read()).total
    rest = total - sum(Decimal(part) for part in parts)
    for part in (*parts, str(rest)):
        answer = await bills.credit(part)
        assert answer.status_code == 201, answer.text
    invoice = await bills.read()
    assert sum(note.net for note in invoice.notes) == invoice.net
    assert sum(note.taxes[0] for note in invoice.notes) == invoice.taxes[0].amount
    assert (invoice.status, invoice.credited) == ("paid", total)
