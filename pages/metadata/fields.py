"""The metadata fields of a page, and the lengths to which texts are cut."""

from __future__ import annotations

from dataclasses import dataclass, field

DESCRIPTION_LENGTH = 2000
SHORT_LENGTH = 300


@dataclass(frozen=True, kw_only=True)
class PageMetadata:
    """The metadata of a page, or of the work on it; unknown fields are empty."""

    title: str = ""
    authors: list[str] = field(default_factory=list)
    description: str = ""
    image: str = ""
    site: str = ""
    published: str = ""  # YYYY, YYYY-MM or YYYY-MM-DD
    modified: str = ""
    journal: str = ""
    publisher: str = ""
    volume: str = ""
    issue: str = ""
    pages: str = ""
    doi: str = ""
    arxiv: str = ""
    pmid: str = ""
    isbn: str = ""
    pdf: str = ""
    canonical: str = ""
    # Whether title, authors and date come from citation_… or Dublin Core: no registry is needed.
    is_reference: bool = False
