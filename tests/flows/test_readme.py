"""What the README says, pasted into a shell."""

from __future__ import annotations

import json
import re
import subprocess

from tests.flows.running_stack import RunningStack
from tests.harness.processes import ROOT


def test_a_first_card_works_as_pasted(stack: RunningStack) -> None:
    text = (ROOT / "README.md").read_text().partition("## A first card")[2]
    commands = text.split("```")[1].replace("127.0.0.1:8000", f"127.0.0.1:{stack.port}")
    commands = re.sub(r"\balice\b", "pastes", commands)

    done = subprocess.run(
        ["bash", "-c", commands], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    card, feed = (json.loads(line) for line in re.findall(r"\{.*?\}(?=\{|\s*$)", done.stdout))
    assert card["url"] == "https://www.postgresql.org/docs/"
    assert feed["results"][0]["id"] == card["id"]
