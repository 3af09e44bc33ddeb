"""The suite, tested: without what guards against a fault, the judge finds the damage."""

from __future__ import annotations

import pytest

from tests.faults.judge import Unclean, judge
from tests.faults.load import Load, kill_connections
from tests.faults.sizes import FULL
from tests.faults.world import World
from tests.harness.processes import DeadlinePassed

UNIQUE = "eventbook_delivery DROP CONSTRAINT one_delivery_per_handler"


def test_without_the_sweep_a_forgetful_broker_loses(world: World) -> None:
    restart(world, "relay", "no_sweep")
    load = Load(world)
    load.start()
    while any(author.is_alive() for author in load.authors):
        world.broker.forget_everything()
    load.finish()

    with pytest.raises((AssertionError, DeadlinePassed), match=r"still open|every delivery"):
        world.wait_recovered(seconds=15 if FULL else 8)

    verdict = judge(world, load)
    assert verdict.lost > 0
    with pytest.raises(Unclean, match="still open"):
        verdict.require_clean()


def test_without_the_outbox_a_broken_connection_loses(world: World) -> None:
    restart(world, "web", "no_outbox")
    load = Load(world, kinds=["page", "note"])
    kill_connections(world, load)
    world.wait_recovered()

    verdict = judge(world, load)

    assert verdict.lost > 0
    with pytest.raises(Unclean, match="missing"):
        verdict.require_clean()


def test_a_relay_that_forgets_what_it_published_doubles_only_without_uniqueness(
    world: World,
) -> None:
    restart(world, "relay", "unmarked")
    load = Load(world, kinds=["probe"])
    load.run()
    world.wait_recovered()
    judge(world, load).require_clean()

    world.reset()
    world.rows(f"ALTER TABLE {UNIQUE}")
    try:
        restart(world, "relay", "unmarked,no_uniqueness")
        load = Load(world, kinds=["probe"])
        load.run()
        world.wait_recovered()
        verdict = judge(world, load)
    finally:
        world.reset()
        world.rows(
            "ALTER TABLE eventbook_delivery ADD CONSTRAINT one_delivery_per_handler"
            " UNIQUE (event_id, handler, part)"
        )

    assert verdict.doubled > 0
    with pytest.raises(Unclean, match="too many"):
        verdict.require_clean()


def restart(world: World, name: str, mutation: str) -> None:
    """Start a process without one of its protections."""
    world.process(name).stop()
    world.process(name).start(MUTATION=mutation)
