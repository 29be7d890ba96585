"""Reading an invoice back from its file: what was changed on the page, or in what the page was drawn from, is found."""

import io
from pathlib import Path

import pytest
from pypdf import PdfWriter

from shared.billing.documents.credit_note_pdf import render_note_pdf
from shared.billing.documents.invoice_pdf import render_pdf
from shared.billing.documents.json import parse_json, render_json
from shared.billing.verification.reading import InvoiceUnreadable, open_invoice
from tests.support.billing import document_samples as samples


def _file(folder: Path, data: bytes) -> Path:
    path = folder / "file"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", samples.ALL)
@pytest.mark.parametrize("merchants_side", [True, False])
def test_an_untouched_file_says_the_same_twice(tmp_path: Path, name: str, merchants_side: bool) -> None:
    invoice = samples.ALL[name]()
    opened = open_invoice(_file(tmp_path, render_pdf(invoice, samples.logo(), merchants_side=merchants_side)))
    assert opened.differences == ()
    assert opened.invoice == parse_json(render_json(invoice, merchants_side=merchants_side))


def test_json_opens_too(tmp_path: Path) -> None:
    assert open_invoice(_file(tmp_path, render_json(samples.rich()))).invoice.number == "ACME26-000001"


def _redrawn(pdf: bytes, before: bytes, after: bytes) -> bytes:
    """The same file with other marks on its pages."""
    writer, found = PdfWriter(clone_from=io.BytesIO(pdf)), 0
    for page in writer.pages:
        contents = page.get_contents()
        assert contents is not None
        data = contents.get_data()
        found += data.count(before)
        contents.set_data(data.replace(before, after))
        page[next(key for key in page if key == "/Contents")] = writer._add_object(contents)
    assert found, "nothing was changed"
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_a_mark_that_was_changed_on_the_page_is_found(tmp_path: Path) -> None:
    pdf = render_pdf(samples.rich(), None)
    (difference,) = open_invoice(_file(tmp_path, _redrawn(pdf, b" re ", b" re  "))).differences
    assert "bytes" in difference.where


def test_a_total_that_was_changed_in_the_attachment_is_found(tmp_path: Path) -> None:
    """Drawn again from what it now says, the page would be another."""
    real, forged = samples.rich(), samples.rich(payment_details="IBAN of a thief")
    pdf = render_pdf(real, None)
    writer = PdfWriter(clone_from=io.BytesIO(pdf))
    writer.root_object.pop("/Names")
    writer.add_attachment("invoice.json", render_json(forged))
    out = io.BytesIO()
    writer.write(out)
    (difference,) = open_invoice(_file(tmp_path, out.getvalue())).differences
    assert "printed line" in difference.where
    assert "thief" in difference.computed


@pytest.mark.parametrize(
    "data",
    [b"", b"%PDF-1.4 broken", b"{}", b"[1]", b'{"lines": 1}', b"\x00\xff", render_note_pdf(samples.note(), None)],
)
def test_what_is_no_invoice_is_said_to_be_none(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InvoiceUnreadable):
        open_invoice(_file(tmp_path, data))
