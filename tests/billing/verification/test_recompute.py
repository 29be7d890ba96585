"""Computing an invoice again from its records: what was changed in either is found, and named."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.billing.documents.json import render_json
from shared.billing.usage.proofs import proven_records
from shared.billing.usage.records import RecordsError, export_csv
from shared.billing.verification.reading import InvoiceUnreadable, open_invoice
from shared.billing.verification.recompute import verify_invoice
from tests.support.billing.books import open_books
from tests.support.market import PER_REQUEST

UNPROVEN = {
    "id",
    "number",
    "issued_on",
    "due_on",
    "merchant_id",
    "name",
    "Hauptstr. ",
    "postal_code",
    "pseudonym",
    "created_at",
    "effective_from",
}
"""What no record tells (docs/verify-invoice.md)."""


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    """`invoice.json` and `records.csv` of a month that was closed, and `others.csv` of the month after."""
    books = await open_books(tmp_path / "books", {**PER_REQUEST, "unit_price": "7.25"})
    await books.use(12, "2026-03-10", status_code=200)
    await books.use(3, "2026-04-10")
    books.time.moment = books.time.moment.replace(month=5)
    assert await books.closer.run() == 2
    for invoice, name in zip(await books.invoices(), ("records", "others"), strict=True):
        [proof] = invoice.records
        consumer = await books.access.consumer("con_1")
        assert consumer is not None
        pieces = [piece async for piece in export_csv(proven_records(books.documents, consumer, proof))]
        (tmp_path / f"{name}.csv").write_bytes(b"".join(pieces))
    invoice, _ = await books.invoices()
    (tmp_path / "invoice.json").write_bytes(render_json(invoice))
    (tmp_path / "statement.json").write_bytes(render_json(invoice, merchants_side=True))
    yield tmp_path
    await books.journal.drain()
    await books.embedded.close()


def _found(folder: Path, records: str = "records.csv", invoice: str = "invoice.json") -> str:
    opened = open_invoice(folder / invoice)
    return "\n".join(map(str, verify_invoice(opened.invoice, [folder / records])))


async def test_an_untouched_invoice_is_right(folder: Path) -> None:
    assert _found(folder) == ""
    assert _found(folder, invoice="statement.json") == ""


@pytest.mark.parametrize("name", ["commission", "commission_percent", "merchant_net"])
async def test_the_merchants_side_is_computed_too(folder: Path, name: str) -> None:
    file = folder / "statement.json"
    text = file.read_text()
    file.write_text(re.sub(rf'("{name}": ")[0-9]', r"\g<1>9", text))
    assert file.read_text() != text
    assert "the records say" in _found(folder, invoice="statement.json")


async def test_every_digit_that_the_records_tell_is_held_to_them(folder: Path) -> None:
    file = folder / "invoice.json"
    text = file.read_text()
    missed = set()
    for digit in re.finditer("[0-9]", text):
        at = digit.start()
        file.write_text(f"{text[:at]}{(int(text[at]) + 1) % 10}{text[at + 1 :]}")
        try:
            right = not _found(folder)
        except InvoiceUnreadable:
            continue
        if right:
            missed.add(text[:at].rsplit("\n", 1)[-1].split('"')[1])
    # A plan's own number is on the line that it prices; elsewhere `number` is the invoice's.
    assert missed <= UNPROVEN


async def test_records_that_were_changed_are_named_by_the_lines_that_they_change(folder: Path) -> None:
    records = folder / "records.csv"
    records.write_text(records.read_text().replace(",200,1,", ",200,2,", 1))
    found = _found(folder)
    assert "records of 2026-03, SHA-256: the invoice says" in found
    assert "line 1 (Maps, API calls), quantity: the invoice says 12, the records say 13" in found
    assert "requests on 2026-03-10: the invoice says 12, the records say 13" in found


async def test_a_record_that_was_left_out_is_missed(folder: Path) -> None:
    records = folder / "records.csv"
    records.write_text("".join(records.read_text().splitlines(keepends=True)[:-1]))
    assert "records of 2026-03, count: the invoice says 12, the records say 11" in _found(folder)


async def test_records_of_another_month_are_said_to_be(folder: Path) -> None:
    [found] = _found(folder, "others.csv").splitlines()
    assert found.endswith(", of another month")


@pytest.mark.parametrize("data", [b"", b"id,source\n", b"\xff\xfe\x00", b"%PDF-1.4\n\xe2\xe3", b"\x00"])
async def test_what_is_no_export_is_named(folder: Path, data: bytes) -> None:
    (folder / "garbage.csv").write_bytes(data)
    with pytest.raises(RecordsError, match=r"garbage\.csv is no export of records"):
        _found(folder, "garbage.csv")


@pytest.mark.parametrize(
    ("old", "new"),
    [("2026-03-01T00:00:00Z", "2026-05-01T00:00:00Z"), ("2026-03-01T00:00:00Z", "2026-03-01T00:00:01Z"), ("UTC", "U")],
)
async def test_what_is_no_period_is_said_to_be_none(folder: Path, old: str, new: str) -> None:
    file = folder / "invoice.json"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(InvoiceUnreadable, match="is no period"):
        _found(folder)
