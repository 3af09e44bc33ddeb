"""People take turns: nobody's imports keep other people's waiting, and no file keeps a worker."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, transaction

from accounts.models import User
from cards.models import Card
from eventbook.database.ids import new_id
from eventbook.models import Event
from eventbook.relay.relay import Relay
from imports import handlers
from imports.events import ImportBatchReady
from imports.files import slices
from imports.files.documents import Document
from imports.files.formats import FORMATS
from imports.files.items import Row
from imports.jobs import reading, turns
from imports.models import Import, ImportBatch
from imports.services import cancel_import, remove_import, request_import
from tests.imports.steps import deliver, lines, read_only, step_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _nothing_aside() -> Iterator[None]:
    slices.open_files.files.clear()
    yield
    slices.open_files.files.clear()


def imports_of(type: str) -> list[str]:
    """Return the imports whose work the workers were told of, in order."""
    events = Event.objects.filter(type=type).order_by("recorded_at", "id")
    return [event.subject.removeprefix("imports/") for event in events]


def test_of_one_import_so_many_batches_stand_in_the_line(alice: User) -> None:
    job = read_only(alice, lines(1000))

    assert ImportBatch.objects.count() == 10
    assert imports_of("import.batch_ready") == [str(job.pk)] * turns.BATCHES_PER_PERSON
    deliver(ImportBatchReady(import_id=job.pk, number=2, source=""))

    assert len(imports_of("import.batch_ready")) == turns.BATCHES_PER_PERSON + 1
    assert ImportBatch.objects.filter(announced=True).count() == turns.BATCHES_PER_PERSON


def test_of_one_person_s_imports_together_no_more_stand_in_it_and_all_go_on(
    alice: User, bob: User
) -> None:
    one = read_only(alice, lines(1000))
    two = read_only(alice, lines(1000))
    other = read_only(bob, lines(1000))

    for number in range(1, 5):
        deliver(ImportBatchReady(import_id=one.pk, number=number, source=""))

    ready = imports_of("import.batch_ready")
    assert ready == [str(one.pk)] * 4 + [str(other.pk)] * 4 + [str(two.pk)] * 4


def test_one_import_of_a_person_is_read_at_a_time(alice: User, bob: User) -> None:
    first, second, third, fourth = (request_import(owner=alice, content=b"x") for _ in range(4))
    other = request_import(owner=bob, content=b"x")
    assert imports_of("import.requested") == [str(first.pk), str(other.pk)]

    handlers._read(begun(first))
    cancel_import(second)
    remove_import(third)

    asked = imports_of("import.requested")
    assert asked == [str(job.pk) for job in (first, other, second, third, fourth)]
    assert Import.objects.get(pk=fourth.pk).announced


def begun(job: Import) -> Import:
    """Return an import that is being read."""
    found = reading.begin(job.pk)
    assert found is not None
    return found


def test_somebody_s_small_import_does_not_wait_for_another_one_s_large_ones(
    alice: User, bob: User, drain: Callable[[int], Any]
) -> None:
    for number in range(2):
        pages = (f"https://example.org/{number}/{line}" for line in range(3_000))
        read_only(alice, "\n".join(pages).encode())
    small = read_only(bob, lines(1_000))
    relay = Relay()

    step_until(relay, lambda: Import.objects.get(pk=small.pk).status == "done")

    assert Card.objects.filter(curator=bob).count() == 1_000
    assert Card.objects.filter(curator=alice).count() < 3_000
    for job in Import.objects.filter(owner=alice):
        cancel_import(job)
    drain(60)


def test_turns_that_were_lost_come_back(alice: User) -> None:
    job = read_only(alice, lines(1000))
    second = Import.objects.create(owner=alice, source_kind="upload", announced=False)
    Import.objects.filter(pk=job.pk).update(status="running")
    # As a worker leaves it that knows no turns.
    ImportBatch.objects.filter(announced=True).delete()
    asked, ready = len(imports_of("import.requested")), len(imports_of("import.batch_ready"))

    assert turns.recover_turns() == 1

    assert imports_of("import.requested")[asked:] == [str(second.pk)]
    assert imports_of("import.batch_ready")[ready:] == [str(job.pk)] * turns.BATCHES_PER_PERSON
    with transaction.atomic():
        turns.announce(alice.pk)
    assert len(imports_of("import.batch_ready")) == ready + turns.BATCHES_PER_PERSON


Read = Callable[[Document], Iterator[Row]]


@pytest.fixture
def reads_as(monkeypatch: pytest.MonkeyPatch) -> Callable[[Read], None]:
    """Lets a list be read by a parser of the test."""

    def put(read: Read) -> None:
        known = FORMATS["list"]
        monkeypatch.setitem(FORMATS, "list", type(known)(**{**vars(known), "read": read}))

    return put


def test_a_file_is_put_aside_for_others_and_read_on_where_it_was(
    alice: User, bob: User, reads_as: Callable[[Read], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "SLICE_SECONDS", 0.0)
    begins: list[int] = []
    original = FORMATS["list"].read

    def counting(document: Document) -> Iterator[Row]:
        begins.append(1)
        return original(document)

    reads_as(counting)
    job = request_import(owner=alice, content=lines(450))
    request_import(owner=bob, content=lines(1))

    steps = [reading.continue_reading(begun(job))]
    while steps[-1]:
        steps.append(reading.continue_reading(begun(job)))

    assert steps == [True] * 4 + [False]
    assert (len(begins), Import.objects.get(pk=job.pk).read) == (1, 450)
    assert slices.open_files.files == {}


def test_what_another_process_has_read_on_is_read_anew(alice: User, bob: User) -> None:
    job = request_import(owner=alice, content=lines(450))
    started = begun(job)
    opened = reading.open_file(started)
    assert opened is not None
    next(opened.work)
    slices.open_files.put(job.pk, opened)

    assert slices.open_files.pop(job.pk, read=200) is None
    reading.continue_reading(begun(job))

    assert Import.objects.get(pk=job.pk).read == 450


def test_files_that_are_put_aside_have_no_more_bytes_than_the_largest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("imports.limits.IMPORT_BYTES", 100)
    aside, ids = slices.OpenFiles(), [new_id() for _ in range(3)]
    for id, size in zip(ids, (60, 50, 40), strict=True):
        aside.put(id, slices.OpenFile(iter([]), 0, size))

    assert list(aside.files) == ids[1:]


def spins(document: Document) -> Iterator[Row]:
    yield from original_rows(document)
    while True:
        try:
            re.match(r"(a|a)*$", "a" * 40 + "b")
        except Exception:  # as careless parsers do
            continue


original_rows = FORMATS["list"].read


def test_a_step_that_never_ends_is_ended_and_fails_its_own_import(
    alice: User, reads_as: Callable[[Read], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "STEP_SECONDS", 0.3)
    reads_as(spins)
    job = request_import(owner=alice, content=lines(50))
    following = request_import(owner=alice, content=lines(1))
    began = time.monotonic()

    assert handlers._read(begun(job)) is False

    job.refresh_from_db()
    assert time.monotonic() - began < 20
    assert (job.status, job.read) == ("failed", 50)
    assert job.error == f"too_slow: {slices.TOO_SLOW}"
    assert str(following.pk) in imports_of("import.requested")


def test_a_format_that_takes_too_long_to_be_found_fails_the_import(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spin(document: Document) -> bool:
        return bool(re.match(r"(a|a)*$", "a" * 60 + "b"))

    known = FORMATS["html"]
    monkeypatch.setattr(slices, "STEP_SECONDS", 0.3)
    monkeypatch.setitem(FORMATS, "html", type(known)(**{**vars(known), "matches": spin}))
    job = request_import(owner=alice, content=lines(1))

    handlers._read(begun(job))

    job.refresh_from_db()
    assert (job.status, job.error) == ("failed", f"too_slow: {slices.TOO_SLOW}")


def test_who_ends_an_import_and_who_announces_do_not_wait_for_each_other(alice: User) -> None:
    job = read_only(alice, lines(1000))
    queued = request_import(owner=alice, content=b"x")
    Import.objects.filter(pk=queued.pk).update(announced=False)

    with transaction.atomic():
        # As a cancelling has them that waits for the lock of turns.
        list(ImportBatch.objects.filter(announced=False).select_for_update())
        Import.objects.select_for_update().get(pk=queued.pk)
        thread, done = beside_nobody(lambda: announce(alice))
        thread.join(timeout=20)

    assert done == [None]
    assert len(imports_of("import.batch_ready")) == turns.BATCHES_PER_PERSON
    assert Import.objects.get(pk=job.pk).status == "running"


def announce(owner: User) -> None:
    with transaction.atomic():
        turns.announce(owner.pk, ended=1)


def beside_nobody(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Do something in another thread, which need not wait."""
    done: list[Any] = []

    def run() -> None:
        done.append(work())
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread, done
