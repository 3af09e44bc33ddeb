"""What is said of an exception where many can read it: its class and its place, never its message.

A message may hold what people wrote, an address with its token, or a row of a table. The whole text
of a handler's failure is kept with its delivery, where staff may read it.
"""

from __future__ import annotations

import re
import traceback
from pathlib import Path

from billiard.einfo import RemoteTraceback

# A frame in the text of a traceback that came from another process; the rest may quote anything.
FRAME = re.compile(r'^  File "([^"\n]+)", line (\d+), in ([\w.<>]+)$', re.MULTILINE)
ROOT = Path(__file__).resolve().parent.parent


def name_of(error: BaseException) -> str:
    """Return the class of an exception, as it is imported."""
    kind = type(error)
    return (
        kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    )


def told(error: BaseException) -> str:
    """Return what an exception is, and where it was raised: in our code, if it was there."""
    frames = [*_remote_frames(error.__cause__), *traceback.extract_tb(error.__traceback__)]
    ours = [frame for frame in frames if is_ours(frame.filename)]
    if not frames:
        return name_of(error)
    frame = (ours or frames)[-1]
    return f"{name_of(error)} at {place(frame.filename)}:{frame.lineno} in {frame.name}"


def reason(error: BaseException) -> str:
    """Return why a server can't be reached, for errors of the link to it, and nothing else.

    The first line says so; those after it may quote a statement.
    """
    first, _, _ = str(error).partition("\n")
    return f"{name_of(error)}: {first}" if first else name_of(error)


def trace(error: BaseException) -> str:
    """Return an exception's traceback after those of its causes, without their messages."""
    lines: list[str] = []
    seen: set[int] = set()
    story: BaseException | None = error
    while story is not None and id(story) not in seen:
        seen.add(id(story))
        if frames := _remote_frames(story):
            lines[:0] = traceback.format_list(frames)
        else:
            lines[:0] = [*traceback.format_tb(story.__traceback__), f"{name_of(story)}\n"]
        story = story.__cause__ or (None if story.__suppress_context__ else story.__context__)
    return "".join(lines).rstrip()


def _remote_frames(error: BaseException | None) -> list[traceback.FrameSummary]:
    """Return the frames of an exception of a worker's child: its cause has them as a text."""
    if not isinstance(error, RemoteTraceback):
        return []
    found = FRAME.findall(str(error.tb))
    return [traceback.FrameSummary(file, int(line), name) for file, line, name in found]


def is_ours(filename: str) -> bool:
    """Return whether a file is of this project, and not of a library."""
    return filename.startswith(f"{ROOT}/") and "site-packages" not in filename


def place(filename: str) -> str:
    """Return a file's name as it is found in the project or among the libraries."""
    if is_ours(filename):
        return str(Path(filename).relative_to(ROOT))
    return filename.rpartition("site-packages/")[2]
