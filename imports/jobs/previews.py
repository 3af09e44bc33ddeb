"""Dry runs: report the effects of an import without adding anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from django.utils import timezone

from cards.models import Card
from cards.services import rules
from eventbook.database import execute
from imports import limits
from imports.files.documents import Document
from imports.files.formats import Format, tables
from imports.files.items import Item, Problem, Row, digest, identity, warnings_of
from imports.jobs import statements
from imports.jobs.adding import exported_cards
from imports.jobs.drafts import ImportOptions, collection_names_of, draft_of
from imports.jobs.reports import record_problems
from imports.models import Import, ImportProblem


def preview(
    job: Import, format: Format, document: Document, parts: Iterator[list[Row]]
) -> Iterator[None]:
    """Count rows by their expected result, store the first rows, and end the import.

    Yield after each part, so that the caller can pause between parts.
    """
    ImportProblem.objects.filter(origin=job).delete()  # left by a reader that died
    counts = {"added": 0, "known": 0, "merged": 0, "failed": 0}
    first_rows: list[dict[str, Any]] = []
    known_rows, warned = KnownRows(job), 0
    for some in parts:
        items = [row for row in some if isinstance(row, Item)]
        problems = [row for row in some if isinstance(row, Problem)]
        known_rows.load(items)
        for item in items:
            if refused := refusal_of(item):
                problems.append(refused)
            else:
                counts[known_rows.expected_result(item)] += 1
        counts["failed"] += len(problems)
        warnings = warnings_of(items)
        warned += len(warnings)
        record_problems(job.pk, problems + warnings)
        first_rows += [
            _preview_row(item, job) for item in items[: limits.PREVIEW_ROWS - len(first_rows)]
        ]
        yield
    table = tables.layout(document) if format.name == "csv" else None
    columns = dict(table.names) if table else {}
    Import.objects.filter(pk=job.pk, status=Import.Status.READING).update(
        status=Import.Status.PREVIEWED,
        preview={"rows": first_rows, "columns": columns},
        read=sum(counts.values()),
        finished_at=timezone.now(),
        warned=warned,
        **counts,
    )


class KnownRows:
    """The items and pages that the owner has, together with those of the rows so far.

    The real import may differ: it adds a reference that shares a page with a different work, which
    counts as merged here; and an existing subscription is known to it, but counts as added here.
    """

    def __init__(self, job: Import) -> None:
        self.owner_id = job.owner_id
        self.rows: dict[UUID, set[UUID]] = {}  # the rows' digests, by item
        self.pages: set[str] = set()
        self.exported: set[UUID] = set()  # items that were exported from cards of the owner

    def load(self, items: Sequence[Item]) -> None:
        """Load which of these items and pages the owner has already."""
        keyed = {identity(item.source, item.guid): item for item in items}
        self.exported |= set(exported_cards(self.owner_id, keyed.items()))
        keys = list(keyed.keys() - self.rows.keys())
        found = execute(statements.FIND_KNOWN, {"owner": self.owner_id, "identities": keys}).rows
        self.rows |= {key: set(digests) for key, card, digests in found if card}
        pages = {page for item in items if (page := page_of(item))} - self.pages
        own = Card.objects.filter(curator=self.owner_id, url__canonical__in=pages)
        self.pages |= set(own.values_list("url__canonical", flat=True))

    def expected_result(self, item: Item) -> str:
        """Return a row's expected result (added, known or merged), and record the row."""
        key, page, row = identity(item.source, item.guid), page_of(item), digest(item)
        known = row in self.rows.get(key, ()) or key in self.exported or bool(item.folder)
        merged = key in self.rows or page in self.pages
        self.rows.setdefault(key, set()).add(row)
        self.pages |= {page} - {""}
        return "known" if known else "merged" if merged else "added"


def page_of(item: Item) -> str:
    """Return the canonical address of a row's page, or ""."""
    page, _ = rules.page_of("" if item.feed or item.folder else item.url)
    return page.canonical if page else ""


def refusal_of(item: Item) -> Problem | None:
    """Return why an item would be refused, as far as checks without the database show."""
    draft = draft_of(item, ImportOptions(), [])
    if item.feed or item.folder:
        return None
    _, errors = rules.page_of(draft.url)
    errors = errors or rules.errors_of_content(
        type=draft.type, link=draft.url, title=draft.title, text=draft.text
    )
    error = next((error for each in errors.values() for error in each), None)
    return item.problem(error.code or "invalid", " ".join(error.messages)) if error else None


def _preview_row(item: Item, job: Import) -> dict[str, Any]:
    """Return a row as the preview's JSON has it."""
    draft = draft_of(item, ImportOptions.of(job.options, job.owner), [])
    return {
        "line": item.line,
        "type": "SUBSCRIPTION" if item.feed else str(draft.type),
        "title": draft.title,
        "url": item.feed or draft.url or None,
        "text": draft.text[:500],
        "tags": list(draft.tags),
        "collections": collection_names_of(item),
        "visibility": str(draft.visibility),
        "created_at": draft.created_at.isoformat() if draft.created_at else None,
    }
