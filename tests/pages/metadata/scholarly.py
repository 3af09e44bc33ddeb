"""Articles with the tags that publishers give them, each modelled on one kind of publisher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Article:
    """A page, and what it says."""

    publisher: str
    url: str
    head: str
    expected: dict[str, Any]


def tags(_property: str = "name", **values: Any) -> str:
    """Return `meta` elements: `citation_x`, `dc__x` for `dc.x`, `og___x` for `og:x`."""
    return "\n".join(
        f'<meta {_property}="{name.replace("___", ":").replace("__", ".")}" content="{value}">'
        for name, several in values.items()
        for value in ([several] if isinstance(several, str) else several)
    )


HELIX: dict[str, Any] = {
    "title": "Molecular Structure of Nucleic Acids: A Structure for Deoxyribose Nucleic Acid",
    "authors": ["J. D. Watson", "F. H. C. Crick"],
    "published": "1953-04",
    "journal": "Nature",
    "doi": "10.1038/171737a0",
}
FINDINGS: dict[str, Any] = {
    "title": "Why Most Published Research Findings Are False",
    "authors": ["John P. A. Ioannidis"],
    "published": "2005-08-30",
    "journal": "PLOS Medicine",
    "doi": "10.1371/journal.pmed.0020124",
}
ATTENTION: dict[str, Any] = {
    "title": "Attention Is All You Need",
    "authors": ["Ashish Vaswani", "Noam Shazeer", "Niki Parmar"],
    "published": "2017-06-12",
    "arxiv": "1706.03762",
}
COMMUNICATION: dict[str, Any] = {
    "title": "A Mathematical Theory of Communication",
    "authors": ["C. E. Shannon"],
    "doi": "10.1002/j.1538-7305.1948.tb01338.x",
}
ALGORITHMS: dict[str, Any] = {
    "title": "Introduction to Algorithms",
    "authors": ["Thomas H. Cormen", "Charles E. Leiserson"],
    "isbn": "9780262033848",
}

ARTICLES = (
    Article(
        "a journal with Highwire, Dublin Core, PRISM and OpenGraph",
        "https://www.nature.com/articles/171737a0",
        tags(
            dc__title="Molecular Structure of Nucleic Acids",
            dc__creator=["Watson", "Crick"],
            prism__publicationDate="1953-04-25",
            citation_title=HELIX["title"],
            citation_author=["Watson, J. D.", "Crick, F. H. C."],
            citation_publication_date="1953/04",
            citation_journal_title="Nature",
            citation_volume="171",
            citation_issue="4356",
            citation_firstpage="737",
            citation_lastpage="738",
            citation_doi="doi:10.1038/171737a0",
            citation_pdf_url="/articles/171737a0.pdf",
        )
        + tags("property", og___title="A Structure for DNA | Nature", og___site_name="Nature"),
        HELIX
        | {"volume": "171", "issue": "4356", "pages": "737-738"}
        | {"pdf": "https://www.nature.com/articles/171737a0.pdf", "site": "Nature"},
    ),
    Article(
        "a journal whose DOI is in its address, with its date in American order",
        "https://journals.plos.org/plosmedicine/article?id=10.1371/journal.pmed.0020124",
        tags(
            citation_title=FINDINGS["title"],
            citation_author="John P. A. Ioannidis",
            citation_date="Aug 30, 2005",
            citation_journal_title="PLOS Medicine",
        ),
        FINDINGS,
    ),
    Article(
        "a library of medicine",
        "https://pubmed.ncbi.nlm.nih.gov/16060722/",
        tags(
            citation_title=FINDINGS["title"],
            citation_authors="Ioannidis JP;",
            citation_date="2005 Aug",
            citation_pmid="16060722",
            citation_doi="10.1371/journal.pmed.0020124",
        ),
        {"pmid": "16060722", "doi": FINDINGS["doi"], "title": FINDINGS["title"]}
        | {"authors": ["J. P. Ioannidis"], "published": "2005-08", "is_reference": False},
    ),
    Article(
        "an archive of preprints",
        "https://arxiv.org/abs/1706.03762v7",
        tags(
            citation_title=ATTENTION["title"],
            citation_author=["Vaswani, Ashish", "Shazeer, Noam", "Parmar, Niki"],
            citation_date="2017/06/12",
            citation_online_date="2023/08/02",
            citation_pdf_url="https://arxiv.org/pdf/1706.03762",
            citation_arxiv_id="1706.03762",
        )
        + '<link rel="canonical" href="https://arxiv.org/abs/1706.03762"/>',
        ATTENTION | {"canonical": "https://arxiv.org/abs/1706.03762"},
    ),
    Article(
        "a publisher with Dublin Core alone",
        "https://onlinelibrary.wiley.com/doi/abs/10.1002/j.1538-7305.1948.tb01338.x",
        tags(
            dc__Title="A Mathematical Theory of Communication",
            dc__Creator="Shannon, C. E.",
            dc__Date="1948-07",
            dc__Identifier="10.1002/j.1538-7305.1948.tb01338.x",
        ),
        COMMUNICATION | {"published": "1948-07"},
    ),
    Article(
        "a publisher that turns most away, and has the DOI in the address",
        "https://onlinelibrary.wiley.com/doi/full/10.1002/j.1538-7305.1948.tb01338.x",
        "<title>A Mathematical Theory of Communication - Wiley Online Library</title>"
        + tags("property", og___site_name="Wiley Online Library"),
        {"title": COMMUNICATION["title"], "doi": COMMUNICATION["doi"]},
    ),
    Article(
        "an open journal system",
        "https://journal.example/index.php/j/article/view/1",
        tags(
            DC__Creator__PersonalName=["J. D. Watson", "F. H. C. Crick"],
            DC__Date__issued="1953-04",
            DC__Identifier__DOI="10.1038/171737a0",
            DC__Title=HELIX["title"],
            DC__Source="Nature",
        ),
        HELIX,
    ),
    Article(
        "a repository with JSON-LD",
        "https://repository.example/records/1",
        """<script type="application/ld+json">{"@context": "https://schema.org", "@graph": [
            {"@type": "WebSite", "name": "Repository"},
            {"@type": "ScholarlyArticle",
             "headline": "Why Most Published Research Findings Are False",
             "author": [{"@type": "Person", "givenName": "John P. A.", "familyName": "Ioannidis"}],
             "datePublished": "2005-08-30T00:00:00Z",
             "isPartOf": {"@type": "PublicationIssue", "isPartOf":
                {"@type": "Periodical", "name": "PLOS Medicine"}},
             "identifier": [{"@type": "PropertyValue", "propertyID": "DOI",
                "value": "https://doi.org/10.1371/JOURNAL.PMED.0020124"}]}]}</script>""",
        FINDINGS,
    ),
    Article(
        "an archive that puts its own number behind titles",
        "https://archive.example/papers/006747",
        "<title>The Structure of Scientific Revolutions - papers/006747</title>",
        {"title": "The Structure of Scientific Revolutions"},
    ),
    Article(
        "a page about a book",
        "https://books.example/introduction-to-algorithms",
        tags("property", og___title=ALGORITHMS["title"], book___isbn="0-262-03384-4")
        + tags(author="Thomas H. Cormen, Charles E. Leiserson"),
        ALGORITHMS,
    ),
    Article(
        "a seller of books",
        "https://shop.example/Introduction-Algorithms/dp/0262033844/ref=sr_1_1",
        "<title>Introduction to Algorithms</title>",
        {"title": ALGORITHMS["title"], "isbn": ALGORITHMS["isbn"]},
    ),
)
