"""Invoices as people get them, for their documents: what is long, foreign, negative or missing."""

import io
from decimal import Decimal
from typing import Any, Literal

from PIL import Image, ImageDraw

from shared.billing.invoices.models import CreditNote, CreditUse, Invoice, Line, StepRow
from shared.billing.tax.models import Party
from shared.billing.usage.models import RecordsProof
from shared.catalog.models import Address
from tests.support.billing.invoice_samples import BERLIN, END, INDIAN_SELLER, SELLER, START, make_invoice, make_line

HOSTILE = '<b>&amp;"/><script>=1+1</script> 漢字 🙂 ‮ \x07'
"""Markup, a formula, and characters that the font has not."""


def logo(kind: Literal["PNG", "JPEG", "WEBP"] = "PNG") -> bytes:
    """A wide one, with transparency where the format has it."""
    picture = Image.new("RGBA", (480, 120), (0, 0, 0, 0))
    drawing = ImageDraw.Draw(picture)
    drawing.rounded_rectangle((0, 0, 119, 119), 28, fill=(29, 79, 145, 255))
    drawing.ellipse((30, 30, 89, 89), fill=(255, 255, 255, 255))
    drawing.rectangle((150, 44, 470, 76), fill=(28, 36, 48, 255))
    out = io.BytesIO()
    (picture if kind != "JPEG" else picture.convert("RGB")).save(out, kind)
    return out.getvalue()


def tiered(**changes: Any) -> Line:
    """1,250,000 calls: 100,000 free, then two tiers and a fee; 10 % off."""
    steps = (
        ("free units", "100000", "0", "0"),
        ("1 to 500,000", "500000", "0.0004", "200"),
        ("above 500,000", "650000", "0.00025", "162.5"),
        ("flat fee", None, None, "25"),
    )
    rows = tuple(StepRow.model_validate(dict(zip(StepRow.model_fields, step, strict=True))) for step in steps)
    return make_line(
        "387.5",
        discount="38.75",
        quantity="1250000",
        billed_quantity="1150000",
        steps=rows,
        description="Geocoding calls",
        **changes,
    )


def rich(**changes: Any) -> Invoice:
    """Three services with tiers, a discount, a minimum, a correction of another month, credits and two proofs."""
    traffic = StepRow(
        label="per MB", quantity=Decimal("8123.456789"), unit_price=Decimal("0.012"), amount=Decimal("97.481481468")
    )
    lines = [
        tiered(),
        make_line(
            "97.48",
            service_id="svc_tiles",
            service_name="Vector tiles and satellite imagery",
            description="Traffic",
            metric="data_mb",
            unit="MB",
            quantity="8123.456789",
            billed_quantity="8123.456789",
            steps=(traffic,),
            amount_exact="97.481481468",
        ),
        make_line(
            "12",
            top_up="38",
            service_id="svc_route",
            service_name="Routing",
            description="Routes with traffic",
            quantity="240",
            billed_quantity="240",
            steps=(StepRow(label="per unit", quantity=Decimal(240), unit_price=Decimal("0.05"), amount=Decimal(12)),),
        ),
        make_line(
            "-4.2",
            service_id="svc_route",
            service_name="Routing",
            charge_id="late",
            description="Routes with traffic",
            corrects="2026-02",
            quantity="-84",
            billed_quantity="-84",
            steps=(
                StepRow(label="2026-02, as counted now", quantity=Decimal(1916), amount=Decimal("95.8")),
                StepRow(label="billed before", quantity=Decimal(2000), amount=Decimal(-100)),
            ),
            quantity_before="2000",
            billed_before="100",
        ),
    ]
    proofs = tuple(
        RecordsProof(
            period=period,
            service_ids=("svc_maps",),
            start=START,
            end=END,
            time_zone="Europe/Berlin",
            count=count,
            sha256=digest * 32,
        )
        for period, count, digest in (("2026-02", 812_345, "a1"), ("2026-03", 1_250_240, "5f"))
    )
    known: dict[str, Any] = {
        "records": proofs,
        "footer": "Acme GmbH · Amtsgericht Charlottenburg HRB 123456 · Geschäftsführerin: A. Muster",
        "payment_details": "Please pay by bank transfer in 30 days.\nIBAN DE02 1203 0000 0000 2020 51\nBIC BYLADEM1001",
    }
    credit = [CreditUse(note_number="ACME26C000007", amount=Decimal("50"))]
    return make_invoice(lines, credit=credit, **{**known, **changes})


def many(count: int = 200) -> Invoice:
    """Hundreds of lines: the table goes over many pages."""
    return make_invoice(
        [
            make_line(f"{number}.25", service_name=f"Service {number // 10}", charge_id=f"c{number}")
            if number % 7
            else tiered(service_name=f"Service {number // 10}", charge_id=f"c{number}")
            for number in range(1, count + 1)
        ]
    )


def foreign() -> Invoice:
    """Cyrillic, Greek and rupees; two taxes, digits of a lakh."""
    pune = Address(lines=("Λεωφόρος 5", "офис 12"), city="पुणे Pune", region="Maharashtra", country="IN")
    buyer = Party(name="ООО «Ромашка» & Ελληνικά Α.Ε. ₹₽₴₺₩¥£₫₦₱₪₸₿€", address=pune, tax_id="27AAPFU0939F1ZV")
    line = make_line("1234567.5", description="Запросы к API · Κλήσεις", service_name="Карты")
    return make_invoice([line], seller=INDIAN_SELLER, buyer=buyer, currency="INR")


def yen() -> Invoice:
    return make_invoice([make_line("1999")], currency="JPY")


def negative() -> Invoice:
    """Corrections came to more than what was used: the rest is carried."""
    return make_invoice(
        [make_line("3"), make_line("-20.5", charge_id="late", corrects="2026-02")], payment_details="", days=()
    )


def hostile() -> Invoice:
    """Whatever a person can type, in all that a person can type."""
    address = Address(lines=(HOSTILE,), city=HOSTILE[:40], country="DE")
    long_word = "W" * 180
    return make_invoice(
        [make_line("1", service_name=long_word, description=HOSTILE + long_word, unit=HOSTILE[:20])],
        seller=SELLER.model_copy(update={"name": HOSTILE + long_word[:60], "address": address}),
        buyer=Party(name=long_word, address=address),
        payment_details=HOSTILE + "\n" + long_word,
        footer=HOSTILE,
    )


LAST = "the-last-line"


def longest() -> Invoice:
    """As much as every field takes: more than fits on a page, in what is else kept together."""
    word = "W" * 200
    address = Address(
        lines=(word, word, word, word[:180] + LAST),
        city=word[:100],
        region=word[:100],
        postal_code=word[:20],
        country="DE",
    )
    most = Decimal("9" * 18 + "." + "9" * 12)
    steps = tuple(
        StepRow(label=f"from {most} up to {most} C{number}", quantity=most, unit_price=most, amount=most)
        for number in range(1, 101)
    )
    line = make_line("1", service_name=word, description=word[:120], unit=word[:30], steps=steps)
    return make_invoice(
        [line],
        seller=SELLER.model_copy(update={"name": word, "address": address}),
        buyer=Party(name=word, address=address),
        footer=word * 5,
        payment_details="\n".join("W" * 500),
    )


def reverse_charged() -> Invoice:
    vienna = Address(lines=("Ring 1",), city="Wien", postal_code="1010", country="AT")
    return make_invoice([make_line("250")], buyer=Party(name="Wien GmbH", address=vienna, tax_id="ATU13585627"))


def unregistered() -> Invoice:
    return make_invoice([make_line("10")], seller=Party(name="Small", address=BERLIN))


ALL = {
    "one": make_invoice,
    "rich": rich,
    "many": many,
    "foreign": foreign,
    "yen": yen,
    "negative": negative,
    "hostile": hostile,
    "reverse": reverse_charged,
    "unregistered": unregistered,
}


def note(invoice: Invoice | None = None, **changes: Any) -> CreditNote:
    """Over a third of an invoice."""
    of = invoice or rich()
    net = (of.net / 3).quantize(Decimal("0.01"))
    taxes = tuple(
        tax.model_copy(update={"taxable": net, "amount": (tax.amount / 3).quantize(Decimal("0.01"))})
        for tax in of.taxes
    )
    fields: dict[str, Any] = {
        "id": "crn_1",
        "number": "ACME26C000001",
        "invoice_id": of.id,
        "invoice_number": of.number,
        "invoice_issued_on": of.issued_on,
        "merchant_id": of.merchant_id,
        "consumer_id": of.consumer_id,
        "pseudonym": of.pseudonym,
        "currency": of.currency,
        "issued_on": "2026-04-20",
        "reason": "Half a day without service on 12 March.",
        "net": net,
        "taxes": taxes,
        "total": net + sum((tax.amount for tax in taxes), Decimal(0)),
        "seller": of.seller,
        "buyer": of.buyer,
    }
    return CreditNote.model_validate({**fields, **changes})
