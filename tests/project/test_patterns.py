"""No text makes a regular expression of the project slow."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.harness.processes import ROOT, environment
from tests.project.patterns import Found, fault_of


def test_no_expression_takes_longer_than_its_text_is_long(db: None) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.project.patterns"],
        cwd=ROOT,
        env=environment() | {"DJANGO_SETTINGS_MODULE": "config.settings"},
        capture_output=True,
        text=True,
        check=True,
    )

    report = json.loads(done.stdout)
    assert report["faults"] == []
    assert report["patterns"] > 80


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        (r"(?:<!--.{0,2000}?-->|\s)*<opml", "nested"),
        (r"(\w+\s?)*$", "nested"),
        (r"(?:x(?=a*)b+)*", "nested"),
        (r"\s*\n\s*\n\s*", "slow: "),
        (r"<(script)\b.{0,100000}?</\1>", "slow: "),
        (r"\s+$", "slow: "),
        (rb".*=.*;", "slow: "),
        (r"^(?:\w++\s++)*+$", ""),
        (r"<[^<>]{0,1000}>", ""),
        (r"(\d{4})-(\d{2})", ""),
    ],
)
def test_the_check_tells_slow_expressions_from_quick_ones(pattern: str, fault: str) -> None:
    found = fault_of(Found("", pattern, 0))

    assert found.startswith(fault)
    assert bool(found) == bool(fault)
