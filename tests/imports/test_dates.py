"""Dates of references: as exact as they are written, and never more."""

from __future__ import annotations

import pytest

from imports.files.fields.dates import date_of

DATES = {
    "2019": [2019],
    "2019-05": [2019, 5],
    "2019-05-07": [2019, 5, 7],
    "2019-05-07T10:11:12Z": [2019, 5, 7],
    "20190507": [2019, 5, 7],
    "2019-05/2019-06": [2019, 5],
    "2019-05-07/2019-05-09": [2019, 5, 7],
    "2019/2020": [2019],
    "2019/": [2019],
    "2019/..": [2019],
    "2010-04/2010-06": [2010, 4],
    "1999-2001": [1999],
    "1999--2001": [1999],
    "2008-1012": [2008],
    "2004-06~": [2004, 6],
    "2004?": [2004],
    "2004-06?/2004-08": [2004, 6],
    "2004-XX-XX": [2004],
    "2001-21": [2001],
    "c. 1850": [1850],
    "ca. 1850": [1850],
    "[1850]": [1850],
    "©1998": [1998],
    "2019/03/12/": [2019, 3, 12],
    "2019/03//": [2019, 3],
    "2019///": [2019],
    "2019///Spring": [2019],
    "2019 May 7": [2019, 5, 7],
    "2019 May-Jun": [2019, 5],
    "2019 Spring": [2019],
    "May 7, 2019": [2019, 5, 7],
    "7th of May 2019": [2019, 5, 7],
    "7 mai 2019": [2019, 5, 7],
    "1er août 2019": [2019, 8, 1],
    "März 2019": [2019, 3],
    "Sept. 2019": [2019, 9],
    "7.5.2019": [2019, 5, 7],
    "05/23/2019": [2019, 5, 23],
    "05/06/2019": [2019],
    "05/2019": [2019, 5],
    "Out of print since 2019": [2019],
    "2019-02-31": [2019, 2, 31],
    "199X": None,
    "19--": None,
    "-0043": None,
    "n.d.": None,
    "in press": None,
    "03/12": None,
    "": None,
}


@pytest.mark.parametrize(("text", "parts"), DATES.items())
def test_a_date_is_as_exact_as_it_is_written(text: str, parts: list[int] | None) -> None:
    assert date_of(text) == ({"date-parts": [parts]} if parts else None)


@pytest.mark.parametrize(
    ("month", "parts"),
    [
        ("5", [2019, 5]),
        ("05", [2019, 5]),
        ("may", [2019, 5]),
        ("May", [2019, 5]),
        ("MAY.", [2019, 5]),
        ("May--June", [2019, 5]),
        ("may/jun", [2019, 5]),
        ("7~may", [2019, 5, 7]),
        ("May 7", [2019, 5, 7]),
        ("7. Mai", [2019, 5, 7]),
        ("5-6", [2019, 5]),
        ("13", [2019]),
        ("Spring", [2019]),
    ],
)
def test_a_month_beside_a_year_comes_in_all_spellings(month: str, parts: list[int]) -> None:
    assert date_of("2019", month) == {"date-parts": [parts]}


def test_a_day_beside_a_month_is_the_days() -> None:
    assert date_of("2019", "5", "7") == {"date-parts": [[2019, 5, 7]]}
    assert date_of("2019", "", "7") == {"date-parts": [[2019]]}
    assert date_of("2019-05-06", "", "7") == {"date-parts": [[2019, 5, 6]]}
