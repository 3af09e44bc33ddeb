"""Peers in two languages write the same rows by the same SQL."""

from __future__ import annotations

import re

import pytest

from benchmarks.report import ROOT
from benchmarks.statements import EFFECTS

SOURCE = (ROOT / "benchmarks" / "node" / "effects.mjs").read_text()


@pytest.mark.parametrize("queue", EFFECTS)
def test_javascript_runs_the_statement_that_python_runs(queue: str) -> None:
    found = re.search(rf"{queue}: `(.*?)`", SOURCE, re.DOTALL)

    assert found
    assert found[1].replace("$1", "%s").split() == EFFECTS[queue].split()
