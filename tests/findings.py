"""What the doctor finds, as tests ask for it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

from events.diagnosis import Finding


def found(findings: Iterable[Finding]) -> dict[str, Finding]:
    """These are the findings by their subject."""
    return {finding.subject: finding for finding in findings}


def bad(findings: Iterable[Finding], subject: str) -> str:
    """This is what is wrong with a subject, and what is to be done."""
    finding = found(findings)[subject]
    assert not finding.well, finding
    assert finding.advice
    return f"{finding.text} → {finding.advice}"


def ago(seconds: float) -> Any:
    """This is the time so many seconds ago, by PostgreSQL's clock."""
    return Now() - timedelta(seconds=seconds)
