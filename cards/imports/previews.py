"""Dry runs: what an import would do, without doing it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.utils import timezone

from cards import limits
from cards.imports import reading, statements
from cards.imports.documents import Document
from cards.imports.drafts import Wishes, draft_of, names_of
from cards.imports.formats import Format, tables
from cards.imports.items import Item, Problem, Row, identity
from cards.imports.models import Import, ImportProblem
from cards.services import rules
from events.sql import execute


def preview(job: Import, known: Format, document: Document, found: Iterator[Row]) -> None:
    """This counts what would be added, keeps the first rows for looking at, and ends the import."""
    ImportProblem.objects.filter(origin=job).delete()  # of a reader that died
    counts = {"added": 0, "known": 0, "failed": 0}
    shown: list[dict[str, Any]] = []
    seen: set[object] = set()
    while some := list(islice(found, limits.BATCH_ROWS)):
        items = [row for row in some if isinstance(row, Item)]
        problems = [row for row in some if isinstance(row, Problem)]
        keys = {identity(item.source, item.guid) for item in items}
        old = {key for key, card in _known(job, list(keys)) if card} | seen
        seen |= keys
        for item in items:
            refused = refusal(item)
            if refused:
                problems.append(refused)
            elif identity(item.source, item.guid) in old:
                counts["known"] += 1
            else:
                counts["added"] += 1
            old.add(identity(item.source, item.guid))
        counts["failed"] += len(problems)
        reading.note_problems(job.pk, problems)
        shown += [_shown(item, job) for item in items[: limits.PREVIEW_ROWS - len(shown)]]
    table = tables.layout(document) if known.name == "csv" else None
    columns = dict(table.names) if table else {}
    Import.objects.filter(pk=job.pk, status=Import.Status.READING).update(
        status=Import.Status.PREVIEWED,
        preview={"rows": shown, "columns": columns},
        read=sum(counts.values()),
        finished_at=timezone.now(),
        **counts,
    )


def _known(job: Import, keys: list[Any]) -> list[Any]:
    return execute(statements.KNOWN, {"owner": job.owner_id, "identities": keys}).rows


def refusal(item: Item) -> Problem | None:
    """This answers why an item could not be added, as far as can be told without trying."""
    draft = draft_of(item, Wishes(), [])
    if item.feed or item.folder:
        return None
    _, errors = rules.page_of(draft.url)
    errors = errors or rules.errors_of_content(
        type=draft.type, link=draft.url, title=draft.title, text=draft.text
    )
    for error in (error for each in errors.values() for error in each):
        detail, code = " ".join(error.messages), error.code or "invalid"
        return Problem(line=item.line, code=code, detail=detail, label=item.label)
    return None


def _shown(item: Item, job: Import) -> dict[str, Any]:
    draft = draft_of(item, Wishes.of(job.options), [])
    return {
        "line": item.line,
        "type": "SUBSCRIPTION" if item.feed else str(draft.type),
        "title": draft.title,
        "url": item.feed or draft.url or None,
        "text": draft.text[:500],
        "tags": list(draft.tags),
        "collections": names_of(item),
        "visibility": str(draft.visibility),
        "created_at": draft.created_at.isoformat() if draft.created_at else None,
    }
