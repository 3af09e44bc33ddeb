"""BibTeX that goes out is read alike by all who read BibTeX."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cards.models import Card
from exports.entries import Entry
from exports.formats.bibtex import _entry, escaped, protected
from imports.files.formats.bibtex.latex import decoded
from imports.files.items import clean, one_line

CLASSIC = {
    "article", "book", "booklet", "inbook", "incollection", "inproceedings", "manual",
    "mastersthesis", "misc", "phdthesis", "proceedings", "techreport", "unpublished",
}  # fmt: skip
PAPER: dict[str, Any] = {
    "type": "article-journal",
    "title": "On DNA & RNA {sic} in Paris: 100% iPhone_x",
    "container-title": "Journal of R&D",
    "author": [
        {"family": "Müller", "given": "Ann Marie"},
        {"family": "Beethoven", "given": "Ludwig", "non-dropping-particle": "van"},
        {"family": "de la Cruz", "given": "Ana"},
        {"family": "King", "given": "Martin", "suffix": "Jr."},
        {"literal": "Barnes and Noble, Inc."},
        {"family": "Aristotle"},
    ],
    "issued": {"date-parts": [[2020, 3, 7]]},
    "volume": "12",
    "issue": "3",
    "page": "100-110",
    "DOI": "10.1000/182(x)_y%3C",
}


def bibtex(reference: dict[str, Any], number: int = 1, **fields: Any) -> str:
    """Return the entry of a card."""
    title = reference.get("title", "")
    card = Card(
        id=UUID(int=number), type="REFERENCE", title=title, reference=reference, tags=[], **fields
    )
    return _entry(Entry(card, {}))


def fields_of(entry: str) -> dict[str, str]:
    lines = (line.strip().rstrip(",") for line in entry.splitlines()[1:] if " = " in line)
    return dict(line.split(" = ", 1) for line in lines)


@pytest.mark.parametrize(
    ("csl", "kind", "fields"),
    [
        ({"type": "report", "number": "TR-1", "publisher": "I"}, "techreport",
         {"number": "{TR-1}", "institution": "{I}"}),
        ({"type": "thesis", "publisher": "U", "genre": "PhD thesis"}, "phdthesis",
         {"school": "{U}"}),
        ({"type": "thesis", "genre": "Master's thesis"}, "mastersthesis", {}),
        ({"type": "webpage"}, "misc", {"entrysubtype": "{webpage}"}),
        ({"type": "software"}, "misc", {"entrysubtype": "{software}"}),
        ({"type": "article-newspaper"}, "article", {"entrysubtype": "{newspaper}"}),
        ({"type": "chapter", "container-title": "A B"}, "incollection", {"booktitle": "{A {B}}"}),
        ({"type": "article-journal", "issue": "3"}, "article", {"number": "{3}"}),
        ({"type": "something-else"}, "misc", {}),
    ],
)  # fmt: skip
def test_types_are_those_of_bibtex_itself(csl: Any, kind: str, fields: Any) -> None:
    entry = bibtex({"title": "T", **csl})

    assert entry.startswith(f"@{kind}{{")
    assert kind in CLASSIC
    assert fields.items() <= fields_of(entry).items()


def test_dates_stand_in_year_and_month_and_in_date() -> None:
    def dated(*parts: int) -> dict[str, str]:
        found = fields_of(bibtex({"type": "book", "title": "T", "issued": {"date-parts": [parts]}}))
        return {name: text for name, text in found.items() if name in ("year", "month", "date")}

    assert dated(2020, 3, 7) == {"year": "{2020}", "month": "mar", "date": "{2020-03-07}"}
    assert dated(2020, 12) == {"year": "{2020}", "month": "dec", "date": "{2020-12}"}
    assert dated(800) == {"year": "{0800}", "date": "{0800}"}


def test_addresses_and_dois_have_no_escapes() -> None:
    url = "https://example.org/a_b%20c?x=1&y={2}#z"

    found = fields_of(bibtex({"type": "webpage", "title": "T", "DOI": "10.1000/a_b"}, link=url))

    assert found["doi"] == "{10.1000/a_b}"
    assert found["url"] == "{https://example.org/a_b%20c?x=1&y=%7B2%7D#z}"
    assert found["howpublished"] == r"{\url{https://example.org/a_b%20c?x=1&y=%7B2%7D#z}}"


@pytest.mark.parametrize(
    ("title", "written"),
    [
        ("On DNA in Paris", "On {DNA} in {Paris}"),
        ("DNA of McDonald", "{DNA} of {McDonald}"),
        ("An iPhone & R&D", r"An {iPhone} \& {R\&D}"),
        ("the &A team", r"the {{\&A}} team"),
        ("all small", "all small"),
        ("Érudits à Évian", "Érudits à {Évian}"),
    ],
)
def test_styles_must_not_write_names_small(title: str, written: str) -> None:
    assert protected(title) == written


TEXTS = st.text(alphabet="abÄZ &%$#_{}~^\\-`'\"<>,;:.\n@()[]|!?/=+*0é漢", max_size=30)


@given(TEXTS)
def test_any_text_comes_back_and_its_braces_match(text: str) -> None:
    text = clean(text)
    for write in (escaped, protected):
        written = write(text)

        assert one_line(decoded(written)) == one_line(text)
        # BibTeX counts them whatever stands before them.
        begins = [written[:end] for end in range(len(written))]
        assert all(begin.count("{") >= begin.count("}") for begin in begins)
        assert written.count("{") == written.count("}")


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not shutil.which(program), reason=f"{program} is not installed")


@needs("pandoc")
def test_pandoc_reads_what_was_written() -> None:
    done = subprocess.run(
        ["pandoc", "--from", "bibtex", "--to", "csljson"],
        input=bibtex(PAPER),
        capture_output=True,
        text=True,
        check=True,
    )

    (found,) = json.loads(done.stdout)
    names = ("title", "type", "container-title", "issued", "issue", "page", "DOI")
    assert {name: found[name] for name in names} == {name: PAPER[name] for name in names}
    assert [each.get("family") or each["literal"] for each in found["author"]] == [
        "Müller", "Beethoven", "Cruz", "King", "Barnes and Noble, Inc.", "Aristotle",
    ]  # fmt: skip


@needs("bibtex")
def test_bibtex_itself_reads_what_was_written(tmp_path: Path) -> None:
    report = {"type": "report", "title": "R of NASA", "number": "TR-1", "publisher": "I"}
    author = {"author": [{"family": "Doe", "given": "J."}], "issued": {"date-parts": [[2001]]}}
    (tmp_path / "a.bib").write_text(bibtex(PAPER) + bibtex(report | author, number=2))
    (tmp_path / "a.aux").write_text("\\citation{*}\n\\bibdata{a}\n\\bibstyle{plain}\n")

    done = subprocess.run(["bibtex", "a"], cwd=tmp_path, capture_output=True, text=True, check=True)

    printed = " ".join((tmp_path / "a.bbl").read_text().split())
    assert "arning" not in done.stdout
    assert r"On {DNA} \& {RNA} \{sic\} in {Paris:} 100\% {iPhone\_x}" in printed
    assert "12(3):100--110, March 2020" in printed
    assert "Technical Report TR-1, I, 2001" in printed


def test_pybtex_reads_what_was_written() -> None:
    from pybtex.database import parse_string

    keyed = bibtex(PAPER) + bibtex({"type": "webpage", "title": "W"}, number=2, link="https://a.b/")

    entries = list(parse_string(keyed, "bibtex").entries.values())

    paper, page = entries
    assert (paper.type, page.type) == ("article", "misc")
    names = [" ".join([*each.prelast_names, *each.last_names]) for each in paper.persons["author"]]
    assert names == [
        "Müller", "van Beethoven", "{de la Cruz}", "King", "{Barnes and Noble, Inc.}",
        "{Aristotle}",
    ]  # fmt: skip
    assert {name: paper.fields[name] for name in ("year", "month", "date", "pages", "number")} == {
        "year": "2020",
        "month": "March",
        "date": "2020-03-07",
        "pages": "100--110",
        "number": "3",
    }
    assert page.fields["url"] == "https://a.b/"
