"""BibTeX as programs and people write it, with its right values."""

from __future__ import annotations

import time
from typing import Any

import pytest

from imports.files.documents import Document
from imports.files.formats import rows
from imports.files.formats.bibtex.latex import decoded, verbatim
from imports.files.formats.bibtex.people import people_of
from imports.files.items import Item, Problem, Row


def read(text: str | bytes) -> list[Row]:
    """Return the rows of a file of BibTeX."""
    content = text if isinstance(text, bytes) else text.encode()
    return list(rows(Document(content), "bibtex")[1])


def items(text: str | bytes) -> list[Item]:
    found = read(text)
    assert not [row for row in found if isinstance(row, Problem)]
    return [row for row in found if isinstance(row, Item)]


def reference(text: str) -> dict[str, Any]:
    (item,) = items(text)
    return {**item.reference, "URL": item.url, "text": item.text, "tags": item.tags}


TEXTS = {
    r"50% of R\&D & x_y #1 a^b {\'e}": "50% of R&D & x_y #1 a^b é",
    r"R&amp;D": "R&D",
    r"Di\-vi\-sion~of words": "Division of words",
    r"R\&amp;D": "R&amp;D",
    r"Costs $5 and $10 {\'e}": "Costs $5 and $10 é",
    r"\LaTeX{} and {\TeX}": "LaTeX and TeX",
    r"\textbf{B}old \emph{a {b} c} {{Two} Braces}": "Bold a b c Two Braces",
    r"\v{S}kr\'abek, \o, {\aa}, {\L}\'od\'z, na\"{\i}ve": "Škrábek, ø, å, Łódź, naïve",
    r"a~b --- c -- d ``e''": "a b — c – d “e”",
    r"\href{http://example.org/a_b}{text} at \url{http://example.org/a%20b}": (
        "text at http://example.org/a%20b"
    ),
    r"Cu$_2$O, H$_{2}$O, 10$^{-3}$, $\alpha$-decay": "Cu₂O, H₂O, 10⁻³, α-decay",
    r"$\mathrm{Ca}^{2+}$, \(\beta\), \ensuremath{\gamma}, $30^\circ$C": "Ca²⁺, β, γ, 30°C",
    r"$\mathcal{O}(n^2)$, H\textsubscript{2}O, 10\textsuperscript{th}": "O(n²), H₂O, 10th",
    # What plain text cannot say stays as it is.
    r"$\frac{1}{2}$, $x_{i,j}$, $\bar{B}$ {\'e}": r"$\frac{1}{2}$, $x_{i,j}$, $\bar{B}$ é",
}


@pytest.mark.parametrize(("latex", "text"), TEXTS.items())
def test_the_text_of_latex_loses_nothing(latex: str, text: str) -> None:
    assert decoded(latex) == text


ADDRESSES = {
    r"https://example.org/a{\_}b\_c": "https://example.org/a_b_c",
    r"{https://example.org/a\%20b{\%}2Fc}": "https://example.org/a%20b%2Fc",
    r"\url{https://example.org/a?x=1\&y=2\#z}": "https://example.org/a?x=1&y=2#z",
    r"\href{https://example.org/a}{here}": "https://example.org/a",
    r"https://example.org/{\~{}}a/$\sim$b/\textasciitilde{}c": "https://example.org/~a/~b/~c",
    r"10.1002/x17$<$1661::AID{\textgreater}3.0": "10.1002/x17<1661::AID>3.0",
}


@pytest.mark.parametrize(("latex", "address"), ADDRESSES.items())
def test_an_address_is_read_without_its_latex(latex: str, address: str) -> None:
    assert verbatim(latex) == address


@pytest.mark.parametrize(
    ("written", "doi"),
    [
        ("{10.1000/AbC}", "10.1000/AbC"),
        ("https://doi.org/10.1000/abc.", "10.1000/abc"),
        ("doi:10.1000/abc", "10.1000/abc"),
        (r"10.1000{\%}2FABC{\_}1", "10.1000/ABC_1"),
        ("10.1000/a(1)b", "10.1000/a(1)b"),
        ("(10.1000/abc)", "10.1000/abc"),
        ("10.1000.10/abc", "10.1000.10/abc"),
        ("none", None),
    ],
)
def test_a_doi_is_read_without_what_is_around_it(written: str, doi: str | None) -> None:
    assert reference(f"@misc{{a, title={{T}}, doi={{{written}}}}}").get("DOI") == doi


PEOPLE: dict[str, list[dict[str, str]]] = {
    "Doe, Jane and others": [{"family": "Doe", "given": "Jane"}],
    "Doe, Jane and et al.": [{"family": "Doe", "given": "Jane"}],
    "Doe, Jane AND Roe, Bob": [
        {"family": "Doe", "given": "Jane"},
        {"family": "Roe", "given": "Bob"},
    ],
    "Doe, J.; Roe, B.": [{"family": "Doe", "given": "J."}, {"family": "Roe", "given": "B."}],
    "{Doe, Jane and Roe, Bob}": [
        {"family": "Doe", "given": "Jane"},
        {"family": "Roe", "given": "Bob"},
    ],
    "{Barnes and Noble, Inc.} and {CERN}": [
        {"literal": "Barnes and Noble, Inc."},
        {"literal": "CERN"},
    ],
    "{Bill and Melinda Gates Foundation}": [{"literal": "Bill and Melinda Gates Foundation"}],
    "Ludwig van Beethoven": [
        {"family": "Beethoven", "given": "Ludwig", "non-dropping-particle": "van"}
    ],
    'von M{\\"u}ller, Jr, Ann': [
        {"family": "Müller", "given": "Ann", "suffix": "Jr", "non-dropping-particle": "von"}
    ],
    "King, Martin Luther, Jr.": [{"family": "King", "given": "Martin Luther", "suffix": "Jr."}],
    "family=Hasselblad, given={Hans, P.}, prefix=von, useprefix=true and Roe, Ann": [
        {"family": "Hasselblad", "given": "Hans, P.", "non-dropping-particle": "von"},
        {"family": "Roe", "given": "Ann"},
    ],
    "{\\'E}mile {\\'A}lvarez": [{"family": "Álvarez", "given": "Émile"}],
    "Aristotle": [{"family": "Aristotle"}],
    "": [],
}


@pytest.mark.parametrize(("names", "people"), PEOPLE.items())
def test_a_list_of_names_becomes_people(names: str, people: list[dict[str, str]]) -> None:
    assert people_of(names) == people


CHILD = "@inproceedings{c, title={Paper}, crossref={P}, pages={3--4}}\n"
PROCEEDINGS = """@proceedings{p, title={Proc.}, subtitle={Of X}, editor={Roe, Ann},
 publisher={Press}, year=2004, doi={10.1000/whole}, url={http://example.org/whole},
 crossref={c}}
"""


@pytest.mark.parametrize("text", [CHILD + PROCEEDINGS, PROCEEDINGS + CHILD])
def test_a_paper_inherits_from_its_proceedings_wherever_they_stand(text: str) -> None:
    child, parent = sorted(items(text), key=lambda item: item.title)

    assert child.reference == {
        "type": "paper-conference",
        "title": "Paper",
        "container-title": "Proc.: Of X",
        "editor": [{"family": "Roe", "given": "Ann"}],
        "publisher": "Press",
        "page": "3-4",
        "issued": {"date-parts": [[2004]]},
    }
    assert (child.url, parent.title) == ("", "Proc.: Of X")


def test_what_an_entry_has_itself_is_not_inherited() -> None:
    child, _ = items(
        "@article{c, title={T}, date={2001-02}, crossref={p}, publisher={Own}}"
        "\n@periodical{p, title={The Journal}, year=1999, month=3, issn={1234-5679}, publisher={X}}"
    )

    assert child.reference["container-title"] == "The Journal"
    assert child.reference["issued"] == {"date-parts": [[2001, 2]]}
    assert (child.reference["ISSN"], child.reference["publisher"]) == ("1234-5679", "Own")


def test_data_that_entries_share_is_no_reference_itself() -> None:
    (item,) = items(
        "@xdata{a, publisher={Press}, xdata={b}}\n@xdata{b, location={Rome}, xdata={a}}"
        "\n@book{c, title={T}, xdata={a, none}}"
    )

    assert (item.reference["publisher"], item.reference["publisher-place"]) == ("Press", "Rome")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("article", {"type": "article-journal", "issue": "7", "number": None}),
        ("techreport", {"type": "report", "issue": None, "number": "7"}),
        ("report", {"type": "report", "number": "7"}),
        ("patent", {"type": "patent", "number": "7"}),
        ("standard", {"type": "standard", "number": "7"}),
        ("phdthesis", {"type": "thesis", "genre": "PhD thesis", "number": "7"}),
        ("mastersthesis", {"type": "thesis", "genre": "Master's thesis"}),
        ("incollection", {"type": "chapter", "number": "7", "issue": None}),
        ("mvbook", {"type": "book", "number": "7"}),
        ("inreference", {"type": "entry-encyclopedia"}),
        ("online", {"type": "webpage"}),
        ("SomethingElse", {"type": "document", "number": "7"}),
    ],
)
def test_types_and_numbers(kind: str, expected: dict[str, Any]) -> None:
    found = reference(f"@{kind}{{a, title={{T}}, number={{7}}}}")

    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    "entry",
    [
        "@book{\n title = {T}, year = 2001}",
        "@book{, title = {T}, year = 2001}",
        "@book{O'Neil et al. 2001: a (b), title = {T}, year = 2001}",
        "@book{köy/§:1, title = {T}, year = 2001}",
        "@book(key, title = {T}, year = 2001)",
        "@BOOK {key,title={T},year={2001}}",
        "@book{key, title = {T},, year = 2001,}",
        "@book{key,\n title = {T}\n year = {2001}\n}",
        '@book{key, title = "T", title = {T again}, year = {{2001}}}',
        '@book{key, title = "" # {T}, year = 20 # "01"}',
        "junk\n@comment{x}\n@preamble{ {\\newcommand{\\x}{}} }\n@book{k, title={T}, year=2001}\n}",
    ],
)
def test_entries_are_read_however_they_are_written(entry: str) -> None:
    found = reference(entry)

    assert (found["title"], found["issued"]) == ("T", {"date-parts": [[2001]]})


def test_keywords_notes_and_addresses() -> None:
    found = reference(
        r"""@misc{a, title={T}, keywords={one, with comma; two}, annote={Mine}, file={:a.pdf:PDF},
        abstract={Of 50% and more}, note={Accessed at \url{https://example.org/a_b}.}}"""
    )

    assert [tag.strip() for tag in found["tags"]] == ["one, with comma", "two"]
    assert (found["text"], found["abstract"]) == ("Mine", "Of 50% and more")
    assert found["URL"] == "https://example.org/a_b"
    assert [tag.strip() for tag in reference("@misc{a, title={T}, keywords={b, c}}")["tags"]] == [
        "b",
        "c",
    ]


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ("eprint={1706.03762v2}, archivePrefix={arXiv}", "https://arxiv.org/abs/1706.03762v2"),
        ("eprint={arXiv:math/0309136}, eprinttype=arxiv", "https://arxiv.org/abs/math/0309136"),
        ("journal={arXiv preprint arXiv:1706.03762}", "https://arxiv.org/abs/1706.03762"),
        ("howpublished={\\url{https://example.org/}}", "https://example.org/"),
        ("url={www.example.org/a}", "http://www.example.org/a"),
        ("eprint={12345678}, eprinttype={pubmed}", "https://pubmed.ncbi.nlm.nih.gov/12345678/"),
        ("url={https://example.org/\n   a/b}", "https://example.org/a/b"),
        ("url={https%3A%2F%2Fexample.org%2Fa}", "https://example.org/a"),
        ("url={ftp://example.org/a}", ""),
    ],
)
def test_the_address_of_an_entry(fields: str, url: str) -> None:
    found = reference(f"@article{{a, title={{T}}, {fields}}}")

    assert found["URL"] == url
    if not url:
        assert found["note"] == "ftp://example.org/a"


def test_a_file_says_its_encoding_in_a_comment() -> None:
    text = "% Encoding: ISO8859_2\n@book{a, title={Łódź}}"

    assert items(text.encode("iso8859-2"))[0].title == "Łódź"
    assert items("@book{a, title={Zürich}}".encode("cp1252"))[0].title == "Zürich"


HOSTILE = {
    "braces in braces": "@book{a, title={" + "{" * 40_000 + "}" * 40_000 + "}}",
    "an entry that never closes": "@book{a, title={" + "x{" * 40_000,
    "many entries that never close": "@book{a, title={\n" * 5_000,
    "quotes": '@book{a, title="' + '{"}' * 30_000 + '"}',
    "joined": "@book{a, title=" + "#".join(['"a"'] * 20_000) + "}",
    "macros that double": "@string{a0 = {xx}}\n"
    + "".join(f"@string{{a{n + 1} = a{n} # a{n}}}\n" for n in range(60))
    + "@book{k, title=a60}",
    "formulas": "@book{a, title={" + "$a " * 6_000 + "}}",
    "backslashes": "@book{a, title={" + "\\" * 19_990 + "x}}",
    "names": "@book{a, author={" + "a and " * 16_000 + "}}",
    "commas": "@book{a, author={" + "," * 90_000 + "}, title={T}}",
    "fields": "@book{a" + ", b=1" * 19_000 + "}",
    "parents in a circle": "".join(
        f"@book{{a{n}, title={{T}}, crossref={{a{(n + 1) % 500}}},"
        f" xdata={{{','.join(f'a{m}' for m in range(500))}}}}}\n"
        for n in range(500)
    ),
    "at signs": "@" * 50_000 + "\n@book{a, title={T}}",
    "spaces": "@book{a, title={T}," + " " * 90_000 + "}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_takes_no_longer_than_it_is_long(name: str) -> None:
    began = time.process_time()

    found = read(HOSTILE[name])

    assert found
    assert time.process_time() - began < 5
