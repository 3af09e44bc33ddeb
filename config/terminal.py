"""What commands write, and where: to a terminal or a file, in whatever encoding it has."""

from __future__ import annotations

import sys
from io import TextIOWrapper


def allow_any_text() -> None:
    """Let output that its encoding lacks be written as an escape, in place of an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
