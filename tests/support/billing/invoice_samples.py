"""Invoices made by hand, for their documents."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from shared.billing.invoices.models import CreditUse, Invoice, Line, StepRow
from shared.billing.invoices.totals import commission_of, total_up
from shared.billing.tax.models import Party, TaxRegistration
from shared.billing.tax.rules import tax_lines, treatment
from shared.billing.usage.models import DayUsage, RecordsProof
from shared.catalog.models import Address
from shared.kernel.money import ZERO, round_money

START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
BERLIN = Address(lines=("Hauptstr. 1",), city="Berlin", postal_code="10115", country="DE")
SELLER = Party(
    name="Acme GmbH",
    address=BERLIN,
    registrations=(TaxRegistration(country="DE", kind="vat", number="DE136695976", percent=Decimal(19)),),
)
INDIAN_SELLER = Party(
    name="Ahoy Pvt Ltd",
    address=Address(lines=("Fort",), city="Mumbai", region="Maharashtra", country="IN"),
    registrations=(TaxRegistration(country="IN", kind="in_gst", number="27AAPFU0939F1ZV", percent=Decimal(18)),),
)
BUYER = Party(name="Globex AG", address=Address(lines=("Ring 7",), city="Köln", postal_code="50667", country="DE"))


def make_line(amount: str, *, discount: str = "0", top_up: str = "0", **changes: Any) -> Line:
    net = Decimal(amount) - Decimal(discount) + Decimal(top_up)
    step = StepRow(label="units", quantity=abs(Decimal(amount)), unit_price=Decimal(1), amount=Decimal(amount))
    fields: dict[str, Any] = {
        "service_id": "svc_maps",
        "service_name": "Maps",
        "plan_number": 1,
        "charge_id": "calls",
        "description": "API calls",
        "metric": "requests",
        "unit": "",
        "start": START,
        "end": END,
        "quantity": amount,
        "billed_quantity": amount,
        "amount_exact": amount,
        "amount": amount,
        "discount": discount,
        "top_up": top_up,
        "net": net,
        "steps": (step,),
    }
    return Line.model_validate({**fields, **changes})


def make_invoice(
    lines: Sequence[Line] = (),
    seller: Party = SELLER,
    buyer: Party = BUYER,
    currency: str = "EUR",
    credit: Sequence[CreditUse] = (),
    **changes: Any,
) -> Invoice:
    lines = tuple(lines or [make_line("100")])
    net = sum((line.net for line in lines), ZERO)
    taxes = tax_lines(treatment(seller, buyer), net, currency)
    totals = total_up(lines, taxes, credit, currency)
    commission = commission_of(net, Decimal(10), currency)
    proof = RecordsProof(
        period="2026-03",
        service_ids=("svc_maps",),
        start=START,
        end=END,
        time_zone="UTC",
        count=1234,
        sha256="5f" * 32,
    )
    fields: dict[str, Any] = {
        "id": "inv_1",
        "number": "ACME26-000001",
        "merchant_id": "mer_1",
        "consumer_id": "con_1",
        "pseudonym": "cus_abc",
        "currency": currency,
        "period": "2026-03",
        "start": START,
        "end": END,
        "time_zone": "UTC",
        "issued_on": "2026-04-02",
        "due_on": "2026-05-02",
        "seller": seller,
        "buyer": buyer,
        "lines": lines,
        "taxes": taxes,
        "commission_percent": Decimal(10),
        "commission": commission,
        "merchant_net": round_money(net, currency) - commission,
        "payment_details": "IBAN DE02 1203 0000 0000 2020 51",
        "days": tuple(DayUsage(day=f"2026-03-{day:02d}", requests=day * day % 97) for day in range(1, 32)),
        "records": (proof,),
        **totals._asdict(),
    }
    return Invoice.model_validate({**fields, **changes})
