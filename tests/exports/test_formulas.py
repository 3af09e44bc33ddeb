"""No cell of a file is taken for a formula, and each comes back as it was."""

from __future__ import annotations

import csv

import pytest

from api.downloads import csv_lines, unescape_formula

FORMULAS = [
    *("=1+1", "+1", "-1", "@SUM(A1)", "＝1+1", "＋1", "－1", "＠x", "﹦1"),
    *("\r=1", "\n=1", "\t=1", " =1", "\u00a0=1", "\u3000＝1", "\u200b=1", "\ufeff=1", "\u202e=1"),
    *("\r", "\nA", "'=1", "''", "'quoted'"),
]
OTHERS = ["", "A", "1", "a=1", "(=1)", '"=1"', "é=", "A'"]


@pytest.mark.parametrize("cell", FORMULAS)
def test_what_a_spreadsheet_takes_for_a_formula_begins_with_an_apostrophe(cell: str) -> None:
    (line,) = csv_lines([["A", cell]])

    _, written = next(csv.reader([line], strict=True))
    assert written == f"'{cell}"
    assert unescape_formula(written) == cell


@pytest.mark.parametrize("cell", OTHERS)
def test_other_cells_are_written_as_they_are(cell: str) -> None:
    (line,) = csv_lines([["A", cell]])

    assert next(csv.reader([line], strict=True)) == ["A", cell]
    assert unescape_formula(cell) == cell
