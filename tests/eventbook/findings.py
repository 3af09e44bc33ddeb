"""Read the doctor's findings in tests."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

from eventbook.operate.diagnosis import Finding
from tests.harness.processes import environment


def found(findings: Iterable[Finding]) -> dict[str, Finding]:
    """Return findings by subject."""
    return {finding.subject: finding for finding in findings}


def doctor(**variables: str) -> dict[str, dict[str, Any]]:
    """Run the doctor with these environment variables, and return its findings by subject."""
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor", "--json"], env=environment() | variables,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return {each["subject"]: each for each in json.loads(done.stdout)}


def bad(findings: Iterable[Finding], subject: str) -> str:
    """Return "text → advice" of a subject's finding; fail if the subject is well."""
    finding = found(findings)[subject]
    assert not finding.well, finding
    assert finding.advice
    return f"{finding.text} → {finding.advice}"


def ago(seconds: float) -> Any:
    """Return the time this many seconds ago, as an expression on PostgreSQL's clock."""
    return Now() - timedelta(seconds=seconds)
