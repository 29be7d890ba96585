"""What every PDF has: pages that are numbered, a foot, heads of tables on each page, its own date, attachments."""

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from pypdf import PdfReader
from reportlab.platypus import Flowable, PageBreak, Table

from shared.pdf.document import DocumentInfo, build
from shared.pdf.fonts import block, plain, text

DATED = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def info(**changes: Any) -> DocumentInfo:
    said = {"title": "A title", "author": "Acme", "subject": "Pages", "dated": DATED, "foot": "Acme GmbH, Berlin"}
    return DocumentInfo(**{**said, **changes})


def read(*story: Flowable, **changes: Any) -> PdfReader:
    return PdfReader(io.BytesIO(build(info(**changes), story)))


def pages(*story: Flowable, **changes: Any) -> list[str]:
    return [page.extract_text() for page in read(*story, **changes).pages]


def test_every_page_says_which_of_how_many_it_is_and_has_the_foot() -> None:
    found = pages(text("one"), PageBreak(), text("two"), PageBreak(), text("three"))
    assert len(found) == 3
    for number, (page, word) in enumerate(zip(found, ("one", "two", "three"), strict=True), 1):
        assert word in page
        assert f"Page {number} of 3" in page
        assert "Acme GmbH, Berlin" in page


def test_a_foot_that_is_too_long_is_cut_and_leaves_the_number_its_place() -> None:
    [page] = pages(text("one"), foot="W" * 500)
    assert "WWW…" in page
    assert "W" * 200 not in page
    assert "Page 1 of 1" in page


def test_the_head_of_a_table_is_repeated_on_each_of_its_pages() -> None:
    rows = [[text("Meter"), text("Quantity")], *([text(f"row {number}."), text("1")] for number in range(200))]
    found = pages(Table(rows, repeatRows=1))
    assert len(found) > 2
    assert all(page.count("Meter") == page.count("Quantity") == 1 for page in found)
    assert all("".join(found).count(f"row {number}.") == 1 for number in range(200))


def test_it_says_of_itself_what_it_is_and_when_it_is_dated() -> None:
    reader = read(text("one"), title="Invoice\u202e 1")
    said = reader.metadata
    assert said is not None
    assert (said.title, said.author, said.subject) == ("Invoice� 1", "Acme", "Pages")
    assert said.creation_date == said.modification_date == DATED


def test_equal_input_gives_equal_bytes() -> None:
    def drawn() -> bytes:
        return build(info(attachments={"b.csv": b"2", "a.csv": b"1"}), [text("one"), PageBreak(), text("two")])

    assert drawn() == drawn()


def test_attachments_are_in_it_as_they_are() -> None:
    attached = {"usage.csv": b"id\r\n\0\xff", "empty": b""}
    assert read(text("one"), attachments=attached).attachments == {name: [data] for name, data in attached.items()}
    assert read(text("one")).attachments == {}


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("Żółć Ελλάδα Київ € ₹", "Żółć Ελλάδα Київ € ₹"),
        ("e\u0301", "é"),
        ("a\u202eb\x00c", "a�b�c"),
        ("日本", "��"),
        ("a\tb\u2003c\nd", "a b c\nd"),
    ],
)
def test_what_the_font_lacks_or_nobody_sees_is_shown_as_such(words: str, shown: str) -> None:
    assert plain(words) == shown


def test_words_mean_nothing_but_themselves() -> None:
    [page] = pages(*block("<b>bold</b> & <br/>\n\nsecond line"))
    assert "<b>bold</b> & <br/>" in page
    assert "second line" in page
