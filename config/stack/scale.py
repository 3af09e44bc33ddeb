"""How many processes of each group a running stack has, and which variables of their own."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

from config.stack.programs import Program, copies_of, fly

# Each listens on a port of its own, which no second process of one machine could have.
LISTENING = {"web": "PORT", "flower": "FLOWER_PORT", "exporter": "EXPORTER_PORT"}
MOST = 20


class ScaleRefused(ValueError):
    """What was asked for can't be; the message says what can."""


@dataclass(frozen=True)
class Group:
    """This is one process group: how many processes it has, and their variables."""

    count: int = 1
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Scale:
    """This is what was asked for since the stack began; other groups have one process each."""

    groups: Mapping[str, Group] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote, or the default before that."""
        with suppress(FileNotFoundError):
            return cls(
                {
                    name: Group(**group)
                    for name, group in json.loads(path.read_text(encoding="utf-8")).items()
                }
            )
        return cls()

    def write(self, path: Path) -> None:
        """Keep it in a file, which a reader never sees half written."""
        unfinished = path.with_suffix(".new")
        unfinished.write_text(
            json.dumps({name: asdict(group) for name, group in self.groups.items()}),
            encoding="utf-8",
        )
        unfinished.replace(path)

    def programs(self) -> list[Program]:
        """Return one program a process, by the very commands of fly.toml."""
        return [program for name in fly()["processes"] for program in self.programs_of(name)]

    def programs_of(self, name: str) -> list[Program]:
        """Return one program a process of one group."""
        group = self.groups.get(name, Group())
        return copies_of(name, group.count, group.variables)

    def scaled(self, name: str, text: str) -> Self:
        """Return the same with another count for one group, or raise ScaleRefused."""
        group = self._known(name)
        if not (text.isdecimal() and int(text) <= MOST):
            raise ScaleRefused(f"{name}={text}: give a number of processes from 0 to {MOST}.")
        if int(text) > 1 and name in LISTENING:
            raise ScaleRefused(
                f"{name} listens on one port ({LISTENING[name]}), so one machine runs one of it or"
                f" none; on Fly.io any number may run."
            )
        return self._with(name, replace(group, count=int(text)))

    def changed(self, name: str, variables: Mapping[str, str]) -> Self:
        """Return the same with variables set for one group; an empty one is as it was before."""
        group = self._known(name)
        together = {**group.variables, **variables}
        kept = {variable: value for variable, value in together.items() if value}
        return self._with(name, replace(group, variables=kept))

    def _with(self, name: str, group: Group) -> Self:
        return type(self)({**self.groups, name: group})

    def _known(self, name: str) -> Group:
        names = fly()["processes"]
        if name not in names:
            raise ScaleRefused(
                f"There is no process group {name!r}. There are: {', '.join(names)}."
            )
        return self.groups.get(name, Group())
