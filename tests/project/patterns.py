"""Find all regular expressions of the project, and search for texts that make them slow.

`python -m tests.project.patterns` prints the expressions at fault: those with nested quantifiers
that can both backtrack, and those that exceed a time limit on a long text.
"""

from __future__ import annotations

import ast
import importlib
import itertools
import json
import pkgutil
import re
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness.processes import ROOT
from tests.project.source import PACKAGES

sre: Any = importlib.import_module("re._constants")
parser: Any = importlib.import_module("re._parser")

# Modules with side effects on import, and the benchmarks, whose requirements the tests lack.
NOT_IMPORTED = {"benchmarks", "migrations", "flowerconfig", "wsgi"}
# A quantifier that allows this many repeats counts as unlimited.
MANY = 64
LENGTH = 20_000
# Of CPU time. An expression with quadratic time needs some ten seconds for a text of LENGTH.
SECONDS = 0.2
ATTACKS = 50  # texts tried on each expression
SIGNS = " \t\n<>a0Z-.,:;/\"'[]{}()=!?&#@%\\|é_~–"
# Expressions that never get a long text, and why.
BOUNDED = {
    r"<(?:[^>\"']++|\"[^\"]*+\"|'[^']*+')*+>": "matched at one place, within 8,192 characters",
    "[^:]+:.+": "an operator's own setting",
}
GIVING_BACK = (sre.MAX_REPEAT, sre.MIN_REPEAT)
REPEATS = (*GIVING_BACK, sre.POSSESSIVE_REPEAT)


@dataclass(frozen=True)
class Found:
    """A regular expression and its place in the source (file:line)."""

    place: str
    pattern: Any
    flags: int


class TooSlow(BaseException):
    """A search took longer than its limit."""


def patterns() -> list[Found]:
    """Return every expression that is compiled on import or written inside a function."""
    found: dict[tuple[Any, int], Found] = {}
    compiled = re._compile  # type: ignore[attr-defined]

    def noting(pattern: Any, flags: int) -> Any:
        frame = sys._getframe(1)
        while frame.f_code.co_filename == re.__file__ and frame.f_back:
            frame = frame.f_back
        file = Path(frame.f_code.co_filename)
        if isinstance(pattern, str | bytes) and _is_ours(file):
            place = f"{file.relative_to(ROOT)}:{frame.f_lineno}"
            found.setdefault((pattern, int(flags)), Found(place, pattern, int(flags)))
        return compiled(pattern, flags)

    re._compile = noting  # type: ignore[attr-defined]
    try:
        for name in _modules():
            module = importlib.import_module(name)
            for each in _inside_functions(module):
                found.setdefault((each.pattern, each.flags), each)
    finally:
        re._compile = compiled  # type: ignore[attr-defined]
    return list(found.values())


def _is_ours(file: Path) -> bool:
    return file.is_relative_to(ROOT) and file.relative_to(ROOT).parts[0] in PACKAGES


def _modules() -> Iterator[str]:
    for package in PACKAGES:
        for found in pkgutil.walk_packages([str(ROOT / package)], f"{package}."):
            if not NOT_IMPORTED & set(found.name.split(".")):
                yield found.name


def _inside_functions(module: Any) -> Iterator[Found]:
    """Yield the patterns passed to `re` functions in a module's source."""
    tree = ast.parse(Path(module.__file__).read_text())
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr=name), args=[first, *_]):
                if name == "escape" or isinstance(first, ast.Name):
                    continue  # compiled on import under its name, or no pattern
                try:
                    pattern = eval(compile(ast.Expression(first), "", "eval"), vars(module))
                except NameError:
                    continue  # uses a factory's arguments, and is compiled on import as well
                place = f"{Path(module.__file__).relative_to(ROOT)}:{node.lineno}"
                yield Found(place, pattern, 0)


def parsed(found: Found) -> Any:
    """Return the parsed tree of an expression."""
    return parser.parse(found.pattern, found.flags)


def nested(tree: Any, *, inside: bool = False) -> bool:
    """Return whether unlimited quantifiers are nested, and both can backtrack."""
    for op, value in tree:
        if op in GIVING_BACK and value[1] >= MANY:
            if inside or nested(value[2], inside=True):
                return True
        elif any(nested(part, inside=inside) for part in _parts(op, value)):
            return True
    return False


def _parts(op: Any, value: Any) -> list[Any]:
    """Return the sequences within a node, except in atomic groups and possessive quantifiers."""
    if op in GIVING_BACK:
        return [value[2]]
    if op is sre.SUBPATTERN:
        return [value[3]]
    if op is sre.BRANCH:
        return list(value[1])
    if op in (sre.ASSERT, sre.ASSERT_NOT):
        return [value[1]]
    return []


def attacks(found: Found) -> Iterator[str]:
    """Yield texts that almost match: a prefix, then a quantifier's body repeated very often."""
    tree = parsed(found)
    seen = set()
    for before, body in _pumps(tree, ""):
        for sign in (body, before + body):
            for text in (
                before + sign * (LENGTH // len(sign)) + "\0",
                sign * (LENGTH // len(sign)),
            ):
                if sign and text not in seen:
                    seen.add(text)
                    yield text


def _pumps(tree: Any, before: str) -> Iterator[tuple[str, str]]:
    """Yield (prefix, body) for each quantifier that allows MANY repeats."""
    for op, value in tree:
        if op in REPEATS and value[1] >= MANY:
            yield from ((before, body) for body in _samples(value[2]) if body)
        if op in REPEATS:
            inner = [value[2]]
        elif op is sre.ATOMIC_GROUP:
            inner = [value]
        else:
            inner = _parts(op, value)
        for part in inner:
            yield from _pumps(part, before)
        before += next(iter(_samples([(op, value)])), "")
    if before:
        yield "", before


def _samples(tree: Any) -> list[str]:
    """Return some texts that a sequence matches approximately."""
    choices = [_of_node(op, value) for op, value in tree]
    return ["".join(parts) for parts in itertools.islice(itertools.product(*choices), 6)]


def _of_node(op: Any, value: Any) -> list[str]:
    """Return up to six texts that one node of the tree matches approximately."""
    if op is sre.LITERAL:
        return [chr(value)]
    if op in (sre.IN, sre.NOT_LITERAL, sre.ANY):
        return [sign for sign in SIGNS if _takes(op, value, sign)][:6] or [""]
    if op in REPEATS:
        least = max(value[0], 1 if value[1] else 0)
        return [text * min(least, MANY) for text in _samples(value[2])] or [""]
    if op is sre.ATOMIC_GROUP:
        return _samples(value)
    if op in (sre.SUBPATTERN, sre.BRANCH):
        return [text for part in _parts(op, value) for text in _samples(part)][:6] or [""]
    return [""]


def _takes(op: Any, value: Any, sign: str) -> bool:
    """Return whether a node that matches single characters matches this one."""
    if op is sre.ANY:
        return sign != "\n"
    if op is sre.NOT_LITERAL:
        return bool(ord(sign) != value)
    negated = value[0][0] is sre.NEGATE
    return bool(negated != any(_is_in(kind, what, sign) for kind, what in value[negated:]))


def _is_in(kind: Any, what: Any, sign: str) -> bool:
    """Return whether a character is in one member of a character class."""
    if kind is sre.LITERAL:
        return bool(ord(sign) == what)
    if kind is sre.RANGE:
        return bool(what[0] <= ord(sign) <= what[1])
    tests: dict[str, Any] = {
        "DIGIT": str.isdigit,
        "SPACE": str.isspace,
        "WORD": lambda s: s.isalnum() or s == "_",
    }
    name = str(what).removeprefix("CATEGORY_").replace("UNI_", "")
    test = tests.get(name.removeprefix("NOT_"))
    return bool(test and test(sign) != name.startswith("NOT_"))


def slow(found: Found) -> str:
    """Return the beginning of a text on which a search takes too long, or ""."""
    pattern = re.compile(found.pattern, found.flags)
    for text in itertools.islice(attacks(found), ATTACKS):
        given: Any = text.encode("utf-8", "replace") if isinstance(found.pattern, bytes) else text
        signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS, 0.1)
        try:
            pattern.search(given)
            pattern.sub(type(given)(), given, 1)
        except TooSlow:
            return text[:40]
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return ""


def main() -> None:
    import django

    django.setup()
    found = patterns()
    faults = [
        {"place": each.place, "pattern": str(each.pattern), "fault": fault}
        for each in found
        if (fault := fault_of(each))
    ]
    json.dump({"patterns": len(found), "faults": faults}, sys.stdout, indent=1)


def fault_of(found: Found) -> str:
    """Return the fault of an expression ("nested" or "slow: …"), or ""."""
    signal.signal(signal.SIGVTALRM, _stop)
    if nested(parsed(found)):
        return "nested"
    beginning = "" if found.pattern in BOUNDED else slow(found)
    return f"slow: {beginning!r}" if beginning else ""


def _stop(number: int, frame: Any) -> None:
    raise TooSlow


if __name__ == "__main__":
    main()
