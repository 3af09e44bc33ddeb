"""RIS, MEDLINE, refer and Web of Science's format in the spellings of many programs."""

from __future__ import annotations

import time
from typing import Any

import pytest

from imports.files.documents import Document
from imports.files.formats import rows
from imports.files.items import Item, Problem


def read(text: str) -> tuple[str, list[dict[str, Any]]]:
    """Return the format of a file, and its references with their addresses, texts and tags."""
    known, found = rows(Document(text.encode()))
    items = list(found)
    assert not [row for row in items if isinstance(row, Problem)]
    return known.name, [fields(row) for row in items if isinstance(row, Item)]


def fields(item: Item) -> dict[str, Any]:
    tags = [tag.strip() for tag in item.tags]
    return {**item.reference, "URL": item.url, "text": item.text, "tags": tags}


def ris(lines: str, kind: str = "JOUR") -> dict[str, Any]:
    name, (found,) = read(f"TY  - {kind}\nTI  - T\n{lines}\nER  - \n")
    assert name == "ris"
    return found


def part(found: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: found.get(name) for name in names}


FIRST, SECOND = {"family": "First", "given": "Ann"}, {"family": "Second", "given": "Bob"}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("A1  - First, Ann\nAU  - Second, Bob", {"author": [FIRST, SECOND]}),
        ("AU  - First, Ann\nA1  - Second, Bob", {"author": [FIRST, SECOND]}),
        ("AU  - First, Ann; Second, Bob", {"author": [FIRST, SECOND]}),
        ("AU  - First, Ann\nAU  - et al.", {"author": [FIRST]}),
        ("AU  - CERN", {"author": [{"literal": "CERN"}]}),
        ("A2  - First, Ann\nA3  - Second, Bob", {"editor": [FIRST, SECOND]}),
        ("ED  - First, Ann\nA4  - Second, Bob", {"editor": [FIRST], "translator": [SECOND]}),
        ("JO  - J. F.\nJA  - J F\nJF  - Full Name", {"container-title": "Full Name"}),
        ("JO  - J. F.\nT2  - Full Name", {"container-title": "Full Name"}),
        ("JA  - J. F.", {"container-title": "J. F."}),
        ("SP  - 12-15", {"page": "12-15"}),
        ("SP  - 12-15\nEP  - 15", {"page": "12-15"}),
        ("SP  - 12\nEP  - 15", {"page": "12-15"}),
        ("SP  - 12\nEP  - 12", {"page": "12"}),
        ("SP  - 12 – 15", {"page": "12-15"}),
        ("SP  - e123", {"page": "e123"}),
        ("PY  - 2004", {"issued": {"date-parts": [[2004]]}}),
        ("Y1  - 2019/03/12/", {"issued": {"date-parts": [[2019, 3, 12]]}}),
        ("PY  - 2019///", {"issued": {"date-parts": [[2019]]}}),
        ("PY  - 2019\nDA  - 2019/03/12/", {"issued": {"date-parts": [[2019, 3, 12]]}}),
        ("PY  - 2019\nDA  - 03/12", {"issued": {"date-parts": [[2019]]}}),
        ("PY  - 2019\nDA  - Jul", {"issued": {"date-parts": [[2019]]}}),
        ("PY  - 2004\nDA  - 2020/01/05/", {"issued": {"date-parts": [[2004]]}}),
        ("DA  - 12 March 2019", {"issued": {"date-parts": [[2019, 3, 12]]}}),
        ("DO  - doi:10.1000/AbC", {"DOI": "10.1000/AbC", "URL": "https://doi.org/10.1000/AbC"}),
        ("DO  - https://doi.org/10.1000%2FAbC", {"DOI": "10.1000/AbC"}),
        ("M3  - doi: 10.1000/abc", {"DOI": "10.1000/abc", "genre": None}),
        ("UR  - http://dx.doi.org/10.1000/abc", {"DOI": "10.1000/abc"}),
        (
            "UR  - https://example.org/a\nUR  - https://example.org/b",
            {"URL": "https://example.org/a", "note": "https://example.org/b"},
        ),
        ("L2  - https://example.org/a", {"URL": "https://example.org/a"}),
        ("SN  - 1234-567X (Print) 1234-5678 (Online)", {"ISSN": "1234-567X", "ISBN": None}),
        ("SN  - 1234567X", {"ISSN": "1234567X", "ISBN": None}),
        ("SN  - 978-3-16-148410-0 (pbk.)", {"ISBN": "978-3-16-148410-0", "ISSN": None}),
        ("SN  - 0-8044-2957-X", {"ISBN": "0-8044-2957-X", "ISSN": None}),
        ("SN  - 1234-5679\nSN  - 9783161484100", {"ISSN": "1234-5679", "ISBN": "9783161484100"}),
        ("AB  - One\n  line more\nN1  - A note", {"abstract": "One\nline more", "text": "A note"}),
        ("N2  - One", {"abstract": "One", "text": ""}),
        ("AB  - One\nN2  - Two\nN1  - Three", {"abstract": "One", "text": "Three\nTwo"}),
        ("KW  - one\ntwo\nKW  - three; four", {"tags": ["one", "two", "three; four"]}),
        ("KW  - one; two", {"tags": ["one", "two"]}),
        ("IS  - 7", {"issue": "7", "number": None}),
        ("C8  - x\nZZ  - y", {"title": "T"}),
    ],
)
def test_the_fields_of_ris(lines: str, expected: dict[str, Any]) -> None:
    assert part(ris(lines), *expected) == expected


@pytest.mark.parametrize(
    ("kind", "lines", "expected"),
    [
        ("CHAP", "BT  - The Book", {"type": "chapter", "container-title": "The Book"}),
        (
            "CPAPER",
            "T2  - Conf.\nC3  - Proc.",
            {"container-title": "Proc.", "event-title": "Conf."},
        ),
        ("CONF", "T2  - Proc.", {"type": "paper-conference", "container-title": "Proc."}),
        ("BOOK", "T2  - Series", {"type": "book", "collection-title": "Series"}),
        ("EDBOOK", "AU  - First, Ann", {"editor": [FIRST], "author": None}),
        ("RPRT", "IS  - TR-1", {"number": "TR-1", "issue": None}),
        ("PAT", "M1  - US123", {"number": "US123", "issue": None}),
        ("XYZ", "JF  - J", {"type": "document", "container-title": "J"}),
        ("jour", "JF  - J", {"type": "article-journal"}),
    ],
)
def test_the_types_of_ris(kind: str, lines: str, expected: dict[str, Any]) -> None:
    assert part(ris(lines, kind), *expected) == expected


@pytest.mark.parametrize(
    "text",
    [
        "TY - JOUR\nTI - x\nAU - First, Ann\nER -\n",
        "ty  - JOUR\nti  - x\nau  - First, Ann\ner  - \n",
        "\ufeffTY  - JOUR\r\nTI  - x\r\nAU  - First, Ann\r\nER  -\r\n",
        "TY  - JOUR\nTI  - x\nAU  - First, Ann",
        "Provider: X\nContent: y\n\nTY  -JOUR\nTI  - x\nAU  - First, Ann\n\n\n",
    ],
)
def test_ris_is_read_in_every_spelling(text: str) -> None:
    name, (found,) = read(text)

    assert (name, found["title"], found["author"]) == ("ris", "x", [FIRST])


def test_a_record_of_ris_ends_where_the_next_begins() -> None:
    _, found = read("TY  - JOUR\nTI  - one\nTY  - BOOK\nTI  - two\nER  - \nER  - \n")

    assert [each["title"] for each in found] == ["one", "two"]


def test_a_line_of_an_abstract_that_looks_like_a_tag_is_none() -> None:
    found = ris("AB  - We met\nat - least - once\nGO - on\nKW  - tag")

    assert found["abstract"] == "We met\nat - least - once\nGO - on"
    assert found["tags"] == ["tag"]


def test_pubmed() -> None:
    name, found = read(
        "PMID- 12345678\nOWN - NLM\nIS  - 1234-5678 (Electronic)\nIS  - 0028-0836 (Linking)\n"
        "DP  - 2019 May 7\nTI  - A title that\n      goes on.\nLID - S0(19)1 [pii]\n"
        "AID - 10.1000/abc [doi]\nAB  - WHY: a.\n      HOW: b.\nFAU - Doe, Jane A\nAU  - Doe JA\n"
        "CN  - The Group\nLA  - eng\nJT  - Journal of things\nTA  - J Things\nMH  - Foo/*bar\n"
        "OT  - key one\n\nPMID- 2\nTI  - Second\nAU  - Roe B Jr\nDP  - 2001 Jan-Feb\n"
        "\nPMID- 3\nBTI - A book\nTI  - A chapter\nPB  - P\nPL  - Rome\nISBN- 9783161484100\n"
    )

    one, two, three = found
    assert name == "nbib"
    assert one == {
        "type": "article-journal",
        "title": "A title that goes on",
        "container-title": "Journal of things",
        "author": [{"family": "Doe", "given": "Jane A"}, {"literal": "The Group"}],
        "issued": {"date-parts": [[2019, 5, 7]]},
        "DOI": "10.1000/abc",
        "ISSN": "1234-5678",
        "PMID": "12345678",
        "language": "eng",
        "abstract": "WHY: a. HOW: b.",
        "URL": "https://doi.org/10.1000/abc",
        "text": "",
        "tags": ["Foo/bar", "key one"],
    }
    assert part(two, "author", "issued", "URL") == {
        "author": [{"family": "Roe", "given": "B", "suffix": "Jr"}],
        "issued": {"date-parts": [[2001, 1]]},
        "URL": "https://pubmed.ncbi.nlm.nih.gov/2/",
    }
    assert part(three, "type", "title", "container-title", "publisher-place", "ISBN") == {
        "type": "chapter",
        "title": "A chapter",
        "container-title": "A book",
        "publisher-place": "Rome",
        "ISBN": "9783161484100",
    }


def test_refer_with_types_and_without() -> None:
    name, (report, book) = read(
        "%0 Report\n%A First, Ann\n%T R\n%N TR-1\n%D 2001\n%8 May 7\n%Z One\ntwo\n\n"
        "%0 Edited Book\n%A Second, Bob\n%T B\n%B Series\n%@ 9783161484100\n%U https://example.org/\n"
    )

    assert name == "enw"
    assert part(report, "type", "number", "issued", "text") == {
        "type": "report",
        "number": "TR-1",
        "issued": {"date-parts": [[2001, 5, 7]]},
        "text": "One\ntwo",
    }
    assert part(book, "type", "editor", "author", "collection-title", "ISBN", "URL") == {
        "type": "book",
        "editor": [SECOND],
        "author": None,
        "collection-title": "Series",
        "ISBN": "9783161484100",
        "URL": "https://example.org/",
    }
    name, found = read("%A First, Ann\n%T One\n%J Journal\n\n%A Second, Bob\n%T Two\n%B Book\n")
    assert name == "enw"
    assert [(each["title"], each["type"]) for each in found] == [
        ("One", "article-journal"),
        ("Two", "chapter"),
    ]


def test_web_of_science() -> None:
    name, (one, two) = read(
        "FN Clarivate Analytics Web of Science\nVR 1.0\nPT J\nAU First, A\n   Second, B\n"
        "AF First, Ann\n   Second, Bob\nTI A title that\n   goes on\nSO JOURNAL OF X\n"
        "DT Article; Proceedings Paper\nDE one; two;\n   three\nID FOUR\nSN 1234-5679\n"
        "EI 2234-5679\nPD JUL-AUG\nPY 2019\nAR 55\nDI 10.1000/abc\nER\n\n"
        "PT S\nAU First, A\nBE Second, Bob\nTI T\nSO Proc.\nSE Series\nDT Proceedings Paper\n"
        "PY 2001\nBN 978-3-16-148410-0\nER\n\nEF"
    )

    assert name == "wos"
    assert one == {
        "type": "article-journal",
        "title": "A title that goes on",
        "container-title": "JOURNAL OF X",
        "author": [FIRST, SECOND],
        "issued": {"date-parts": [[2019, 7]]},
        "DOI": "10.1000/abc",
        "ISSN": "1234-5679",
        "page": "55",
        "URL": "https://doi.org/10.1000/abc",
        "text": "",
        "tags": ["one", "two", "three", "FOUR"],
    }
    assert part(two, "type", "editor", "collection-title", "ISBN", "container-title") == {
        "type": "paper-conference",
        "editor": [SECOND],
        "collection-title": "Series",
        "ISBN": "978-3-16-148410-0",
        "container-title": "Proc.",
    }


@pytest.mark.parametrize(
    "text",
    [
        "TY  - JOUR\n" + "AB  - x\n" * 4_000 + "x\n" * 900,
        "TY  - JOUR\nAU  - " + "a " * 200_000,
        "TY  - JOUR\nSP  - " + "-" * 200_000,
        "TY  - JOUR\nSN  - " + "1 " * 200_000,
        "TY  - JOUR\n" * 5_000,
        "PMID- 1\n" * 5_000,
        "%0 Book\n" * 5_000,
        "PT J\n" + "x\n" * 100_000,
        "FN x\nVR 1\nPT J\nTI " + "x\n   " * 4_000,
    ],
)
def test_a_hostile_file_takes_no_longer_than_it_is_long(text: str) -> None:
    began = time.process_time()

    known, found = rows(Document(text.encode()))
    assert list(found)

    assert known.name in ("ris", "nbib", "enw", "wos")
    assert time.process_time() - began < 8
