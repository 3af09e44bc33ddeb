"""Fetch pages, query registries, and store their metadata."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from eventbook import Later, policy_of
from outside.errors import ErrorStatus, FetchFailed
from pages.events import PageIdentified
from pages.metadata import fetching, validity
from pages.metadata.fetching import PageResponse
from pages.metadata.fields import PageMetadata
from pages.metadata.registries import FIRST_REGISTRY, REGISTRIES, NotInRegistry
from pages.models import Metadata, Url
from pages.signals import page_identified

QUEUE = "metadata"
DAY = timedelta(days=1)
MAX_RETRY_AFTER = 3600  # the longest `Retry-After` that is obeyed, in seconds
REGISTRY_WAIT = 300  # seconds until a registry that failed is queried again, unless it says when
REGISTRY_PATIENCE = DAY  # how long failed queries for a work are repeated


def fetch_page(*, url_id: int) -> str:
    """Fetch a page and store its metadata, or the error; return the outcome as a word.

    Raise Later if another attempt soon may succeed. A site's failure is stored with the page and
    never becomes a dead letter: operators can do nothing about it.
    """
    page = Url.objects.select_related("metadata").annotate(now=Now()).filter(pk=url_id).first()
    if page is None:
        return "gone"
    known = page.metadata_or_none or Metadata()
    conditions = validity.conditions(known.etag, known.last_modified)
    try:
        response = fetching.request(page.canonical, conditions=conditions)
    except FetchFailed as failure:
        return _store_failure(page, failure, requested_at=page.now)
    return _store_response(page, response, requested_at=page.now)


@contextmanager
def _locked_metadata(page: Url, requested_at: datetime) -> Iterator[Metadata | None]:
    """Lock a page's metadata, and save it after the block.

    Yield None, and save nothing, if a newer request for the page has been stored meanwhile.
    """
    with transaction.atomic():
        Metadata.objects.bulk_create(
            [Metadata(url_id=page.pk, expires_at=requested_at + DAY)], ignore_conflicts=True
        )
        metadata = Metadata.objects.select_for_update().get(pk=page.pk)
        if metadata.requested_at and metadata.requested_at >= requested_at:
            yield None
            return
        metadata.requested_at = requested_at
        yield metadata
        metadata.save()


def _store_response(page: Url, response: PageResponse, *, requested_at: datetime) -> str:
    """Store a successful response, and return the outcome."""
    with _locked_metadata(page, requested_at) as metadata:
        if metadata is None:
            return "outdated"
        metadata.status, metadata.failures = Metadata.Status.FETCHED, 0
        metadata.error = metadata.error_code = ""
        metadata.fetched_at = requested_at
        metadata.expires_at = validity.expiry(response.headers, now=requested_at)
        if response.metadata is None:
            return "unchanged"
        metadata.etag, metadata.last_modified = validity.validators(response.headers)
        metadata.content_type, metadata.size = response.type[:100], response.size
        _store_fields(metadata, response.metadata)
    return "fetched"


def _store_failure(page: Url, failure: FetchFailed, *, requested_at: datetime) -> str:
    """Store a failed fetch, and return the outcome; raise Later if another attempt is due soon."""
    policy = policy_of(QUEUE)
    with _locked_metadata(page, requested_at) as metadata:
        if metadata is None:
            return "outdated"
        metadata.failures += 1
        metadata.error_code, metadata.error = failure.code, str(failure)[:300]
        again = not failure.lasting and metadata.failures < policy.max_attempts
        metadata.expires_at = requested_at + _pause_after(
            failure, metadata.failures - policy.max_attempts
        )
        # A page that was fetched before keeps its old metadata.
        if not again and metadata.fetched_at is None:
            metadata.status = Metadata.Status.FAILED
            _store_fields(metadata, fetching.metadata_of_address(page.canonical))
    if again:
        longest = min(policy.backoff_cap_seconds, policy.backoff_seconds * 2**metadata.failures)
        raise Later(_retry_after(failure) or random.uniform(0, longest), str(failure))  # noqa: S311
    return "failed"


def _retry_after(failure: FetchFailed) -> int:
    wait = failure.retry_after if isinstance(failure, ErrorStatus) else None
    return min(wait or 0, MAX_RETRY_AFTER)


def _pause_after(failure: FetchFailed, rounds: int) -> timedelta:
    """Return how long not to fetch a failed page: 1, 2, 4 … 30 days by round, or 30 if lasting.

    `rounds` is the number of failed fetches after the first attempts.
    """
    days = 2 ** min(max(rounds, 0), 5)
    return validity.MIN_LIFETIME if failure.lasting else min(days * DAY, validity.MIN_LIFETIME)


def _store_fields(metadata: Metadata, found: PageMetadata) -> None:
    """Store the page's own metadata. If it is not a complete reference, request a registry's."""
    fields = {name: value for name, value in asdict(found).items() if value}
    is_reference = fields.pop("is_reference", False)
    metadata.page_fields = fields
    if metadata.registry and _names_another_work(metadata):
        # The registry's values would win over the page's.
        metadata.registry_fields, metadata.registry = {}, ""
    _copy_to_columns(metadata)
    if not is_reference and not metadata.registry_fields:
        _request_registry(metadata.url_id, fields)


def _names_another_work(metadata: Metadata) -> bool:
    """Return whether the page has another identifier now than the one looked up in a registry."""
    kind = REGISTRIES[metadata.registry].identifier
    known = metadata.registry_fields.get(kind)
    return bool(metadata.page_fields.get(kind, known) != known)


def _copy_to_columns(metadata: Metadata) -> None:
    """Copy title and DOI into their columns, for the admin and the index."""
    both = metadata.page_fields | metadata.registry_fields
    metadata.title, metadata.doi = both.get("title", ""), both.get("doi", "")


def _request_registry(url_id: int, fields: dict[str, Any]) -> None:
    """Record an event to query the best registry for the work, if it has an identifier."""
    for kind, registry in FIRST_REGISTRY.items():
        # The ISBN of a chapter or a paper is that of the whole book or proceedings.
        is_of_whole = kind == "isbn" and fields.get("journal")
        if (identifier := fields.get(kind)) and not is_of_whole:
            _identify(url_id, registry, identifier)
            return


def _identify(url_id: int, registry: str, identifier: str) -> None:
    event = PageIdentified(url_id=url_id, registry=registry, identifier=identifier)
    page_identified.send(sender=Url, event=event)


def consult_registry(*, url_id: int, registry: str, identifier: str, age: timedelta) -> None:
    """Query a registry for a work, and store its metadata beside the page's own.

    `age` is the time since the event. Raise Later if the registry fails. Raise FetchFailed if it
    has failed for a day or will always fail: an operator can replay the dead letter.
    """
    queried = REGISTRIES[registry]
    times = Metadata.objects.annotate(now=Now()).values_list("now", flat=True)
    requested_at = times.filter(pk=url_id).first()
    if requested_at is None:
        return
    try:
        details = queried.look_up(identifier)
    except NotInRegistry:
        if queried.fallback:
            with transaction.atomic():
                _identify(url_id, queried.fallback, identifier)
        return
    except FetchFailed as failure:
        if failure.lasting or age > REGISTRY_PATIENCE:
            raise
        raise Later(_retry_after(failure) or REGISTRY_WAIT, str(failure)) from failure
    finally:
        # The registry demands this pause between requests, and counts failed requests, too.
        time.sleep(queried.pause_seconds)
    _store_details(url_id, registry, identifier, details, requested_at=requested_at)


def _store_details(
    url_id: int, registry: str, identifier: str, details: dict[str, Any], *, requested_at: datetime
) -> None:
    """Store a registry's metadata, unless it is older than the stored one, or outdated."""
    with transaction.atomic():
        metadata = Metadata.objects.select_for_update().get(pk=url_id)
        if metadata.registry_requested_at and metadata.registry_requested_at >= requested_at:
            return
        # The page may name another work now, if the registry failed for long.
        if metadata.page_fields and identifier not in metadata.page_fields.values():
            return
        metadata.registry_fields, metadata.registry = details, registry
        metadata.registry_requested_at = requested_at
        _copy_to_columns(metadata)
        metadata.save()
