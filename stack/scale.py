"""The scale of a stack: the number of processes of each group, and each group's own variables."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

from stack.programs import Program, copies_of, process_groups, replace_text

# These groups listen on a fixed port, so that one machine can't run two processes of them.
LISTENING = {"web": "PORT", "flower": "FLOWER_PORT", "exporter": "EXPORTER_PORT"}
MAX_COUNT = 20
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class ScaleRefused(ValueError):
    """The requested scale is impossible; the message says what is possible."""


@dataclass(frozen=True)
class Group:
    """The scale of one process group; `variables` are set beside the stack's environment."""

    count: int = 1
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Scale:
    """The groups that were scaled since the stack started; every other one has one process."""

    groups: Mapping[str, Group] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the scale in a file of `write`; without a file, one process for each group."""
        with suppress(FileNotFoundError):
            return cls(
                {
                    name: Group(**group)
                    for name, group in json.loads(path.read_text(encoding="utf-8")).items()
                }
            )
        return cls()

    def write(self, path: Path) -> None:
        """Write a JSON file."""
        groups = {name: asdict(group) for name, group in self.groups.items()}
        replace_text(path, json.dumps(groups))

    def programs(self) -> list[Program]:
        """Return the programs of all groups, with the commands of fly.toml."""
        return [program for name in process_groups() for program in self.programs_of(name)]

    def programs_of(self, name: str) -> list[Program]:
        """Return the programs of one group."""
        group = self.groups.get(name, Group())
        return copies_of(name, group.count, group.variables)

    def with_count(self, name: str, text: str) -> Self:
        """Return a copy with another count for one group; `text` is the count as typed.

        Raise ScaleRefused for an unknown group or a count that is out of range.
        """
        group = self._known(name)
        if not (text.isdecimal() and int(text) <= MAX_COUNT):
            raise ScaleRefused(f"{name}={text}: give a number of processes from 0 to {MAX_COUNT}.")
        if int(text) > 1 and name in LISTENING:
            raise ScaleRefused(
                f"{name} listens on one port ({LISTENING[name]}), so one machine runs one of it or"
                f" none; on Fly.io any number may run."
            )
        return self._with(name, replace(group, count=int(text)))

    def with_variables(self, name: str, variables: Mapping[str, str]) -> Self:
        """Return a copy with variables set for one group; an empty value removes a variable.

        Raise ScaleRefused for an unknown group, or a variable that supervisord can't pass on.
        """
        group = self._known(name)
        for variable, value in variables.items():
            if not NAME.fullmatch(variable) or not value.isprintable():
                raise ScaleRefused(f"{variable}={value}: give NAME=value, on one line.")
        together = {**group.variables, **variables}
        kept = {variable: value for variable, value in together.items() if value}
        return self._with(name, replace(group, variables=kept))

    def _with(self, name: str, group: Group) -> Self:
        return type(self)({**self.groups, name: group})

    def _known(self, name: str) -> Group:
        """Return a process group's count and variables; raise ScaleRefused for an unknown name."""
        names = process_groups()
        if name not in names:
            raise ScaleRefused(
                f"There is no process group {name!r}. There are: {', '.join(names)}."
            )
        return self.groups.get(name, Group())
