"""What the processes of the stack write: their log files, followed and shown with their names."""

import os
from itertools import cycle
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.text import Text

COLORS = ("cyan", "green", "magenta", "yellow", "blue", "bright_red", "bright_cyan")


class Follower:
    """This yields the lines that were added to a log file since the last look."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] | None = None
        self._rest = b""
        self._skip = path.stat().st_size if path.exists() else 0  # what earlier runs wrote

    def lines(self) -> list[str]:
        """This is every whole line since the last call, over a rotation of the file too."""
        text = self._rest + self._read()
        if self._rotated():
            text += self._read()
        *whole, self._rest = text.split(b"\n")
        return [line.decode("utf-8", "replace").rstrip("\r") for line in whole]

    def _read(self) -> bytes:
        if self._file is None:
            if not self.path.exists():
                return b""
            self._file = self.path.open("rb")
            self._file.seek(self._skip)
            self._skip = 0
        return self._file.read()

    def _rotated(self) -> bool:
        if self._file is None or not self.path.exists():
            return False
        if self._file_number() == self.path.stat().st_ino:
            return False
        self._file.close()
        self._file = None
        return True

    def _file_number(self) -> int:
        return os.fstat(self._file.fileno()).st_ino if self._file else 0


class Lines:
    """This prints what all programs write, each line with the name of its program."""

    def __init__(self, console: Console, log: Path, names: list[str]) -> None:
        self.console = console
        self.width = max(map(len, names))
        colors = cycle(COLORS)
        self.followers = [(name, next(colors), Follower(log / f"{name}.log")) for name in names]

    def show(self) -> None:
        """This prints the lines since the last call."""
        for name, color, follower in self.followers:
            for line in follower.lines():
                text = Text.assemble((f"{name:{self.width}} | ", color), Text.from_ansi(line))
                self.console.print(text, soft_wrap=True, highlight=False)
