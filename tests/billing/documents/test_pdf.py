"""Invoices on paper: the same bytes always, every amount with its sign, people's text as it is, nothing apart that
belongs together."""

import io
import subprocess
import sys
from decimal import Decimal
from typing import Literal

import pytest
from pypdf import PdfReader
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase.pdfmetrics import stringWidth

from shared.billing.documents.credit_note_pdf import render_note_pdf
from shared.billing.documents.figures import money, number
from shared.billing.documents.invoice_pdf import render_pdf
from shared.billing.documents.json import render_json
from shared.billing.invoices.models import CreditUse, Invoice, Payment
from shared.billing.tax.models import Party
from shared.pdf.fonts import plain, style, text
from tests.support.billing import document_samples as samples
from tests.support.billing.invoice_samples import make_invoice, make_line

AT_ANOTHER_TIME = """
import sys, time, hashlib
time.time = lambda: {moment}
from shared.billing.documents.credit_note_pdf import render_note_pdf
from shared.billing.documents.invoice_pdf import render_pdf
from tests.support.billing import document_samples as samples
pdfs = [render_pdf(make(), samples.logo()) for make in samples.ALL.values()] + [render_note_pdf(samples.note(), None)]
print(hashlib.sha256(b"".join(pdfs)).hexdigest())
"""


def _pages(pdf: bytes) -> list[str]:
    with PdfReader(io.BytesIO(pdf)) as reader:
        return ["\n".join(map(str.strip, page.extract_text().splitlines())) for page in reader.pages]


def _text(pdf: bytes) -> str:
    return "\n".join(_pages(pdf))


def test_other_processes_at_other_times_draw_the_same_bytes() -> None:
    drawn = []
    for moment, seed, zone in ((0, "1", "UTC"), (1_900_000_000, "2", "Asia/Tokyo")):
        done = subprocess.run(
            [sys.executable, "-c", AT_ANOTHER_TIME.format(moment=moment)],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": seed, "TZ": zone, "PYTHONPATH": "."},
        )
        drawn.append(done.stdout)
    assert drawn[0] == drawn[1]
    assert len(drawn[0].strip()) == 64


@pytest.mark.parametrize("name", samples.ALL)
def test_every_sample_is_drawn_and_can_be_read(name: str) -> None:
    invoice = samples.ALL[name]()
    printed = _text(render_pdf(invoice, None))
    assert invoice.number in printed
    assert f"{invoice.currency} {money(invoice.amount_due, invoice.currency)}" in printed
    assert "\ufffe" not in printed


def test_amounts_below_zero_have_their_sign() -> None:
    """Discount, correction, credit: each lowers what is due, and says so."""
    printed = _text(render_pdf(samples.rich(), None))
    for words in ("Discount\n-38.75", "-84 requests", "-4.20", "-100.00", "Credit from ACME26C000007\n-50.00"):
        assert words in printed
    carried = _text(render_pdf(samples.negative(), None))
    for words in ("-20.50", "Total\n-20.83", "Carried to your next invoice\n20.83", "Amount due\nEUR 0.00"):
        assert words in carried


def test_what_people_wrote_is_text() -> None:
    printed = _text(render_pdf(samples.hostile(), None))
    assert '<b>&amp;"/><script>=1+1</scri' in printed.replace("\n", "")
    assert "漢" not in printed
    assert "�" in printed


def test_letters_that_the_font_has_not_are_seen_to_be_missing() -> None:
    assert plain("Ärger Ωμ Жук ₹€₽") == "Ärger Ωμ Жук ₹€₽"
    assert plain("漢🙂") == "��"
    assert plain("a\u202eb\u200bc\x00") == "a�b�c�"
    assert plain("e\u0301\tx\ny") == "é x\ny"


def test_letters_and_signs_of_three_scripts_are_embedded() -> None:
    pdf = render_pdf(samples.foreign(), None)
    printed = _text(pdf)
    for words in ("ООО «Ромашка» & Ελληνικά Α.Ε.", "₹₽₴₺₩¥£₫₦₱₪₸₿€", "Запросы к API · Κλήσεις"):
        assert words in printed
    with PdfReader(io.BytesIO(pdf)) as reader:
        fonts = [font.get_object() for page in reader.pages for font in page["/Resources"]["/Font"].values()]  # type: ignore[index]
    assert {font["/BaseFont"].partition("+")[2] for font in fonts} == {"NotoSans-Regular", "NotoSans-Bold"}
    assert all("/FontFile2" in font["/FontDescriptor"] for font in fonts)


@pytest.mark.parametrize("width", [40, 74, 130, 270])
@pytest.mark.parametrize("look", [style(), style(16, bold=True), style(7.5, right=True)])
def test_nothing_runs_out_of_its_column(width: int, look: ParagraphStyle) -> None:
    for words in (
        samples.HOSTILE,
        "W" * 200,
        f"a {samples.HOSTILE} {'W' * 90} <b>{'W' * 90}</b>",
        "aa bb <" + "W" * 60,
    ):
        paragraph = text(words, look)
        paragraph.wrap(width, 10_000)
        lines = [" ".join(found) for _, found in paragraph.blPara.lines]
        assert "".join(lines).replace(" ", "") == plain(words).replace(" ", "")
        assert max(stringWidth(line, look.fontName, look.fontSize) for line in lines) < width + 1


def test_hundreds_of_lines_go_over_pages() -> None:
    pages = _pages(render_pdf(samples.many(), None))
    assert len(pages) > 5
    for at, page in enumerate(pages, 1):
        assert f"Page {at} of {len(pages)}" in page
        assert "Unit price" in page  # the table's head


@pytest.mark.parametrize("count", range(20, 48))
def test_totals_are_never_alone_on_a_page(count: int) -> None:
    """Wherever the page ends, the last line comes along."""
    lines = [make_line(f"{at}.25", charge_id=f"c{at}", description=f"Charge {at:03d}") for at in range(1, count + 1)]
    pages = _pages(render_pdf(make_invoice(lines), None))
    page = next(page for page in pages if "\nNet\n" in page)
    assert f"Charge {count:03d}" in page
    assert "Amount due" in page[page.index("\nNet\n") :]


def test_what_a_line_is_made_of_stays_with_it() -> None:
    for page in _pages(render_pdf(samples.many(), None)):
        assert page.count("Geocoding calls") == page.count("above 500,000") == page.count("Discount\n")


@pytest.mark.parametrize("count", [5, 60, 150])
def test_credit_of_many_notes(count: int) -> None:
    credit = [CreditUse(note_number=f"ACME26C{at:06d}", amount=Decimal("0.01")) for at in range(count)]
    printed = _text(render_pdf(make_invoice([make_line("100")], credit=credit), None))
    assert f"ACME26C{count - 1:06d}" in printed


def test_the_largest_amounts_fit() -> None:
    printed = _text(render_pdf(make_invoice([make_line("999999999999999")], currency="EUR"), None))
    assert "1,189,999,999,999,998.81" in printed.replace("\n", "")


def test_names_and_addresses_as_long_as_they_may_be() -> None:
    """Over a page: whoever writes so has an invoice all the same, and so has the merchant."""
    invoice = samples.longest()
    for pages in (
        _pages(render_pdf(invoice, samples.logo(), merchants_side=True)),
        _pages(render_note_pdf(samples.note(invoice), None)),
    ):
        words = "".join("".join(pages).split())
        assert words.count(samples.LAST) == 2, "the end of both addresses is there"
    assert f"C{len(invoice.lines[0].steps)}" in "".join(_pages(render_pdf(invoice, None)))


def test_yen_have_no_digits_after_the_point() -> None:
    printed = _text(render_pdf(samples.yen(), None))
    assert "JPY 2,379" in printed
    assert "2,379.0" not in printed


def test_a_tax_without_a_rate_says_why() -> None:
    printed = _text(render_pdf(samples.reverse_charged(), None)).replace("\n", " ")
    assert "Reverse charge, on 250.00" in printed
    assert "the buyer accounts for VAT" in printed
    assert "ATU13585627" in printed


def test_an_indian_invoice_names_what_the_law_wants_named() -> None:
    printed = _text(render_pdf(samples.foreign(), None)).splitlines()
    assert "Tax invoice" in printed
    assert "GSTIN 27AAPFU0939F1ZV" in printed
    assert "Place of supply Maharashtra (27)" in printed


@pytest.mark.parametrize(
    ("region", "state"), [("Goa", "Goa (30)"), ("IN-AN", "Andaman and Nicobar Islands (35)"), ("", "Maharashtra (27)")]
)
def test_the_place_of_supply_is_the_buyers(region: str, state: str) -> None:
    invoice = samples.foreign()
    assert invoice.buyer.address is not None
    there = Party(name="Ann", address=invoice.buyer.address.model_copy(update={"region": region}))
    assert f"Place of supply {state}" in _text(render_pdf(invoice.model_copy(update={"buyer": there}), None))


def test_only_gst_makes_a_tax_invoice_and_only_indias_has_a_place_of_supply() -> None:
    printed = _text(render_pdf(samples.reverse_charged(), None))
    assert "Invoice" in printed.splitlines()
    assert "Place of supply" not in printed
    assert "VAT id ATU13585627" in printed


def test_what_the_file_says_of_itself() -> None:
    with PdfReader(io.BytesIO(render_pdf(samples.rich(), None))) as reader:
        about, root = reader.metadata, reader.trailer["/Root"]
        assert about is not None
        assert (about.title, about.author, about.subject) == ("Invoice ACME26-000001", "Acme GmbH", "2026-03, EUR")
        assert str(about.creation_date) == "2026-04-02 00:00:00+00:00"
        assert root["/Lang"] == "en"  # type: ignore[index]
        assert root["/ViewerPreferences"]["/DisplayDocTitle"]  # type: ignore[index]


def test_it_carries_what_it_was_made_of() -> None:
    invoice, logo = samples.rich(), samples.logo()
    with PdfReader(io.BytesIO(render_pdf(invoice, logo))) as reader:
        assert dict(reader.attachments) == {"invoice.json": [render_json(invoice)], "logo": [logo]}


def test_only_the_merchants_tells_of_commission() -> None:
    merchants, buyers = (_text(render_pdf(samples.rich(), None, merchants_side=side)) for side in (True, False))
    assert "Commission, 10 % of 492.03\n-49.20" in merchants
    assert "EUR 442.83" in merchants
    for secret in ("ommission", "442.83", "49.20"):
        assert secret not in buyers


def test_payments_change_no_document() -> None:
    before = samples.rich()
    payment = Payment.model_validate(
        {
            "id": "pay_1",
            "amount": "535.52",
            "received_on": "2026-04-20",
            "recorded_at": "2026-04-20T10:00:00Z",
            "recorded_by": "acc_1",
        }
    )
    after = before.model_copy(
        update={"status": "paid", "paid": Decimal("535.52"), "payments": (payment,), "voided_reason": "no"}
    )
    assert render_pdf(after, None) == render_pdf(before, None)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_logos_of_every_kind(kind: Literal["PNG", "JPEG", "WEBP"]) -> None:
    with PdfReader(io.BytesIO(render_pdf(samples.rich(), samples.logo(kind)))) as reader:
        assert len(reader.pages[0].images) == 1


@pytest.mark.parametrize("logo", [b"", b"<svg/>", b"\x89PNG\r\n\x1a\n broken", samples.logo()[:200]])
def test_a_logo_that_is_none_is_left_out(logo: bytes) -> None:
    pdf = render_pdf(samples.rich(), logo)
    assert pdf == render_pdf(samples.rich(), None)


def test_a_draft_says_so() -> None:
    draft = Invoice.model_validate({**make_invoice().model_dump(), "number": ""})
    assert "draft" in _text(render_pdf(draft, None))


def test_numbers() -> None:
    assert number(Decimal("-0.5"), 2) == "-0.50"
    assert number(Decimal("1234567.8901234567891")) == "1,234,567.890123456789"
    assert number(Decimal("1E-7")) == "0.0000001"
    assert number(Decimal("1E+6")) == "1,000,000"
    assert money(Decimal("-1234.5"), "EUR") == "-1,234.50"
    assert money(Decimal("-0.4"), "JPY") == "0"


def test_a_credit_note() -> None:
    """Of which invoice, why, how much; with its own attachment and without the consumer's id."""
    pdf = render_note_pdf(samples.note(), samples.logo())
    printed = _text(pdf)
    for words in (
        "Credit note",
        "ACME26C000001",
        "Half a day without service",
        "EUR 195.17",
        "VAT 19 % of 164.01",
        "ACME26-000001, 2026-04-02",
    ):
        assert words in printed
    with PdfReader(io.BytesIO(pdf)) as reader:
        assert set(reader.attachments) == {"credit-note.json", "logo"}
        assert b"con_1" not in reader.attachments["credit-note.json"][0]
