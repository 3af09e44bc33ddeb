"""Tables that map the types and fields of BibTeX and biblatex to CSL-JSON."""

from __future__ import annotations

from cards.references import VISIBILITY

TYPES = {
    "article": "article-journal", "suppperiodical": "article-journal", "review": "review",
    "periodical": "periodical", "newspaper": "article-newspaper", "magazine": "article-magazine",
    "book": "book", "mvbook": "book", "collection": "book", "mvcollection": "book",
    "proceedings": "book", "mvproceedings": "book", "reference": "book", "mvreference": "book",
    "booklet": "pamphlet", "inbook": "chapter", "bookinbook": "chapter", "suppbook": "chapter",
    "incollection": "chapter", "suppcollection": "chapter", "inreference": "entry-encyclopedia",
    "inproceedings": "paper-conference", "conference": "paper-conference", "manual": "report",
    "techreport": "report", "report": "report", "mastersthesis": "thesis", "phdthesis": "thesis",
    "thesis": "thesis", "unpublished": "manuscript", "online": "webpage", "www": "webpage",
    "electronic": "webpage", "dataset": "dataset", "software": "software", "patent": "patent",
    "standard": "standard", "jurisdiction": "legal_case", "legislation": "legislation",
    "legal": "legislation", "letter": "personal_communication", "artwork": "graphic",
    "image": "graphic", "audio": "song", "music": "song", "movie": "motion_picture",
    "video": "motion_picture", "performance": "performance",
}  # fmt: skip
# Values of `entrysubtype`, besides the types of CSL.
SUBTYPES = {"magazine": "article-magazine", "newspaper": "article-newspaper"}
GENRES = {"phdthesis": "PhD thesis", "mastersthesis": "Master's thesis"}
# biblatex's keywords for a genre, which it prints in the document's language.
GENRE_WORDS = {
    "phdthesis": "PhD thesis", "mathesis": "Master's thesis", "mastersthesis": "Master's thesis",
    "bathesis": "Bachelor's thesis", "candthesis": "Candidate thesis",
    "techreport": "Technical report", "resreport": "Research report", "patent": "Patent",
}  # fmt: skip
# Types whose `number` is that of an issue. Elsewhere it numbers the work itself.
WITH_ISSUES = {"article", "periodical", "suppperiodical", "review", "newspaper", "magazine"}
# CSL fields with their BibTeX fields, best first.
FIELDS = {
    "collection-title": ("series",),
    "publisher": ("publisher", "school", "institution", "organization"),
    "publisher-place": ("address", "location"),
    "volume": ("volume",),
    "edition": ("edition",),
    "page": ("pages", "eid", "article-number", "art_number"),
    "ISBN": ("isbn",),
    "ISSN": ("issn",),
    "PMID": ("pmid",),
    "language": ("language", "langid"),
    "genre": ("type",),
    "note": ("note", "addendum"),
    "abstract": ("abstract",),
    "event-title": ("eventtitle",),
}  # fmt: skip
# Title fields, each with its subtitle field.
TITLES = {
    "title": (("title", "subtitle"),),
    "container-title": (
        ("journaltitle", "journalsubtitle"), ("journal", "journalsubtitle"),
        ("booktitle", "booksubtitle"), ("maintitle", "mainsubtitle"),
        ("shortjournal", ""),
    ),
}  # fmt: skip
PEOPLE = {
    "author": ("author",),
    "editor": ("editor", "editora"),
    "translator": ("translator",),
}  # fmt: skip
TEXTS = {
    *(name for names in FIELDS.values() for name in names),
    *(name for titles in TITLES.values() for pair in titles for name in pair if name),
    "annote", "annotation", "comment", "review", "date", "year", "month", "day",
    "number", "issue",
}  # fmt: skip
# Keyword fields: the owner's, the publisher's, Mendeley's, Scopus's.
KEYWORDS = ("keywords", "keyword", "mendeley-tags", "author_keywords")
# Visibility fields: Commonplace's own, and common names for such a field.
MARKS = (VISIBILITY, "visibility", "private", "public", "shared", "hidden", "unlisted")
# Fields for the date of adding: BibDesk's, JabRef's.
ADDED = ("date-added", "creationdate", "timestamp")
KNOWN_FIELDS = {
    *TEXTS, *(name for names in PEOPLE.values() for name in names), "doi", "url", "howpublished",
    "eprint", "eprinttype", "archiveprefix", "crossref", "xdata", "entrysubtype", VISIBILITY,
    *KEYWORDS, *ADDED, *MARKS,
}  # fmt: skip
