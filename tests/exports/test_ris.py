"""RIS that goes out is read alike by another reader of RIS."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
import rispy

from cards.models import Card
from exports.entries import Entry
from exports.formats.ris import _record


def read(reference: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return what the other reader finds in the record of a card."""
    card = Card(id=UUID(int=1), type="REFERENCE", reference=reference, **fields)
    # Many readers end a line at any of these characters.
    (found,) = rispy.loads("\n".join(_record(Entry(card, {})).splitlines()))
    return dict(found)


def test_a_paper() -> None:
    found = read(
        {
            "type": "article-journal",
            "title": "On reading",
            "container-title": "The Journal",
            "author": [
                {"family": "Beethoven", "given": "Ludwig", "non-dropping-particle": "van"},
                {"literal": "CERN"},
            ],
            "issued": {"date-parts": [[2004, 7]]},
            "volume": "3",
            "issue": "2",
            "page": "1-9",
            "DOI": "10.1000/abc",
            "ISSN": "1234-5679",
            "PMID": "12345",
        },
        tags=["one", "two; three"],
        text="Mine",
    )

    assert (
        found
        | {
            "type_of_reference": "JOUR",
            "title": "On reading",
            "secondary_title": "The Journal",
            "authors": ["van Beethoven, Ludwig", "CERN"],
            "year": "2004",
            "date": "2004/07",
            "volume": "3",
            "number": "2",
            "start_page": "1",
            "end_page": "9",
            "doi": "10.1000/abc",
            "issn": "1234-5679",
            "accession_number": "12345",
            "keywords": ["one", "two; three"],
            "notes": ["Mine"],
        }
        == found
    )


def test_numbers_serials_and_conferences() -> None:
    report = read({"type": "report", "title": "R", "number": "TR-1", "ISBN": "9783161484100"})
    paper = read(
        {"type": "paper-conference", "title": "P", "container-title": "Proc.", "event-title": "X"}
    )

    assert (report["type_of_reference"], report["number"]) == ("RPRT", "TR-1")
    assert report["issn"] == "9783161484100"
    assert (paper["secondary_title"], paper["custom3"]) == ("X", "Proc.")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\x0b", "\u2028"])
def test_several_lines_never_look_like_a_tag(end: str) -> None:
    text = end.join(["One", "TI  - two", "  three"])
    found = read({"type": "book", "title": "B"}, text=text, tags=[])

    assert found["title"] == "B"
    assert [" ".join(note.split()) for note in found["notes"]] == ["One", "TI - two", "three"]
