"""Invoices as CSV: numbers that add up, in full; text that no spreadsheet runs."""

import csv
import io
from decimal import Decimal

import pytest

from shared.billing.documents.csv import COLUMNS, render_csv, render_note_csv
from tests.support.billing import document_samples as samples
from tests.support.billing.invoice_samples import make_invoice, make_line


def _rows(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def _of(rows: list[dict[str, str]], kind: str) -> list[dict[str, str]]:
    return [row for row in rows if row["kind"] == kind]


@pytest.mark.parametrize("name", samples.ALL)
def test_lines_and_taxes_sum_to_the_totals(name: str) -> None:
    rows = _rows(render_csv(samples.ALL[name]()))
    total = {row["kind"]: Decimal(row["amount"]) for row in rows if row["kind"] not in ("line", "step", "tax")}
    lines, taxes = _of(rows, "line"), _of(rows, "tax")
    assert sum(Decimal(row["amount"]) for row in lines) == total["subtotal"]
    assert sum(Decimal(row["net"]) for row in lines) == total["net"]
    assert total["net"] + sum(Decimal(row["amount"]) for row in taxes) == total["total"]
    assert total["total"] + total.get("credit", Decimal(0)) + total["carried"] == total["amount_due"]


def test_what_a_line_is_made_of() -> None:
    rows = _rows(render_csv(samples.rich()))
    assert [row["kind"] for row in rows[:6]] == ["line", "step", "step", "step", "step", "line"]
    assert (rows[2]["description"], rows[2]["quantity"], rows[2]["unit_price"], rows[2]["exact_amount"]) == (
        "1 to 500,000",
        "500000",
        "0.0004",
        "200",
    )
    assert sum(Decimal(row["exact_amount"]) for row in rows[1:5]) == Decimal(rows[0]["exact_amount"])


def test_small_numbers_have_no_exponent() -> None:
    line = make_line("0", quantity="0.0000001", billed_quantity="0.0000001", amount_exact="0.00000000025", steps=())
    (row,) = _of(_rows(render_csv(make_invoice([line]))), "line")
    assert (row["quantity"], row["exact_amount"], row["amount"]) == ("0.0000001", "0.00000000025", "0.00")


def test_amounts_below_zero_are_numbers() -> None:
    rows = _rows(render_csv(samples.negative()))
    assert [row["amount"] for row in _of(rows, "line")] == ["3.00", "-20.50"]
    assert _of(rows, "line")[1]["corrects"] == "2026-02"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_no_cell_is_a_formula(start: str) -> None:
    formula = f'{start}HYPERLINK("x")'
    line = make_line("1", service_name=formula, description=formula, unit=formula)
    (row,) = _of(_rows(render_csv(make_invoice([line]))), "line")
    assert [row[name] for name in ("service", "description", "unit")] == [f"'{formula}"] * 3
    assert _of(_rows(render_note_csv(samples.note(reason=formula))), "line")[0]["description"] == f"'{formula}"


def test_one_header_and_lines_of_one_width() -> None:
    table = list(csv.reader(io.StringIO(render_csv(samples.hostile()).decode(), newline="")))
    assert tuple(table[0]) == COLUMNS
    assert {len(row) for row in table} == {len(COLUMNS)}


def test_only_the_merchants_tells_of_commission() -> None:
    merchants, buyers = (_rows(render_csv(samples.rich(), merchants_side=side)) for side in (True, False))
    assert {row["kind"] for row in merchants} - {row["kind"] for row in buyers} == {"commission", "merchant_net"}
    assert _of(merchants, "commission")[0]["amount"] == "49.20"
    assert b"con_1" not in render_csv(samples.rich(), merchants_side=True)


def test_a_credit_note() -> None:
    rows = _rows(render_note_csv(samples.note()))
    assert [(row["kind"], row["amount"]) for row in rows] == [
        ("line", "164.01"),
        ("tax", "31.16"),
        ("net", "164.01"),
        ("total", "195.17"),
    ]
    assert {row["invoice_number"] for row in rows} == {"ACME26-000001"}
