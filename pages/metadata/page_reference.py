"""Turn a page's metadata into a bibliographic reference (CSL-JSON)."""

from __future__ import annotations

from typing import Any

from pages.models import Metadata

# The names of metadata fields in CSL-JSON.
NAMES = {
    "title": "title", "journal": "container-title", "publisher": "publisher", "volume": "volume",
    "issue": "issue", "pages": "page", "doi": "DOI", "pmid": "PMID", "isbn": "ISBN",
    "description": "abstract",
}  # fmt: skip


def reference_of(known: Metadata) -> dict[str, Any]:
    """Return the CSL-JSON fields that a page's metadata gives; a registry's values win."""
    found = known.page_fields | known.registry_fields
    reference: dict[str, Any] = {csl: found[name] for name, csl in NAMES.items() if found.get(name)}
    if kind := _type_of(found):
        reference["type"] = kind
    if authors := found.get("authors"):
        reference["author"] = [_person(name) for name in authors]
    if published := found.get("published"):
        reference["issued"] = {"date-parts": [[int(part) for part in published.split("-")]]}
    return reference


def _type_of(found: dict[str, Any]) -> str:
    """Return the CSL type that the fields suggest, or an empty string."""
    if found.get("journal"):
        return "article-journal"
    if found.get("isbn"):
        return "book"
    return "article" if found.get("arxiv") or found.get("doi") else ""


def _person(name: str) -> dict[str, str]:
    """Split a name into given and family name, taking the last word as the family name.

    Pages don't mark the parts, and the guess is right for most names.
    """
    given, _, family = name.rpartition(" ")
    return {"family": family, "given": given} if given else {"literal": name}
