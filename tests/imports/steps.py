"""Take single steps of an import in this process."""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction

from accounts.models import User
from eventbook.relay.relay import Relay
from imports import handlers, services
from imports.events import ImportBatchReady
from imports.jobs import reading
from imports.models import Import
from tests.harness.processes import wait_for


def lines(count: int) -> bytes:
    """Return a list file with `count` pages."""
    return b"".join(b"https://example.org/%d\n" % number for number in range(count))


def step_until(relay: Relay, condition: Callable[[], bool]) -> None:
    """Run the relay until the condition holds."""

    def stepped() -> bool:
        relay.step()
        return condition()

    wait_for(stepped, seconds=60, what="so much has been added")


def read_only(owner: User, content: bytes) -> Import:
    """Read a file in this process, and return its import, with its batches still to add."""
    job = services.request_import(owner=owner, content=content)
    begun = reading.begin(job.pk)
    assert begun is not None
    reading.continue_reading(begun)
    return job


def deliver(event: ImportBatchReady) -> None:
    """Add a batch in this process."""
    with transaction.atomic():
        handlers._add_batch(event)
