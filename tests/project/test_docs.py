"""Each test that docs/events.md names as evidence exists."""

from __future__ import annotations

import re

import pytest

from tests.harness.processes import ROOT

TEXT = (ROOT / "docs" / "events.md").read_text()
BODY, _, NOTES = TEXT.partition("## Shown by")
SHOWN = dict(re.findall(r"^\[\^([\w-]+)\]: (.*)$", NOTES, re.MULTILINE))


@pytest.mark.parametrize("note", SHOWN)
def test_what_a_note_names_exists(note: str) -> None:
    named = re.findall(r"`(tests/[\w/.]*)`|`(test_\w+)`", SHOWN[note])

    path = ""
    for place, name in named:
        path = place or path
        if name:
            assert f"def {name}(" in (ROOT / path).read_text(), f"{path} has no {name}"
        else:
            assert (ROOT / path).exists(), f"there is no {path}"


def test_every_note_is_used_and_every_use_has_its_note() -> None:
    assert set(re.findall(r"\[\^([\w-]+)\]", BODY)) == set(SHOWN)


def test_every_promise_about_a_fault_has_a_note() -> None:
    _, _, rest = BODY.partition("## When something fails")
    table, _, _ = rest.partition("\n## ")
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]

    assert len(rows) > 15
    assert [row for row in rows if "[^" not in row] == []
