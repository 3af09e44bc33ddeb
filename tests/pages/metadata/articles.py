"""How much is read of real pages of articles: publishers', repositories' and archives' own.

`python -m tests.pages.metadata.articles` fetches them with pip and prints it; `--wrong` adds what
is not as it should be. They are test data of the package papis, whose licence (GPL-3.0-or-later) is
not this project's, so they aren't kept here; nor are its expected values, which are used as they
are but for what stands below.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pages.metadata import identifiers
from pages.metadata.extraction import extract
from tests.pages.metadata.figures import Score, say

PACKAGE, NEWEST, OLDER = "papis", "0.16.1", "0.14"


@dataclass(frozen=True)
class Article:
    """A page by its name in the package, its address, and the date that it shows."""

    name: str
    url: str
    published: str = ""
    # What the page shows where the package expects something else.
    shows: dict[str, Any] = field(default_factory=dict)
    version: str = NEWEST


EUCLID = "https://projecteuclid.org/journals"
ELSEVIER = "https://www.sciencedirect.com/science/article"
# All of the package's pages that are of articles; the others ask whether one is human.
ARTICLES = (
    Article("ACL_2021.naacl-main.208", "https://aclanthology.org/2021.naacl-main.208/", "2021-06"),
    Article("ACL_N04-1001", "https://aclanthology.org/N04-1001/", "2004"),
    Article(
        "APS_PhysRevLett.122.145901",
        "https://journals.aps.org/prl/abstract/10.1103/PhysRevLett.122.145901",
        "2019-04-10",
        version=OLDER,
    ),
    Article(
        "APS_PhysRevX.12.041027",
        "https://journals.aps.org/prx/abstract/10.1103/PhysRevX.12.041027",
        "2022-12-09",
    ),
    Article(
        "APS_RevModPhys.94.045004",
        "https://journals.aps.org/rmp/abstract/10.1103/RevModPhys.94.045004",
        "2022-12-06",
    ),
    Article("Fallback_kobv", "https://opus4.kobv.de/opus4-trr154/frontdoor/index/index/docId/481"),
    Article("Fallback_peerj", "https://peerj.com/articles/4886/", "2018-05-24"),
    Article("HAL_HAL_jpa_00235190", "https://hal.science/jpa-00235190", "1955"),
    # The package takes the DOI of the repository's seal of approval for that of the thesis.
    Article(
        "HAL_THESES_tel_02083632v1",
        "https://theses.hal.science/tel-02083632v1",
        "2015-02-09",
        {"doi": ""},
    ),
    Article(
        "IOPScience_002",
        "https://iopscience.iop.org/article/10.1088/0026-1394/12/4/002",
        "1976-10-01",
    ),
    Article(
        "IOPScience_ab007b",
        "https://iopscience.iop.org/article/10.1088/1748-605X/ab007b",
        "2019-04-15",
    ),
    Article("Lingbuzz_006747", "https://ling.auf.net/lingbuzz/006747", "2025-11"),
    Article("Lingbuzz_008324", "https://lingbuzz.net/lingbuzz/008324", "2024-08"),
    Article("NBER_w29971", "https://www.nber.org/papers/w29971", "2022-04"),
    Article("NBER_w33843", "https://www.nber.org/papers/w33843", "2025-05"),
    Article(
        "ProjectEuclid_00127094_3129809",
        f"{EUCLID}/duke-mathematical-journal/volume-164/issue-13/x/10.1215/00127094-3129809.short",
        "2015-10-01",
    ),
    Article(
        "ProjectEuclid_1391109086",
        f"{EUCLID}/advances-in-differential-equations/volume-19/issue-3_2f_4/x/ade/1391109086.full",
        "2014-03",
    ),
    Article(
        "ScienceDirect_S0009261497040141", f"{ELSEVIER}/abs/pii/S0009261497040141", "1997-10-31"
    ),
    Article("ScienceDirect_S146290112300117X", f"{ELSEVIER}/pii/S146290112300117X", "2023-07"),
    Article(
        "ScienceDirect_S2210271X18305656", f"{ELSEVIER}/abs/pii/S2210271X18305656", "2018-11-15"
    ),
    Article(
        "SpringerLink_BF02727953", "https://link.springer.com/article/10.1007/BF02727953", "1977"
    ),
    Article(
        "SpringerLink_s10924_010_0192_1",
        "https://link.springer.com/article/10.1007/s10924-010-0192-1",
        "2010-09",
    ),
    Article(
        "USENIX_bulekov",
        "https://www.usenix.org/conference/usenixsecurity22/presentation/bulekov",
        "2022",
    ),
    Article("USENIX_goyal", "https://www.usenix.org/conference/nsdi22/presentation/goyal", "2022"),
)


def downloaded(folder: Path, version: str) -> Path:
    """Download a version of the package, and return the folder of its pages."""
    name = f"{PACKAGE}-{version}"
    pip = (sys.executable, "-m", "pip", "download", "-q", "-d", str(folder), "--no-deps")
    subprocess.run([*pip, "--no-binary", PACKAGE, f"{PACKAGE}=={version}"], check=True)
    with tarfile.open(folder / f"{name}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / name / "tests" / "downloaders" / "resources"


def expected(article: Article, given: dict[str, Any]) -> dict[str, Any]:
    """Return the expected values of a page, from the package's expectations."""
    people = [person.partition(", ") for person in given["author"].split(" and ")]
    values = {
        "title": given["title"],
        "authors": [f"{first} {last}" for last, _, first in people],
        "published": article.published,
        "journal": given.get("journal"),
        "volume": given.get("volume"),
        "doi": identifiers.doi(given.get("doi") or ""),
        "isbn": identifiers.isbn(given.get("isbn") or ""),
    }
    return {name: value for name, value in (values | article.shows).items() if value}


def same(name: str, found: Any, shown: Any) -> bool:
    """Return whether a value is right; a date may be less precise than expected."""
    if name == "published":
        return bool(found) and (found.startswith(shown) or shown.startswith(found))
    if name == "authors":
        return list(map(plain, found)) == list(map(plain, shown))
    return plain(found) == plain(shown)


def plain(text: str) -> str:
    """Return a text with kinds of spaces and dots made equal."""
    return " ".join(text.replace(".", " ").split())


def score(places: dict[str, Path]) -> Score:
    """Score the extraction from all articles."""
    total = Score()
    for article in ARTICLES:
        content = (places[article.version] / f"{article.name}.html").read_bytes()
        given = json.loads((places[article.version] / f"{article.name}_Out.json").read_text())
        found = extract(content, charset=None, url=article.url)
        total.add(article.name, found, expected(article, given), same=same)
    return total


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        places = {each: downloaded(Path(folder), each) for each in (NEWEST, OLDER)}
        found = score(places)
    say(f"{len(ARTICLES)} articles")
    found.say(wrong="--wrong" in sys.argv)


if __name__ == "__main__":
    main()
