"""BibTeX that BibTeX itself, biber, pandoc, pybtex and Zotero read alike.

Types are those of BibTeX's own styles, with what they call it themselves in `entrysubtype`; dates
stand in `year` and `month`, and in `date`, which holds days. The text is UTF-8, with escapes where
LaTeX would take a sign for something else, and with braces around words that styles must not write
small.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from cards.exports.entries import Entry, Selection
from cards.exports.references import csl_of, date_parts, key_of
from cards.references import VISIBILITY

TYPES = {
    "article-journal": "article", "article-magazine": "article", "article-newspaper": "article",
    "review": "article", "review-book": "article", "book": "book", "chapter": "incollection",
    "entry-encyclopedia": "incollection", "entry-dictionary": "incollection",
    "entry": "incollection", "paper-conference": "inproceedings", "thesis": "phdthesis",
    "report": "techreport", "standard": "techreport", "manuscript": "unpublished",
    "pamphlet": "booklet",
}  # fmt: skip
# What readers take each of BibTeX's types for; any other type is named beside it.
UNDERSTOOD = {
    "article": "article-journal", "book": "book", "incollection": "chapter",
    "inproceedings": "paper-conference", "phdthesis": "thesis", "mastersthesis": "thesis",
    "techreport": "report", "unpublished": "manuscript", "booklet": "pamphlet", "misc": "document",
}  # fmt: skip
SUBTYPES = {"article-magazine": "magazine", "article-newspaper": "newspaper"}
FIELDS = {
    "collection-title": "series", "publisher-place": "address", "volume": "volume",
    "edition": "edition", "ISBN": "isbn", "ISSN": "issn", "PMID": "pmid", "language": "language",
    "genre": "type", "note": "note", "abstract": "abstract", "event-title": "eventtitle",
}  # fmt: skip
PUBLISHERS = {"phdthesis": "school", "mastersthesis": "school", "techreport": "institution"}
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
ESCAPES = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "{": r"\textbraceleft{}", "}": r"\textbraceright{}",
    **{sign: f"\\{sign}" for sign in "&%$#_"},
    # Each of these is another sign together with what follows: a dash, a quotation mark.
    **{sign: f"{sign}{{}}" for sign in "-`'?!"},
}  # fmt: skip
MACRO = re.compile(r"\\[a-z]{1,20}")
SPECIAL = re.compile(r"[\\~^{}&%$#_]|-(?=-)|`(?=`)|'(?=')|[?!](?=`)")


def write(selection: Selection) -> Iterator[str]:
    """Write references, and what has an address as @misc."""
    for entry in selection.entries():
        if entry.card.link or entry.card.reference:
            yield _entry(entry)


def _entry(entry: Entry) -> str:
    csl = csl_of(entry)
    kind = _kind_of(csl)
    fields = _fields(kind, csl) | _addresses(kind, csl)
    if entry.card.tags:
        fields["keywords"] = _keywords(entry.card.tags)
    if entry.card.text:
        fields["annote"] = escaped(entry.card.text)
    fields[VISIBILITY] = entry.card.visibility.lower()
    lines = "".join(f",\n  {name} = {{{text}}}" for name, text in fields.items() if text)
    if len(parts := date_parts(csl)) > 1:
        lines += f",\n  month = {MONTHS[parts[1] - 1]}"
    return f"@{kind}{{{key_of(entry)}{lines}\n}}\n\n"


def _kind_of(csl: dict[str, Any]) -> str:
    kind = TYPES.get(csl["type"], "misc")
    is_masters = kind == "phdthesis" and csl.get("genre", "").lower().startswith("master")
    return "mastersthesis" if is_masters else kind


def _fields(kind: str, csl: dict[str, Any]) -> dict[str, str]:
    """Return what an entry says in words."""
    fields = {"title": protected(csl["title"])}
    for role in ("author", "editor", "translator"):
        fields[role] = " and ".join(name for each in csl.get(role, []) if (name := _name(each)))
    if container := csl.get("container-title"):
        is_journal = kind == "article"
        holder = "journal" if is_journal else "booktitle"
        fields[holder] = escaped(container) if is_journal else protected(container)
    fields |= {name: escaped(csl.get(key, "")) for key, name in FIELDS.items()}
    fields[PUBLISHERS.get(kind, "publisher")] = escaped(csl.get("publisher", ""))
    fields["pages"] = escaped(csl.get("page", "").replace("-", "–")).replace("–", "--")
    number, issue = csl.get("number", ""), csl.get("issue", "")
    fields["number"] = escaped(issue or number if kind == "article" else number or issue)
    if number and issue:
        fields["eid" if kind == "article" else "issue"] = escaped(
            number if kind == "article" else issue
        )
    if kind == "phdthesis" and not csl.get("genre"):
        fields["type"] = "Thesis"  # for styles print "PhD thesis" otherwise
    if UNDERSTOOD[kind] != csl["type"]:
        fields["entrysubtype"] = SUBTYPES.get(csl["type"]) or escaped(csl["type"])
    if parts := date_parts(csl):
        fields["year"] = f"{parts[0]:04d}"
        fields["date"] = "-".join([fields["year"], *(f"{part:02d}" for part in parts[1:])])
    return fields


def _addresses(kind: str, csl: dict[str, Any]) -> dict[str, str]:
    """Return the DOI and the address, which are not text: readers take them as they are."""
    bare = {name: csl.get(key, "").translate(BRACES) for key, name in ADDRESSES.items()}
    if kind == "misc" and bare["url"]:  # old styles print nothing else of it
        bare["howpublished"] = f"\\url{{{bare['url']}}}"
    return bare


ADDRESSES = {"DOI": "doi", "URL": "url"}
BRACES = str.maketrans({"{": "%7B", "}": "%7D"})


def escaped(text: Any) -> str:
    """Return a text as LaTeX reads it.

    BibTeX counts braces, whatever is before them: so only those that match are written `\\{`, which
    all programs know.
    """
    text = str(text)
    matching = _matching_braces(text) if "{" in text else set()

    def written(sign: re.Match[str]) -> str:
        return f"\\{sign.group()}" if sign.start() in matching else ESCAPES[sign.group()]

    return SPECIAL.sub(written, text)


def _matching_braces(text: str) -> set[int]:
    """Return the places of braces that open and close each other."""
    matching: set[int] = set()
    opened: list[int] = []
    for brace in re.finditer(r"[{}]", text):
        if brace.group() == "{":
            opened.append(brace.start())
        elif opened:
            matching |= {opened.pop(), brace.start()}
    return matching


def protected(text: str) -> str:
    """Return a title as LaTeX reads it, its words with capitals in braces.

    Styles write titles small but for the first letter: they cannot know names. Braces twice where
    a macro begins the word, for BibTeX changes what stands in one pair before a backslash.
    """
    first, *others = escaped(text).split(" ")
    return " ".join([_in_braces(first, first[1:]), *(_in_braces(word, word) for word in others)])


def _in_braces(word: str, small: str) -> str:
    """Return a word, in braces if there are capitals in the part that styles write small."""
    if not any(letter.isupper() for letter in MACRO.sub("", small)):
        return word
    return f"{{{{{word}}}}}" if word.startswith("\\") else f"{{{word}}}"


def _keywords(tags: list[str]) -> str:
    """Return tags between commas; in braces, if there are commas or semicolons in one."""
    written = [f"{{{escaped(tag)}}}" if "," in tag or ";" in tag else escaped(tag) for tag in tags]
    # Braces around all of it are what programs put around everything.
    return ", ".join(written) + ("," if len(tags) == 1 and written[0].startswith("{") else "")


def _name(person: dict[str, str]) -> str:
    family, given = person.get("family", ""), person.get("given", "")
    if not (family and (given or len(person) > 1)):
        whole = person.get("literal") or family or given
        return f"{{{escaped(whole)}}}" if whole else ""
    particle, suffix = person.get("non-dropping-particle", ""), person.get("suffix", "")
    last = " ".join(part for part in (_part(particle, True), _part(family)) if part)
    parts = [last, _part(suffix, True), _part(given, True)]
    return ", ".join(part for part in parts if part)


def _part(text: str, may_be_small: bool = False) -> str:
    """Return a part of a name; in braces, if BibTeX would divide it."""
    divides = "," in text or re.search(r"\band\b", text, re.IGNORECASE)
    small = not may_be_small and any(word[:1].islower() for word in text.split())
    return f"{{{escaped(text)}}}" if divides or small else escaped(text)
