"""The names of metadata fields, in `meta` elements and JSON-LD, by vocabulary."""

from __future__ import annotations

# The `meta` names for each field, the preferred one first.
HIGHWIRE = {
    "title": ("citation_title", "bepress_citation_title", "wkhealth_title"),
    "authors": ("citation_author", "bepress_citation_author"),
    "published": (
        "citation_publication_date", "citation_date", "citation_cover_date",
        "citation_online_date", "bepress_citation_date", "citation_year",
    ),
    "journal": (
        "citation_journal_title", "citation_conference_title", "citation_inbook_title",
        "bepress_citation_journal_title",
    ),
    "publisher": ("citation_publisher", "citation_dissertation_institution"),
    "volume": ("citation_volume",),
    "issue": ("citation_issue",),
    "description": ("citation_abstract",),
    "pdf": ("citation_pdf_url", "bepress_citation_pdf_url"),
    "canonical": ("citation_public_url", "citation_abstract_html_url"),
}  # fmt: skip
# All authors in one value, separated by semicolons.
AUTHOR_LIST: dict[str, tuple[str, ...]] = {"authors": ("citation_authors",)}
DUBLIN_CORE = {
    "title": ("dc.title", "dcterms.title"),
    "authors": ("dc.creator", "dc.creator.personalname", "dcterms.creator", "dc.contributor"),
    "published": (
        "prism.publicationdate", "dc.date.issued", "dcterms.issued", "dc.date", "dcterms.date",
        "dcterms.created",
    ),
    "modified": ("dcterms.modified",),
    "journal": ("prism.publicationname", "dc.source", "dcterms.ispartof"),
    "publisher": ("dc.publisher", "dcterms.publisher"),
    "volume": ("prism.volume",),
    "issue": ("prism.number",),
    "description": ("dc.description", "dcterms.abstract", "dcterms.description"),
}  # fmt: skip
OPEN_GRAPH = {
    "title": ("og:title", "twitter:title"),
    "authors": ("article:author", "og:author", "book:author", "article:author_name"),
    "published": (
        "article:published_time", "og:published_time", "article:published", "book:release_date",
    ),
    "modified": ("article:modified_time", "og:updated_time"),
    "description": ("og:description", "twitter:description"),
    "image": (
        "og:image:secure_url", "og:image", "og:image:url", "twitter:image", "twitter:image:src",
    ),
    "site": ("og:site_name", "application-name"),
    "canonical": ("og:url",),
}  # fmt: skip
PLAIN = {
    "title": ("title", "sailthru.title", "parsely-title", "headline", "hdl"),
    "authors": ("author", "parsely-author", "sailthru.author", "byl", "authors", "dcsext.author"),
    "published": (
        "parsely-pub-date", "pubdate", "publish-date", "sailthru.date", "ptime", "date",
        "publication_date", "publishdate", "publish_date", "article_date_original", "lastmod",
        "datepublished", "dcsext.publishdate", "created",
    ),
    "description": ("description", "sailthru.description"),
}  # fmt: skip
IDENTIFIERS = {
    "doi": (
        "citation_doi", "bepress_citation_doi", "prism.doi", "dc.identifier.doi", "doi",
        "dc.identifier", "dcterms.identifier", "wkhealth_doi", "publication_doi",
        "rft_id", "bibo.doi",
    ),
    "arxiv": ("citation_arxiv_id",),
    "pmid": ("citation_pmid", "ncbi_uid"),
    "isbn": (
        "citation_isbn", "book:isbn", "books:isbn", "og:isbn", "dc.identifier.isbn",
        "dc.identifier",
    ),
}  # fmt: skip
# The JSON-LD keys for each field. If the value is an object, the names of its text follow.
JSON_LD: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "title": (("headline", ()), ("name", ())),
    "published": (("datePublished", ()),),
    "modified": (("dateModified", ()),),
    "image": (("image", ("url", "contentUrl", "@id")),),
    "description": (("description", ()), ("abstract", ())),
    "site": (("publisher", ("name",)),),
    "publisher": (("publisher", ("name",)),),
}
# Fields that are the name of a containing work, and the type of that work.
JSON_LD_WHOLES = {"journal": "Periodical"}
