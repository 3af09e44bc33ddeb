"""EndNote's types of references, in lower case, with their types in CSL-JSON."""

from __future__ import annotations

TYPES = {
    "journal article": "article-journal", "electronic article": "article-journal",
    "magazine article": "article-magazine", "newspaper article": "article-newspaper",
    "book": "book", "edited book": "book", "electronic book": "book", "ebook": "book",
    "book section": "chapter", "electronic book section": "chapter", "serial": "chapter",
    "conference paper": "paper-conference", "conference proceedings": "paper-conference",
    "thesis": "thesis", "report": "report", "government document": "report",
    "web page": "webpage", "blog": "post-weblog", "online database": "webpage",
    "online multimedia": "webpage", "dataset": "dataset", "aggregated database": "dataset",
    "computer program": "software", "patent": "patent", "standard": "standard",
    "statute": "legislation", "bill": "bill", "case": "legal_case",
    "legal rule or regulation": "regulation", "hearing": "hearing", "manuscript": "manuscript",
    "unpublished work": "manuscript", "encyclopedia": "entry-encyclopedia",
    "dictionary": "entry-dictionary", "map": "map", "artwork": "graphic",
    "audiovisual material": "motion_picture", "film or broadcast": "motion_picture",
    "music": "song", "pamphlet": "pamphlet", "personal communication": "personal_communication",
    "interview": "interview", "preprint": "article", "generic": "document",
}  # fmt: skip
