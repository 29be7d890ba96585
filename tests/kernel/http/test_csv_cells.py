"""What a spreadsheet would take for a formula."""

import pytest

from shared.kernel.http.csv_cells import safe_cell


@pytest.mark.parametrize("formula", ["=cmd()", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "\uff0b1"])
def test_what_is_a_formula_to_a_spreadsheet_gets_an_apostrophe(formula: str) -> None:
    assert safe_cell(formula) == f"'{formula}"


@pytest.mark.parametrize("cell", ["", "a=b", "1-1", "Acme", -1, 0, 1.5, None])
def test_everything_else_stays_as_it_is(cell: object) -> None:
    assert safe_cell(cell) == cell
