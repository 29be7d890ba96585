"""CSV: RFC 4180, no formulas, made while it is sent, and never cut short without a word."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.metering.views import csv_export
from shared.metering.views.csv_export import TRUNCATED, csv_lines


async def rows_of(*rows):
    for row in rows:
        yield row


async def text_of(columns, *rows):
    return b"".join([chunk async for chunk in csv_lines(columns, rows_of(*rows))]).decode()


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
async def test_text_that_a_spreadsheet_takes_for_a_formula_gets_an_apostrophe(start):
    text = await text_of(["a"], {"a": f"{start}cmd|' /C calc'!A0"})
    [_, [cell]] = csv.reader(io.StringIO(text, newline=""))
    assert cell == f"'{start}cmd|' /C calc'!A0"


async def test_numbers_stay_numbers():
    assert await text_of(["a", "b", "c"], {"a": -5, "b": 1.5, "c": None}) == "a,b,c\r\n-5,1.5,\r\n"


async def test_without_rows_there_is_the_header():
    assert await text_of(["a", "b"]) == "a,b\r\n"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20), max_size=5))
def test_any_text_comes_back(cells):
    import asyncio

    text = asyncio.run(text_of(["a", "b"], *({"a": cell, "b": 1} for cell in cells)))
    [header, *read] = csv.reader(io.StringIO(text, newline=""))
    assert header == ["a", "b"]
    unsafe = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
    assert [row[0] for row in read] == [f"'{cell}" if cell.startswith(unsafe) else cell for cell in cells]
    assert [row[1] for row in read] == ["1"] * len(cells)


async def test_the_first_chunk_is_sent_before_the_last_row_is_made():
    made = 0

    async def endless():
        nonlocal made
        while True:
            made += 1
            yield {"a": "x" * 1000}

    lines = csv_lines(["a"], endless())
    first = await anext(lines)
    assert len(first) >= csv_export.CHUNK_CHARACTERS
    assert made < 100  # what fills a chunk, and no more
    assert (await anext(lines)).startswith(b"x")
    await lines.aclose()


async def test_a_file_that_is_cut_short_says_so(monkeypatch):
    monkeypatch.setattr(csv_export, "ROWS_MAX", 2)
    assert await text_of(["a"], {"a": 1}, {"a": 2}) == "a\r\n1\r\n2\r\n"
    text = await text_of(["a"], {"a": 1}, {"a": 2}, {"a": 3})
    assert text == f"a\r\n1\r\n2\r\n{TRUNCATED}\r\n"
