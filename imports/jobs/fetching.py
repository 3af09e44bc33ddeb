"""Get the bytes of an import: uploaded, fetched before, or fetched now."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from imports import limits
from imports.files.documents import Document
from imports.files.items import clean
from imports.jobs import quotas
from imports.models import Import, ImportFile
from outside.fetcher import Limits, fetch

LIMITS = Limits(seconds=60, size=limits.IMPORT_BYTES)


def document_of(job: Import) -> Document | None:
    """Return the file of an import, or None if it is gone; raise FetchFailed or QuotaExceeded.

    A fetched file is stored, so that a reader that continues after a crash reads the same bytes.
    """
    if kept := _kept(job):
        return kept
    if job.source_kind != Import.Source.URL:
        return None
    fetched = fetch(job.source, limits=LIMITS)
    charset = clean(fetched.charset)
    try:
        with transaction.atomic():
            ImportFile.objects.create(origin=job, content=fetched.content, charset=charset)
            Import.objects.filter(pk=job.pk).update(size=len(fetched.content))
            quotas.use(job.owner, bytes=len(fetched.content))
    except IntegrityError:
        # Another reader stored the file first, or the import was removed.
        return _kept(job)
    return Document(fetched.content, job.source, charset)


def _kept(job: Import) -> Document | None:
    """Return the stored file of an import, or None."""
    kept = ImportFile.objects.filter(pk=job.pk).first()
    url = "" if job.source_kind == Import.Source.UPLOAD else job.source
    return Document(bytes(kept.content), url, kept.charset) if kept else None
