"""Peers in two languages write the same rows by the same SQL."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection

from benchmarks.report import ROOT
from benchmarks.statements import EFFECTS, INSERT_CARD
from cards.models import Card
from eventbook.database.ids import new_id
from eventbook.database.statements import execute

NODE = ROOT / "benchmarks" / "node"
SOURCE = (NODE / "effects.mjs").read_text()
FASTIFY = (NODE / "statements.mjs").read_text()


@pytest.mark.parametrize("queue", EFFECTS)
def test_javascript_runs_the_statement_that_python_runs(queue: str) -> None:
    found = re.search(rf"{queue}: `(.*?)`", SOURCE, re.DOTALL)

    assert found
    assert found[1].replace("$1", "%s").split() == EFFECTS[queue].split()


@pytest.mark.django_db
def test_the_card_that_peers_insert_fits_the_table(django_user_model: Any) -> None:
    curator = django_user_model.objects.create(username="alice")

    execute(f"{INSERT_CARD} RETURNING 1", [new_id(), curator.pk])

    assert Card.objects.get().curator == curator


@pytest.mark.django_db
@pytest.mark.parametrize("name", re.findall(r"export const (\w+) = `", FASTIFY))
def test_the_statements_of_fastify_fit_the_tables(name: str) -> None:
    found = re.search(rf"export const {name} = `(.*?)`", FASTIFY, re.DOTALL)

    assert found
    with connection.cursor() as cursor:
        cursor.execute(f"PREPARE of_fastify AS {found[1]}")
        cursor.execute("DEALLOCATE of_fastify")
