"""The live stream's event `import`, sent only to the import's owner."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from eventbook.stream import Pair, Source, register
from imports.models import Import
from imports.queries import count_dead_letters
from imports.serializers import ImportSerializer

# Changed rows among the newest imports of each user. The key alone doesn't find them: an import
# runs, and changes, long after its id was created.
IMPORTS = """
    SELECT since.person_id, newest.id, newest.written
    FROM since CROSS JOIN LATERAL (
        SELECT id, xmin AS written FROM imports_import
        WHERE owner_id = since.person_id ORDER BY id DESC LIMIT %(max_rows)s
    ) newest
    WHERE age(newest.written) BETWEEN 0 AND age(since.horizon)
"""


def imports_json(pairs: Collection[Pair]) -> dict[Pair, Any]:
    """Return the state of imports, in the format of `imports/{id}/`."""
    ids = {id for _, id in pairs}
    context = {"dead_letters": count_dead_letters(ids)}
    return {
        pair: ImportSerializer(job, context=context).data
        for job in Import.objects.filter(pk__in=ids)
        if (pair := (job.owner_id, job.pk)) in pairs
    }


register(Source(name="import", changes_sql=IMPORTS, load_data=imports_json))
