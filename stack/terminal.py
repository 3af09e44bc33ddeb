"""The output of commands, whose encoding may lack some characters of the text."""

from __future__ import annotations

import sys
from io import TextIOWrapper


def allow_any_text() -> None:
    """Make stdout and stderr escape characters outside their encoding instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class SaysWhatToDo(RuntimeError):
    """An error whose message says what went wrong and what to do; its traceback helps nobody."""
