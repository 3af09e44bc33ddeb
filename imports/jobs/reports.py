"""Store the problems, warnings and merges of rows, for the import's owner to read."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from imports import limits
from imports.files.items import Item, Problem
from imports.models import ImportMerge, ImportProblem


def record_problems(import_id: UUID, problems: list[Problem]) -> None:
    """Store problems and warnings, up to IMPORT_PROBLEMS per import."""
    if not problems:
        return
    kept = ImportProblem.objects.filter(origin_id=import_id)[: limits.IMPORT_PROBLEMS].count()
    ImportProblem.objects.bulk_create(
        ImportProblem(
            origin_id=import_id,
            line=problem.line,
            code=problem.code,
            detail=problem.detail[:1000],
            is_warning=problem.is_warning,
            row=problem.label[:200],
        )
        for problem in problems[: max(0, limits.IMPORT_PROBLEMS - kept)]
    )


def record_merges(import_id: UUID, merges: Sequence[tuple[Item, UUID]]) -> None:
    """Store which rows were merged into which cards, up to IMPORT_PROBLEMS per import."""
    if not merges:
        return
    kept = ImportMerge.objects.filter(origin_id=import_id)[: limits.IMPORT_PROBLEMS].count()
    ImportMerge.objects.bulk_create(
        ImportMerge(origin_id=import_id, line=item.line, row=item.label, card_id=card)
        for item, card in merges[: max(0, limits.IMPORT_PROBLEMS - kept)]
    )
