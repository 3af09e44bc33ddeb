"""Show the log files of the stack's programs as they grow, each line with its program's name."""

import os
from collections.abc import Iterable
from contextlib import suppress
from itertools import cycle
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLORS = ("cyan", "green", "magenta", "yellow", "blue", "bright_red", "bright_cyan")


class Follower:
    """Reads the lines that were added to a log file since the last call, as `tail -F` does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rotated = path.with_name(f"{path.name}.1")
        # Lines of earlier runs are not shown.
        self._inode, self._offset = (
            (path.stat().st_ino, path.stat().st_size) if path.exists() else (0, 0)
        )
        self._rest = b""

    def lines(self) -> list[str]:
        """Return each complete line since the last call, even if the file was rotated."""
        text = self._rest + self._added()
        *whole, self._rest = text.split(b"\n")
        return [line.decode("utf-8", "replace").rstrip("\r") for line in whole]

    def _added(self) -> bytes:
        """Return the new bytes; after a rotation, first the rest of the rotated file."""
        text = b""
        for path in (self.rotated, self.path):
            with suppress(FileNotFoundError), path.open("rb") as log:
                inode = os.fstat(log.fileno()).st_ino
                if path == self.path and inode != self._inode:
                    self._inode, self._offset = inode, 0
                if inode == self._inode:
                    log.seek(self._offset)
                    text += log.read()
                    self._offset = log.tell()
        return text


class Lines:
    """Prints the new log lines of all programs, each with the name of its program."""

    def __init__(self, console: Console, log: Path) -> None:
        self.console = console
        self.log = log
        self.width = 0
        self.colors = cycle(COLORS)
        self.followers: dict[str, tuple[str, Follower]] = {}

    def show(self, names: Iterable[str]) -> None:
        """Print each program's lines since the last call; a new program is followed from its end.

        Programs of earlier calls are followed on, whether or not they are in `names`.
        """
        for name in names:
            if name not in self.followers:
                self.followers[name] = next(self.colors), Follower(self.log / f"{name}.log")
                self.width = max(self.width, len(name))
        for name, (color, follower) in self.followers.items():
            for line in follower.lines():
                text = Text.assemble((f"{name:{self.width}} | ", color), Text.from_ansi(line))
                self.console.print(text, soft_wrap=True, highlight=False)
