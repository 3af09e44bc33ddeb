"""Where the bytes of an import come from."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from cards import limits
from cards.imports import quotas
from cards.imports.documents import Document
from cards.imports.models import Import, ImportFile
from outside.fetcher import Limits, fetch

LIMITS = Limits(seconds=60, size=limits.IMPORT_BYTES)


def document_of(job: Import) -> Document | None:
    """Return what is to be read, None when it is gone; raise FetchFailed.

    What was fetched is kept, so that a reader after this one reads the same.
    """
    url = job.source if job.source_kind != Import.Source.UPLOAD else ""
    if kept := ImportFile.objects.filter(pk=job.pk).first():
        return Document(bytes(kept.content), url)
    if job.source_kind != Import.Source.URL:
        return None
    fetched = fetch(job.source, limits=LIMITS)
    try:
        with transaction.atomic():
            ImportFile.objects.create(origin=job, content=fetched.content)
            Import.objects.filter(pk=job.pk).update(size=len(fetched.content))
            quotas.take(job.owner, bytes=len(fetched.content))
    except IntegrityError:
        # Another reader has kept its own, or the import has been removed.
        kept = ImportFile.objects.filter(pk=job.pk).first()
        return Document(bytes(kept.content), url) if kept else None
    return Document(fetched.content, url, fetched.charset or "")
