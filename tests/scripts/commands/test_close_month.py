"""What `scripts/ams close-month` prints of a month."""

from datetime import timedelta

import pytest

from scripts.commands.close_month import Closed, _print
from shared.billing.month_close.models import Close
from shared.billing.profiles.models import BillingProfile
from tests.support.billing.invoice_samples import BUYER, END, SELLER, START, make_invoice, make_line


def _close() -> Close:
    profile = BillingProfile(merchant_id="mer_1", number_prefix="ACME", billing_from=START)
    return Close(
        merchant_id="mer_1",
        period="2026-03",
        start=START,
        end=END,
        time_zone="UTC",
        issued_on="2026-04-02",
        due_on="2026-05-02",
        financial_year="26",
        commission_percent="0",
        seller=SELLER,
        profile=profile,
        status="done",
        begun_at=END + timedelta(days=1),
    )


def test_every_currency_has_its_own_count_and_total(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Totals of two currencies are not added, nor are their invoices counted twice."""
    monkeypatch.setenv("COLUMNS", "80")
    pseudonym = f"cus_{'a' * 26}"  # consumers who gave no name are billed by it
    buyer = BUYER.model_copy(update={"name": pseudonym})
    euros = [
        make_invoice([make_line("100")], buyer=buyer),
        make_invoice([make_line("1.5")], buyer=buyer, number="ACME26-000002"),
    ]
    yen = make_invoice([make_line("1999")], currency="JPY", buyer=buyer, number="ACME26-000003")
    _print([Closed(_close(), [*euros, yen])])
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in printed if " in total" in line] == [
        "2 invoices, 120.79 EUR in total",
        "1 invoice, 2379 JPY in total",
    ]
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed if "ACME26-" in line]
    assert rows == [
        ["ACME26-000001", pseudonym, "1", "119.00", "119.00"],
        ["ACME26-000002", pseudonym, "1", "1.79", "1.79"],
        ["ACME26-000003", pseudonym, "1", "2379", "2379"],
    ], "nothing is cut on a terminal of 80 columns"
