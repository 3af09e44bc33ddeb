"""Read Prometheus' rules and their PromQL expressions, and run promtool on them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.harness.processes import ROOT
from tests.harness.tools import tool

PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES = PROMETHEUS / "rules.yml"
# Words that look like metrics in an expression.
WORDS = {"and", "or", "unless", "on", "by", "without", "ignoring", "offset", "bool", "e9"}


def selected(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Yield the metrics of an expression, each with the labels in its selector."""
    grouped = re.sub(r"\b(?:by|on|without|ignoring) \([^)]*\)", " ", expression)
    for name, selector in re.findall(
        r"([a-zA-Z_:][\w:]*)(?!\w)(?!\s*\()(\{[^}]*\})?", re.sub(r"\[[^]]*\]", "", grouped)
    ):
        if name not in WORDS and not name.startswith("$"):
            yield name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))


def grouped_by(expression: str) -> set[str]:
    """Return the labels by which an expression groups or joins."""
    lists = re.findall(r"\b(?:by|on) \(([^)]*)\)", expression)
    return {label.strip() for text in lists for label in text.split(",") if label.strip()}


def rules() -> list[dict[str, Any]]:
    """Return all rules of the rules file."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool, and return the finished process."""
    command = [tool("promtool", package="prometheus"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)
