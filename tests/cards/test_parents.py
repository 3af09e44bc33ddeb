"""Cards hang below each other, and never in a circle: by any way, and at the same moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import pytest
from django.core.exceptions import ValidationError
from rest_framework.test import APIClient

from accounts.models import User
from cards.models import Card
from cards.services import remove_card, update_card
from cards.services.parents import DEPTH
from imports.files.items import Item
from imports.jobs.adding import add_items
from imports.jobs.completion import complete
from imports.models import Import
from tests.harness.interleaving import second_session
from tests.harness.processes import wait_for
from tests.library import PAGE, save

pytestmark = pytest.mark.django_db(transaction=True)


def chain(curator: User, length: int) -> list[Card]:
    """Save so many cards, each below the one before."""
    cards: list[Card] = []
    for n in range(length):
        parent = cards[-1] if cards else None
        cards.append(save(curator, f"{PAGE}/{n}", parent=parent and parent.pk))
    return cards


def parents() -> dict[UUID, UUID | None]:
    return dict(Card.objects.values_list("pk", "parent_id"))


@pytest.mark.parametrize("length", [2, 3, DEPTH])
def test_a_card_cannot_hang_below_one_that_is_below_it(
    alice: User, client_of: Callable[[Any], APIClient], length: int
) -> None:
    first, *_, last = chain(alice, length)
    before = parents()

    answer = client_of(alice).patch(
        f"/api/v1/cards/{first.pk}/", {"parent": str(last.pk)}, format="json"
    )

    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["field"], error["code"]) == (400, "parent", "in_circle")
    assert "is an ancestor of that card" in error["detail"]
    assert parents() == before


@pytest.mark.parametrize("change", ["private", "removed", "deactivated"])
def test_a_parent_that_can_not_be_seen_is_as_one_that_is_gone(
    alice: User, bob: User, client_of: Callable[[Any], APIClient], change: str
) -> None:
    above = save(bob, f"{PAGE}/above")
    below = save(alice, f"{PAGE}/below", parent=above.pk)
    path, body = f"/api/v1/cards/{below.pk}/", {"parent": str(above.pk)}
    client = client_of(alice)
    seen = client.patch(path, body, format="json")

    if change == "private":
        update_card(card=above, visibility="PRIVATE")
    elif change == "removed":
        remove_card(card=above)
    else:
        User.objects.filter(pk=bob.pk).update(is_active=False)
    hidden = client.patch(path, body, format="json")

    assert (seen.status_code, seen.json()["parent"]) == (200, str(above.pk))
    (error,) = hidden.json()["errors"]
    assert (hidden.status_code, error["field"], error["code"]) == (400, "parent", "does_not_exist")
    assert client.patch(path, {"title": "Mine"}, format="json").status_code == 200


def test_a_circle_that_is_too_long_to_be_seen_is_refused(alice: User) -> None:
    first, *_, last = chain(alice, DEPTH + 2)
    before = parents()

    with pytest.raises(ValidationError, match="30 or more ancestors"):
        update_card(card=first, parent=last.pk)

    assert parents() == before


def test_people_cannot_close_a_circle_between_them(alice: User, bob: User) -> None:
    alices, bobs = save(alice), save(bob)
    update_card(card=alices, parent=bobs.pk)

    with pytest.raises(ValidationError, match="is an ancestor"):
        update_card(card=bobs, parent=alices.pk)


def test_a_card_hangs_elsewhere_in_the_tree_and_at_its_top(alice: User) -> None:
    first, second, third = chain(alice, 3)

    update_card(card=third, parent=first.pk)
    update_card(card=second, parent=third.pk)
    update_card(card=third, parent=None)

    assert parents() == {first.pk: None, second.pk: third.pk, third.pk: None}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_changes_at_once_close_no_circle(alice: User, order: Sequence[int]) -> None:
    cards = [save(alice, f"{PAGE}/{n}") for n in range(2)]
    below, above = (cards[n] for n in order)

    with second_session() as other:
        other.do(lambda: update_card(card=below, parent=above.pk))
        with second_session() as late:
            waiting = late.start(lambda: update_card(card=above, parent=below.pk))
            wait_for(lambda: late.waits() or waiting.done(), seconds=10, what="it waits")
            other.commit()
            refused = waiting.exception(timeout=10)

    assert isinstance(refused, ValidationError)
    assert parents() == {below.pk: above.pk, above.pk: None}


# -- Imports -------------------------------------------------------------------------------------


def item(name: str, parent: str = "") -> Item:
    return Item(
        line=1, source="elsewhere", guid=name, title=name, url=f"{PAGE}/{name}", parent=parent
    )


def bring(owner: User, items: Sequence[Item]) -> None:
    """Add items as the last batch of an import does."""
    job = Import.objects.create(owner=owner, source_kind="upload", status=Import.Status.RUNNING)
    outcome = add_items(job, items)
    assert outcome.problems == []
    complete(job)


def tree() -> dict[str, str | None]:
    return dict(Card.objects.values_list("title", "parent__title"))


def test_an_import_hangs_up_what_forms_no_circle(alice: User) -> None:
    with second_session() as other:
        items = [item("a", "b"), item("b", "c"), item("c", "a"), item("d", "d"), item("e", "f")]
        other.do(lambda: bring(alice, [*items, item("f"), item("g", "e")]))
        other.commit()

    alone = dict.fromkeys("abcd")
    assert tree() == alone | {"e": "f", "f": None, "g": "e"}


def test_an_import_closes_no_circle_with_what_is_there(alice: User) -> None:
    with second_session() as other:
        other.do(lambda: bring(alice, [item("a", "b")]))
        other.commit()
    a = Card.objects.get()
    below_a = save(alice, f"{PAGE}/b", title="b", parent=a.pk)

    with second_session() as other:
        other.do(lambda: bring(alice, [item("b")]))
        other.commit()

    assert parents() == {a.pk: None, below_a.pk: a.pk}


@pytest.mark.parametrize("first", ["child", "parent"])
def test_two_imports_that_end_at_once_find_each_others_parents(alice: User, first: str) -> None:
    files = [[item("child", "parent")], [item("parent")]]
    one, two = files if first == "child" else reversed(files)

    with second_session() as other, second_session() as late:
        other.do(lambda: bring(alice, one))
        waiting = late.start(lambda: bring(alice, two))
        wait_for(lambda: late.waits() or waiting.done(), seconds=10, what="it waits")
        other.commit()
        waiting.result(timeout=10)
        late.commit()

    assert tree() == {"child": "parent", "parent": None}
