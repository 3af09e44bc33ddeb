"""A row whose page is in the library already is merged into its card, and says into which."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction
from rest_framework.test import APIClient

from accounts.models import User
from cards import limits
from cards.models import Card, Collection
from cards.services import add_card, update_card
from eventbook.models import Event
from imports.files.items import Item
from imports.jobs.adding import Outcome, add_items
from imports.models import Import
from tests.harness.interleaving import someone_waits
from tests.harness.processes import wait_for
from tests.imports.conftest import ImportFile as Bring

Client = Callable[[Any], APIClient]
pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "https://example.org/page"
TWICE = b"""<!DOCTYPE NETSCAPE-Bookmark-file-1>
<DL><DT><H3>A</H3><DL>
<DT><A HREF="https://example.org/page" ADD_DATE="1500000000" TAGS="e">Old</A>
<DD>first
</DL><DT><H3>B</H3><DL>
<DT><A HREF="https://example.org/page?utm_source=y" ADD_DATE="1400000000" TAGS="f,e">New</A>
<DD>second
<DT><A HREF="https://example.org/page">Third</A>
<DT><A HREF="https://example.org/page">Third</A>
</DL></DL>
"""


def bookmark(**attributes: str) -> bytes:
    """Return a file with one bookmark of the page."""
    note = attributes.pop("note", "")
    written = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f'<DT><A HREF="{PAGE}"{written}>A title</A>\n<DD>{note}'.encode()


def added_and_more(done: dict[str, Any]) -> tuple[int, ...]:
    """Return how many rows were added, known, merged, failed."""
    return tuple(done["counts"][name] for name in ("added", "known", "merged", "failed"))


def test_a_second_bookmark_of_a_page_loses_nothing(
    alice: User, bring: Bring, client_of: Client
) -> None:
    done = bring(alice, TWICE)

    rows = client_of(alice).get(f"/api/v1/imports/{done['id']}/rows/?outcome=merged").json()
    card = Card.objects.get()
    assert added_and_more(done) == (1, 1, 2, 0)
    assert (card.title, card.text, card.tags) == ("Old", "first\n\nsecond", ["e", "f"])
    assert card.created_at.timestamp() == 1400000000
    assert sorted(card.places.values_list("collection__name", flat=True)) == ["A", "B"]
    assert [(row["line"], row["row"], row["card"]) for row in rows["results"]] == [
        (6, "New", str(card.pk)),
        (8, "Third", str(card.pk)),
    ]
    assert {row["code"] for row in rows["results"]} == {"merged"}


def test_the_same_file_again_changes_nothing_even_if_its_cards_were_changed(
    alice: User, bring: Bring
) -> None:
    bring(alice, TWICE)
    update_card(card=Card.objects.get(), title="Mine", text="mine", tags=["mine"])
    before = Card.objects.values().get()
    told = Event.objects.filter(type="card.updated").count()

    again = bring(alice, TWICE)

    assert added_and_more(again) == (0, 4, 0, 0)
    assert Card.objects.values().get() == before
    assert Event.objects.filter(type="card.updated").count() == told


def test_what_was_saved_by_hand_gets_what_the_file_has_beside_it(alice: User, bring: Bring) -> None:
    card, _ = add_card(curator=alice, type="URL", url=PAGE, tags=["a"], text="my own note")

    done = bring(alice, bookmark(TAGS="a,b", note="from elsewhere", ADD_DATE="1400000000"))

    card.refresh_from_db()
    assert added_and_more(done) == (0, 0, 1, 0)
    assert (card.title, card.tags) == ("A title", ["a", "b"])
    assert card.text == "my own note\n\nfrom elsewhere"
    assert card.created_at.timestamp() == 1400000000
    assert Event.objects.filter(type="card.updated").count() == 1


def test_a_row_that_brings_nothing_new_is_known(alice: User, bring: Bring) -> None:
    add_card(curator=alice, type="URL", url=PAGE, title="A title", tags=["a"], text="A long note.")

    done = bring(alice, bookmark(TAGS="a", note="long  note"))

    assert added_and_more(done) == (0, 1, 0, 0)
    assert not Event.objects.filter(type="card.updated").exists()


@pytest.mark.parametrize(
    ("before", "private", "after"),
    [("PRIVATE", "0", "PRIVATE"), ("PUBLIC", "1", "PRIVATE"), ("PUBLIC", "0", "PUBLIC")],
)
def test_what_is_private_in_either_stays_private(
    alice: User, bring: Bring, before: str, private: str, after: str
) -> None:
    add_card(curator=alice, type="URL", url=PAGE, visibility=before)

    bring(alice, bookmark(PRIVATE=private, note="a secret"), visibility="PUBLIC")

    card = Card.objects.get()
    assert (card.text, card.visibility) == ("a secret", after)


def test_rows_of_one_page_meet_across_batches(alice: User, bring: Bring) -> None:
    many = "".join(
        f'<DT><A HREF="https://example.org/{number % 150}" TAGS="{number}">T</A>\n'
        for number in range(300)
    )

    done = bring(alice, many.encode())

    assert added_and_more(done) == (150, 0, 150, 0)
    assert {len(tags) for tags in Card.objects.values_list("tags", flat=True)} == {2}


def test_a_note_for_which_there_is_no_room_fails_and_says_so(
    alice: User, bring: Bring, client_of: Client
) -> None:
    add_card(curator=alice, type="URL", url=PAGE, text="x" * (limits.TEXT_LENGTH - 3))

    done = bring(alice, bookmark(TAGS="lost?", note="too much"))

    (row,) = client_of(alice).get(f"/api/v1/imports/{done['id']}/rows/").json()["results"]
    assert added_and_more(done) == (0, 0, 0, 1)
    assert (row["line"], row["code"]) == (1, "no_room")
    assert Card.objects.get().tags == []


def test_a_reference_completes_the_bookmark_of_its_page(alice: User, bring: Bring) -> None:
    add_card(curator=alice, type="URL", url="https://doi.org/10.1000/182", title="Seen", tags=["a"])
    entry = b"@article{k, title={A work}, author={Munro, Alice}, doi={10.1000/182}, keywords={b}}"

    done = bring(alice, entry)

    card = Card.objects.get()
    assert added_and_more(done) == (0, 0, 1, 0)
    assert (card.type, card.title, card.tags) == ("REFERENCE", "Seen", ["a", "b"])
    assert card.reference["author"] == [{"family": "Munro", "given": "Alice"}]
    assert card.reference["title"] == "A work"


CHAPTERS = b"""
@incollection{a, title={One}, booktitle={B}, url={https://example.org/book}, keywords={x}}
@incollection{b, title={Two}, booktitle={B}, url={https://example.org/book}}
@incollection{c, title={Two}, booktitle={B}, url={https://example.org/book}, keywords={y}}
@misc{d, title={One}, url={https://example.org/book}, keywords={z}}
"""


def test_chapters_that_share_a_page_are_cards_of_their_own(alice: User, bring: Bring) -> None:
    done = bring(alice, CHAPTERS)
    again = bring(alice, CHAPTERS)

    one, two = Card.objects.order_by("id")
    assert added_and_more(done) == (2, 0, 2, 0)
    assert added_and_more(again) == (0, 4, 0, 0)
    assert (one.title, one.tags, two.title, two.tags) == ("One", ["x", "z"], "Two", ["y"])
    assert one.link == two.link == "https://example.org/book"


def test_a_dry_run_counts_what_would_be_merged(alice: User, bring: Bring) -> None:
    add_card(curator=alice, type="URL", url="https://example.org/", title="Home")
    file = TWICE + b'<DT><A HREF="https://example.org/">Home</A>'

    dry = bring(alice, file, dry_run="true")

    assert added_and_more(dry) == (1, 1, 3, 0)
    assert Card.objects.count() == 1


def test_the_library_that_comes_back_changes_no_card(
    alice: User, bring: Bring, client_of: Client
) -> None:
    card, _ = add_card(curator=alice, type="URL", url=PAGE, text="before", tags=["old"])
    exported = client_of(alice).get("/api/v1/exports/?format=json").getvalue()
    update_card(card=card, text="after", tags=[])

    back, again = bring(alice, exported), bring(alice, exported)

    assert added_and_more(back)[1:] == added_and_more(again)[1:] == (1, 0, 0)
    assert Card.objects.get().text == "after"


def item(**fields: Any) -> Item:
    """Return a row of the page."""
    return Item(line=1, guid=PAGE, url=PAGE, title="A title", **fields)


@contextmanager
def adding(job: Import, *items: Item) -> Iterator[list[Outcome]]:
    """Add rows in another transaction, which has begun to wait when the block begins."""
    outcomes: list[Outcome] = []

    def add() -> None:
        with transaction.atomic():
            outcomes.append(add_items(job, items))
        connection.close()

    thread = threading.Thread(target=add)
    thread.start()
    try:
        wait_for(someone_waits, seconds=20, what="the other transaction waits")
        yield outcomes
    finally:
        thread.join(timeout=20)


def test_two_imports_of_one_page_at_once_lose_nothing(alice: User) -> None:
    one, two = (Import.objects.create(owner=alice, source_kind="upload") for _ in range(2))

    with transaction.atomic():
        add_items(one, [item(text="from one", tags=("a",))])
        # It ends in another thread, once this transaction has.
        block = adding(two, item(text="from two", tags=("b",)))
        outcomes = block.__enter__()
    block.__exit__(None, None, None)

    card = Card.objects.get()
    assert (card.text, card.tags) == ("from one\n\nfrom two", ["a", "b"])
    assert (outcomes[0].added, len(outcomes[0].merges)) == (0, 1)


def test_an_edit_at_the_same_moment_loses_nothing(alice: User) -> None:
    job = Import.objects.create(owner=alice, source_kind="upload")
    with transaction.atomic():
        add_items(job, [item(text="before", tags=("a",))])
    card = Card.objects.get()

    with transaction.atomic():
        update_card(card=card, text="edited", tags=["a", "mine"], visibility="PRIVATE")
        block = adding(job, item(text="imported", tags=("b",)))
        block.__enter__()
    block.__exit__(None, None, None)

    card.refresh_from_db()
    assert (card.text, card.tags) == ("edited\n\nimported", ["a", "mine", "b"])
    assert card.visibility == "PRIVATE"


def test_a_row_is_merged_by_as_many_statements_as_a_hundred(
    alice: User, django_assert_max_num_queries: Any
) -> None:
    job = Import.objects.create(owner=alice, source_kind="upload")
    Collection.objects.create(owner=alice, name="C")
    urls = [f"https://example.org/{number}" for number in range(100)]
    for url in urls:
        add_card(curator=alice, type="URL", url=url)
    items = [
        Item(line=1, guid=url, url=url, text="note", tags=("t",), collections=(("C",),))
        for url in urls
    ]

    with transaction.atomic(), django_assert_max_num_queries(25):
        outcome = add_items(job, items)

    assert len(outcome.merges) == 100
