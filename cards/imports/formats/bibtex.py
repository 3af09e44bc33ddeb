"""BibTeX, entry by entry: one that is broken costs its neighbours nothing."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

from cards.imports.documents import Document
from cards.imports.items import Problem, Row, clean, one_line
from cards.imports.references import date_of, doi_in, reference_item

# Where a block begins: the parser too takes an @ at the beginning of a line for that.
BLOCK = re.compile(r"^[ \t]*@[ \t]*[A-Za-z]\w*[ \t]*[{(]", re.MULTILINE)
LONGEST_BLOCK = 100_000
LONGEST_VALUE = 20_000
MACRO = re.compile(r"[\\$]")
# What stands for something else without a macro.
SIGNS = {"{": "", "}": "", "~": " ", "---": "—", "--": "–", "``": "“", "''": "”"}
SIGN = re.compile("|".join(re.escape(sign) for sign in SIGNS))
ENCLOSED = {"{": "}", '"': '"'}
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
TYPES = {
    "article": "article-journal", "book": "book", "booklet": "pamphlet", "inbook": "chapter",
    "incollection": "chapter", "inproceedings": "paper-conference", "manual": "report",
    "conference": "paper-conference", "mastersthesis": "thesis", "phdthesis": "thesis",
    "thesis": "thesis", "proceedings": "book", "techreport": "report", "report": "report",
    "unpublished": "manuscript", "online": "webpage", "www": "webpage", "electronic": "webpage",
    "dataset": "dataset", "software": "software", "patent": "patent",
}  # fmt: skip
FIELDS = {
    "title": "title", "journal": "container-title", "journaltitle": "container-title",
    "booktitle": "container-title", "series": "collection-title", "publisher": "publisher",
    "school": "publisher", "institution": "publisher", "organization": "publisher",
    "address": "publisher-place", "location": "publisher-place", "volume": "volume",
    "number": "issue", "issue": "issue", "pages": "page", "edition": "edition", "isbn": "ISBN",
    "issn": "ISSN", "pmid": "PMID", "language": "language", "type": "genre", "note": "note",
    "abstract": "abstract", "eventtitle": "event-title",
}  # fmt: skip
PEOPLE = ("author", "editor", "translator")
TEXTS = {*FIELDS, "subtitle", "annote", "annotation", "date", "year", "month", "day", "keywords"}
# They log what is in the file.
for name in ("bibtexparser", "pylatexenc"):
    logging.getLogger(name).setLevel(logging.CRITICAL)


def read(document: Document) -> Iterator[Row]:
    """This answers the references of a BibTeX file."""
    text, macros = document.text, dict(zip(MONTHS, MONTHS, strict=True))
    begins = BLOCK.finditer(text)
    line, counted, begin = 1, 0, next(begins, None)
    while begin:
        following = next(begins, None)
        start, end = begin.start(), following.start() if following else len(text)
        line += text.count("\n", counted, start)
        counted, begin = start, following
        yield from block(text[start:end], line, macros)


def block(text: str, line: int, macros: dict[str, str]) -> Iterator[Row]:
    """This answers the reference of one block, or what is wrong with it."""
    from bibtexparser.splitter import Splitter

    if len(text) > LONGEST_BLOCK:
        detail = f"This entry is longer than {LONGEST_BLOCK} characters."
        yield Problem(line=line, code="too_long", detail=detail, label=one_line(text[:80]))
        return
    try:
        found = Splitter(text.lstrip(" \t")).split()
    except Exception as error:  # of the parser, whatever it may be
        yield Problem(line=line, code="malformed", detail=f"This entry cannot be read: {error}.")
        return
    for string in found.strings:
        macros[string.key.lower()] = value_of(str(string.value), macros)
    for entry in found.entries:
        fields = {f.key.lower(): value_of(str(f.value), macros) for f in entry.fields}
        yield item_of(entry.entry_type.lower(), fields, line)
    for failed in found.failed_blocks:
        known: Any = failed.ignore_error_block
        if hasattr(known, "fields"):  # with a field twice, for one
            fields = {f.key.lower(): value_of(str(f.value), macros) for f in known.fields}
            yield item_of(known.entry_type.lower(), fields, line)
            continue
        reason = one_line(getattr(failed.error, "abort_reason", failed.error))
        detail = f"This entry cannot be read: {reason}"
        at = line + max(0, failed.start_line or 0)
        yield Problem(line=at, code="malformed", detail=detail, label=one_line(text[:80]))


def value_of(text: str, macros: dict[str, str]) -> str:
    """This answers the text of a value: in braces, in quotes, a macro, or several joined by #."""
    text = text.strip()
    is_enclosed = len(text) > 1 and text[-1] == ENCLOSED.get(text[0])
    if is_enclosed and ("#" not in text or text[0] == "{"):
        return text[1:-1][:LONGEST_VALUE]
    joined = ""
    for part in re.findall(r'"[^"]*"|\{[^{}]*\}|[^\s#"{}]+', text):
        is_text = part[:1] in ENCLOSED
        joined += str(part[1:-1] if is_text else macros.get(part.lower(), part))
        if len(joined) > LONGEST_VALUE:
            return joined[:LONGEST_VALUE]  # macros that double each other grow for ever
    return joined


def item_of(kind: str, fields: dict[str, str], line: int) -> Row:
    """This answers the item of an entry."""
    texts = {name: decoded(value) for name, value in fields.items() if name in TEXTS}
    csl: dict[str, Any] = {"type": TYPES.get(kind, "document")}
    for name, target in FIELDS.items():
        if texts.get(name) and target not in csl:
            csl[target] = texts[name]
    if "page" in csl:
        csl["page"] = re.sub(r"\s{0,9}(?:-+|–|—)\s{0,9}", "-", csl["page"])
    if subtitle := texts.get("subtitle"):
        csl["title"] = f"{csl.get('title', '')}: {subtitle}"
    if doi := doi_in(fields.get("doi", "").replace("\\", "")):
        csl["DOI"] = doi
    year = texts.get("date") or texts.get("year", "")
    if issued := date_of(year, texts.get("month", ""), texts.get("day", "")):
        csl["issued"] = issued
    for name in PEOPLE:
        if people := people_of(fields.get(name, "")):
            csl[name] = people
    tags = re.split(r"[,;]", texts.get("keywords", ""))
    text = texts.get("annote") or texts.get("annotation", "")
    return reference_item(line=line, fields=csl, url=_address(fields), text=text, tags=tuple(tags))


def _address(fields: dict[str, str]) -> str:
    for name in ("url", "howpublished", "note"):
        if found := re.search(r"https?://[^\s{}]+", fields.get(name, "").replace("\\", "")):
            return found.group()
    eprint = fields.get("eprint", "").strip()
    kind = (fields.get("archiveprefix") or fields.get("eprinttype") or "").lower()
    return f"https://arxiv.org/abs/{eprint}" if eprint and kind == "arxiv" else ""


def people_of(text: str) -> list[dict[str, str]]:
    """This answers the people of a name list, in their parts; a name in braces stays whole."""
    from bibtexparser.middlewares.names import (
        parse_single_name_into_parts,
        split_multiple_persons_names,
    )

    try:
        names = split_multiple_persons_names(one_line(text))
    except Exception:
        return [{"literal": decoded(text)}]
    people = []
    for name in names[:500]:
        try:
            parts = parse_single_name_into_parts(name, strict=False)
        except Exception:
            people.append({"literal": decoded(name)})
            continue
        if name.startswith("{") and name.endswith("}") and not parts.first:
            people.append({"literal": decoded(name)})
            continue
        named = {
            "family": parts.last, "given": parts.first, "suffix": parts.jr,
            "non-dropping-particle": parts.von,
        }  # fmt: skip
        people.append({key: decoded(" ".join(value)) for key, value in named.items() if value})
    return people


@lru_cache(maxsize=4096)
def decoded(text: str) -> str:
    """This answers the text of LaTeX: names of journals and publishers come again and again."""
    text = clean(text)
    if not MACRO.search(text):
        # The parser goes letter by letter, and most texts need no more than this.
        return SIGN.sub(lambda sign: SIGNS[sign.group()], text)
    try:
        # The decoder writes a circumflex as an accent that stands alone.
        return clean(decoder().latex_to_text(text)).replace("ˆ", "^")
    except Exception:  # of the parser: what is nested too deeply, for one
        return re.sub(r"[{}]", "", text)


@cache
def decoder() -> Any:
    """This is the one decoder: it takes long to make."""
    from pylatexenc.latex2text import (
        LatexNodes2Text,
        MacroTextSpec,
        get_default_latex_context_db,
    )

    known = get_default_latex_context_db()
    known.set_unknown_macro_spec(MacroTextSpec("", simplify_repl=_logo))
    return LatexNodes2Text(latex_context=known, math_mode="verbatim", strict_latex_spaces=False)


def _logo(node: Any) -> str:
    """This answers the name of a macro that is one, such as \\TeX; others only change the type."""
    name = str(node.macroname)
    return name if name != name.lower() else ""
