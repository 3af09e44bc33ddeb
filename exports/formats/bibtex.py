"""Write BibTeX that BibTeX itself, biber, pandoc, pybtex and Zotero all read.

Entry types are those of BibTeX's standard styles. `entrysubtype` names the CSL type where that is
more exact. Dates are in `year` and `month`, and with the day in `date`. Text is UTF-8: characters
special to LaTeX are escaped, and braces protect capitals that styles would write in lower case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from cards.references import VISIBILITY
from exports.csl import csl_of, date_parts, key_of
from exports.entries import Entry, Selection

TYPES = {
    "article-journal": "article", "article-magazine": "article", "article-newspaper": "article",
    "review": "article", "review-book": "article", "book": "book", "chapter": "incollection",
    "entry-encyclopedia": "incollection", "entry-dictionary": "incollection",
    "entry": "incollection", "paper-conference": "inproceedings", "thesis": "phdthesis",
    "report": "techreport", "standard": "techreport", "manuscript": "unpublished",
    "pamphlet": "booklet",
}  # fmt: skip
# The CSL type that readers understand by each BibTeX type. Another CSL type goes into
# `entrysubtype`.
TYPE_BY_DEFAULT = {
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
ADDRESSES = {"DOI": "doi", "URL": "url"}
BRACES = str.maketrans({"{": "%7B", "}": "%7D"})  # for addresses
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
ESCAPES = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "{": r"\textbraceleft{}", "}": r"\textbraceright{}",
    **{sign: f"\\{sign}" for sign in "&%$#_"},
    # LaTeX reads two of these in a row as another character: a dash, or a quotation mark.
    **{sign: f"{sign}{{}}" for sign in "-`'?!"},
}  # fmt: skip
MACRO = re.compile(r"\\[a-z]{1,20}")
SPECIAL = re.compile(r"[\\~^{}&%$#_]|-(?=-)|`(?=`)|'(?=')|[?!](?=`)")


def write(selection: Selection) -> Iterator[str]:
    """Yield an entry for each card with a reference or an address; notes have no entry."""
    return map(_entry, selection.references())


def _entry(entry: Entry) -> str:
    """Return a card as one BibTeX entry."""
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
    """Return the text fields of an entry."""
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
    # `number` is an article's issue, or another work's own number. If both are known, the other one
    # goes into `eid` or `issue`.
    fields["number"] = escaped(issue or number if kind == "article" else number or issue)
    if number and issue:
        fields["eid" if kind == "article" else "issue"] = escaped(
            number if kind == "article" else issue
        )
    if kind == "phdthesis" and not csl.get("genre"):
        fields["type"] = "Thesis"  # otherwise styles print "PhD thesis"
    if TYPE_BY_DEFAULT[kind] != csl["type"]:
        fields["entrysubtype"] = SUBTYPES.get(csl["type"]) or escaped(csl["type"])
    if parts := date_parts(csl):
        fields["year"] = f"{parts[0]:04d}"
        fields["date"] = "-".join([fields["year"], *(f"{part:02d}" for part in parts[1:])])
    return fields


def _addresses(kind: str, csl: dict[str, Any]) -> dict[str, str]:
    """Return the DOI and the address, unescaped: readers use these fields verbatim."""
    bare = {name: csl.get(key, "").translate(BRACES) for key, name in ADDRESSES.items()}
    if kind == "misc" and bare["url"]:  # old styles print the address only from `howpublished`
        bare["howpublished"] = f"\\url{{{bare['url']}}}"
    return bare


def escaped(text: Any) -> str:
    """Return a text escaped for LaTeX.

    BibTeX counts braces even after a backslash. So only matching braces are written `\\{`, which
    all programs know; a lone brace becomes a macro.
    """
    text = str(text)
    matching = _matching_braces(text) if "{" in text else set()

    def written(sign: re.Match[str]) -> str:
        return f"\\{sign.group()}" if sign.start() in matching else ESCAPES[sign.group()]

    return SPECIAL.sub(written, text)


def _matching_braces(text: str) -> set[int]:
    """Return the positions of braces that have a matching one."""
    matching: set[int] = set()
    opened: list[int] = []
    for brace in re.finditer(r"[{}]", text):
        if brace.group() == "{":
            opened.append(brace.start())
        elif opened:
            matching |= {opened.pop(), brace.start()}
    return matching


def protected(text: str) -> str:
    """Return a title escaped for LaTeX, with braces around words that contain capitals.

    Styles write all of a title but its first letter in lower case, names included. A word that
    begins with a macro gets two pairs of braces: inside one pair, BibTeX changes text that
    follows a backslash.
    """
    first, *others = escaped(text).split(" ")
    return " ".join([_in_braces(first, first[1:]), *(_in_braces(word, word) for word in others)])


def _in_braces(word: str, small: str) -> str:
    """Return a word, in braces if `small`, the part that styles lower-case, has a capital."""
    if not any(letter.isupper() for letter in MACRO.sub("", small)):
        return word
    return f"{{{{{word}}}}}" if word.startswith("\\") else f"{{{word}}}"


def _keywords(tags: list[str]) -> str:
    """Return tags separated by commas; a tag with a comma or semicolon is in braces."""
    written = [f"{{{escaped(tag)}}}" if "," in tag or ";" in tag else escaped(tag) for tag in tags]
    # A single tag in braces gets a comma: programs ignore braces around a whole value.
    return ", ".join(written) + ("," if len(tags) == 1 and written[0].startswith("{") else "")


def _name(person: dict[str, str]) -> str:
    """Return a name as BibTeX writes it: `Last, Suffix, Given`; an organization in braces."""
    family, given = person.get("family", ""), person.get("given", "")
    if not (family and (given or len(person) > 1)):
        whole = person.get("literal") or family or given
        return f"{{{escaped(whole)}}}" if whole else ""
    particle, suffix = person.get("non-dropping-particle", ""), person.get("suffix", "")
    last = " ".join(part for part in (_part(particle, True), _part(family)) if part)
    parts = [last, _part(suffix, True), _part(given, True)]
    return ", ".join(part for part in parts if part)


def _part(text: str, may_be_small: bool = False) -> str:
    """Return a part of a name, in braces if BibTeX would split it.

    BibTeX splits at commas, at "and", and at lower-case words unless `may_be_small`.
    """
    divides = "," in text or re.search(r"\band\b", text, re.IGNORECASE)
    small = not may_be_small and any(word[:1].islower() for word in text.split())
    return f"{{{escaped(text)}}}" if divides or small else escaped(text)
