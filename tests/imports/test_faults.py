"""What is killed, cancelled, handed in twice at once or dead goes on exactly where it was."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts.models import User
from cards.models import Card
from eventbook.brokers.broker import worker_queues
from eventbook.models import Delivery, Event
from eventbook.relay.relay import Relay
from eventbook.testing import without_consumers
from imports import services
from imports.events import ImportBatchReady
from imports.files.documents import Document
from imports.files.formats import rows
from imports.files.items import Row
from imports.jobs import reading, turns
from imports.jobs.batches import BatchWriter
from imports.models import Import, ImportBatch, ImportedItem
from tests.conftest import Drain
from tests.harness.processes import Workers, launch, wait_for
from tests.imports.conftest import upload
from tests.imports.steps import deliver, lines, read_only, step_until

Client = Callable[[Any], APIClient]
pytestmark = pytest.mark.django_db(transaction=True)


def test_an_import_whose_workers_are_killed_again_and_again_ends_exactly(
    alice: User, client_of: Client, workers: Workers, drain: Drain, tmp_path: Path
) -> None:
    accepted = upload(client_of(alice), lines(2000), visibility="PUBLIC")
    relay = Relay()

    with without_consumers("imports"):
        for target in (1, 900):
            mine = launch("worker", "imports", log=tmp_path / "worker.log")
            wait_for(lambda: "imports" in worker_queues(timeout=0.3), seconds=30, what="it works")
            step_until(relay, lambda: added() >= target)  # noqa: B023
            kill(mine)
        before = added()
    relay.broker.close()
    drain(60)

    job = client_of(alice).get(f"/api/v1/imports/{accepted.json()['id']}/").json()
    assert 900 <= before < 2000
    assert job["status"] == "done"
    assert job["counts"] == {
        "read": 2000,
        "added": 2000,
        "known": 0,
        "merged": 0,
        "failed": 0,
        "warned": 0,
        "waiting": 0,
    }
    assert Card.objects.count() == 2000
    assert Event.objects.filter(type="card.imported").count() == 2000
    assert Event.objects.filter(type="cards.imported").count() == 1
    told = Event.objects.filter(type="import.batch_added").values_list("data__card_ids", flat=True)
    assert Counter(id for ids in told for id in ids) == Counter(
        str(id) for id in Card.objects.values_list("pk", flat=True)
    )


def added() -> int:
    """Return the number of rows added so far."""
    return Import.objects.values_list("added", flat=True).get()


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a worker and its children with SIGKILL."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)


def test_a_reader_that_dies_is_followed_by_one_that_goes_on_behind_it(alice: User) -> None:
    content = lines(450)
    job = services.request_import(owner=alice, content=content)
    first = reading.begin(job.pk)
    assert first is not None

    with pytest.raises(ConnectionError):
        BatchWriter(first).write_all(dies_after(250, rows(Document(content))[1]))
    second = reading.begin(job.pk)
    assert second is not None
    begun = (second.read, second.batches)
    reading.continue_reading(second)

    assert begun == (200, 2)
    batches = ImportBatch.objects.order_by("number").values_list("number", "rows")
    assert list(batches) == [(1, 100), (2, 100), (3, 100), (4, 100), (5, 50)]
    assert Event.objects.filter(type="import.batch_ready").count() == turns.BATCHES_PER_PERSON


def dies_after(count: int, found: Iterator[Row]) -> Iterator[Row]:
    """Yield this many rows, then raise an error."""
    for _ in range(count):
        yield next(found)
    raise ConnectionError


def test_of_two_readers_at_once_the_one_that_is_behind_writes_nothing(alice: User) -> None:
    content = lines(300)
    job = services.request_import(owner=alice, content=content)
    first, second = reading.begin(job.pk), reading.begin(job.pk)
    assert first
    assert second

    with pytest.raises(ConnectionError):
        BatchWriter(first).write_all(dies_after(100, rows(Document(content))[1]))
    reading.continue_reading(second)
    between = sum(ImportBatch.objects.values_list("rows", flat=True))
    third = reading.begin(job.pk)
    assert third
    reading.continue_reading(third)

    assert between == 100
    assert sum(ImportBatch.objects.values_list("rows", flat=True)) == 300
    assert Import.objects.get().read == 300


def test_a_batch_that_comes_again_changes_nothing(alice: User) -> None:
    job = read_only(alice, lines(100))
    event = ImportBatchReady(import_id=job.pk, number=1, source="x")

    for _ in range(2):
        deliver(event)

    job.refresh_from_db()
    assert (job.added, job.known, job.batches_done, job.status) == (100, 0, 1, "done")


def test_the_same_rows_in_two_imports_at_once_become_one_card_each(alice: User) -> None:
    content = b"".join(
        b"@book{k%d, title={Title %d}, author={Alice Munro}}\n" % (number, number)
        for number in range(100)
    )
    jobs = [read_only(alice, content) for _ in range(2)]

    threads = [threading.Thread(target=add, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    ended = sorted(Import.objects.values_list("added", "known"))
    assert ended == [(0, 100), (100, 0)]
    assert (Card.objects.count(), ImportedItem.objects.count()) == (100, 100)


def add(job: Import) -> None:
    """Add the first batch of an import, on a separate connection."""
    try:
        deliver(ImportBatchReady(import_id=job.pk, number=1, source="x"))
    finally:
        connection.close()


def test_a_cancelled_import_adds_nothing_more(alice: User, client_of: Client, drain: Drain) -> None:
    job = read_only(alice, lines(300))
    deliver(ImportBatchReady(import_id=job.pk, number=1, source="x"))

    cancelled = client_of(alice).post(f"/api/v1/imports/{job.pk}/cancel/").json()
    drain()

    assert (cancelled["status"], cancelled["counts"]["added"]) == ("cancelled", 100)
    assert cancelled["counts"]["waiting"] == 0
    assert Card.objects.count() == 100
    assert not ImportBatch.objects.exists()
    again = client_of(alice).post(f"/api/v1/imports/{job.pk}/cancel/")
    assert (again.status_code, again.json()["status"]) == (200, "cancelled")


def test_a_cancelled_import_is_not_read_any_further(alice: User) -> None:
    content = lines(300)
    job = services.request_import(owner=alice, content=content)
    begun = reading.begin(job.pk)
    assert begun is not None
    services.cancel_import(job)

    reading.continue_reading(begun)

    assert ImportBatch.objects.count() == 0
    assert Import.objects.get().status == "cancelled"


def test_dead_letters_show_in_the_import_and_can_be_resumed(
    alice: User, client_of: Client, drain: Drain
) -> None:
    job = read_only(alice, lines(200))
    batch = ImportBatch.objects.get(number=2)
    good = bytes(batch.items)
    ImportBatch.objects.filter(pk=batch.pk).update(items=b"not what a batch has")
    drain(60)

    client = client_of(alice)
    stuck = client.get(f"/api/v1/imports/{job.pk}/").json()
    (listed,) = client.get("/api/v1/imports/").json()["results"]
    ImportBatch.objects.filter(pk=batch.pk).update(items=good)
    client.post(f"/api/v1/imports/{job.pk}/resume/")
    drain(60)
    done = client.get(f"/api/v1/imports/{job.pk}/").json()

    assert (stuck["status"], stuck["dead_letters"], stuck["counts"]["waiting"]) == (
        "running",
        1,
        100,
    )
    assert listed["dead_letters"] == 1
    assert (done["status"], done["dead_letters"], done["counts"]["added"]) == ("done", 0, 200)
    assert Delivery.objects.filter(handler="imports.add_batch", attempts__gt=0).count() == 0


def test_a_batch_that_was_in_hand_during_the_cancelling_is_not_added_later(alice: User) -> None:
    job = read_only(alice, lines(100))
    Import.objects.filter(pk=job.pk).update(status="cancelled")

    deliver(ImportBatchReady(import_id=job.pk, number=1, source="x"))

    assert (Card.objects.count(), ImportBatch.objects.count()) == (0, 0)
