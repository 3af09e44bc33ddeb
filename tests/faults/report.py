"""Report each fault and its verdict, as a table and as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.faults.judge import Verdict
from tests.faults.sizes import SEED
from tests.harness.processes import ROOT


@dataclass
class Case:
    """One fault; `seconds` is the longest time from its repair until all deliveries ended."""

    fault: str
    did: str
    seconds: float = 0.0
    lost: int = 0
    doubled: int = 0
    verdict: str = "fail"

    def recovered(self, seconds: float) -> None:
        """Record the seconds of a recovery; the longest counts."""
        self.seconds = max(self.seconds, round(seconds, 1))

    def judged(self, verdict: Verdict) -> None:
        """Record a verdict; raise Unclean if the judge found problems."""
        self.lost += verdict.lost
        self.doubled += verdict.doubled
        verdict.require_clean()


class Report:
    """The cases of one run."""

    def __init__(self) -> None:
        self.cases: list[Case] = []
        self.began = time.monotonic()

    @contextmanager
    def case(self, fault: str, *, did: str) -> Iterator[Case]:
        """Report one fault, which passes if the block ends without an exception."""
        case = Case(fault, did)
        self.cases.append(case)
        yield case
        case.verdict = "pass"

    def table(self) -> Iterator[str]:
        """Yield the lines of the table."""
        names = ("fault", "what was done", "seconds", "lost", "doubled", "verdict")
        rows = [
            (c.fault, c.did, f"{c.seconds:.1f}", str(c.lost), str(c.doubled), c.verdict)
            for c in self.cases
        ]
        widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
        for row in (names, *rows):
            left = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
            right = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
            yield "  ".join([*left, *right])
        yield f"seed {SEED}, {time.monotonic() - self.began:.0f} s"

    def write(self, path: Path = ROOT / ".data" / "faults.json") -> None:
        """Write the figures as JSON."""
        path.parent.mkdir(exist_ok=True)
        figures = {"seed": SEED, "faults": [asdict(case) for case in self.cases]}
        path.write_text(json.dumps(figures, indent=2) + "\n")
