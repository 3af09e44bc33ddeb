"""Describe exceptions for logs and dashboards by class and place, never by message.

A message may quote private text, an address with its token, or a row of a table. The full text of a
handler's failure is stored with its delivery, where only staff can read it.
"""

from __future__ import annotations

import re
import traceback
from pathlib import Path

from billiard.einfo import RemoteTraceback

# A frame in the text of another process's traceback; other lines may quote private text.
FRAME = re.compile(r'^  File "([^"\n]+)", line (\d+), in ([\w.<>]+)$', re.MULTILINE)
ROOT = Path(__file__).resolve().parent.parent.parent


def name_of(error: BaseException) -> str:
    """Return the class name of an exception with its module, without one for built-in classes."""
    kind = type(error)
    return (
        kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    )


def class_and_place(error: BaseException) -> str:
    """Return an exception's class and where it was raised.

    For example `ValueError at feeds/services.py:84 in fan_out`. The place is the innermost frame in
    this project's code, or the innermost of all if none is.
    """
    frames = [*_remote_frames(error.__cause__), *traceback.extract_tb(error.__traceback__)]
    ours = [frame for frame in frames if is_ours(frame.filename)]
    if not frames:
        return name_of(error)
    frame = (ours or frames)[-1]
    return f"{name_of(error)} at {short_path(frame.filename)}:{frame.lineno} in {frame.name}"


def connection_error(error: BaseException) -> str:
    """Return the class and the message's first line; only for errors of a connection to a server.

    Their first line names the cause; later lines may quote a statement.
    """
    first, _, _ = str(error).partition("\n")
    return f"{name_of(error)}: {first}" if first else name_of(error)


def traceback_without_messages(error: BaseException) -> str:
    """Return an exception's traceback without messages, after those of its causes."""
    lines: list[str] = []
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if frames := _remote_frames(cause):
            lines[:0] = traceback.format_list(frames)
        else:
            lines[:0] = [*traceback.format_tb(cause.__traceback__), f"{name_of(cause)}\n"]
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "".join(lines).rstrip()


def _remote_frames(error: BaseException | None) -> list[traceback.FrameSummary]:
    """Return the frames of an exception that a worker's child process sent as text."""
    if not isinstance(error, RemoteTraceback):
        return []
    found = FRAME.findall(str(error.tb))
    return [traceback.FrameSummary(file, int(line), name) for file, line, name in found]


def is_ours(filename: str) -> bool:
    """Return whether a file belongs to this project, not to a library."""
    return filename.startswith(f"{ROOT}/") and "site-packages" not in filename


def short_path(filename: str) -> str:
    """Return a file's path relative to the project or to the libraries' folder."""
    if is_ours(filename):
        return str(Path(filename).relative_to(ROOT))
    return filename.rpartition("site-packages/")[2]
