"""Private names of other libraries: those of Celery and its kind stand in one folder."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.harness.processes import ROOT
from tests.project.source import PACKAGES, imported, modules

BROKERS = "eventbook/brokers/"
INSIDES = ("billiard.pool", "celery.apps", "celery.concurrency", "celery.worker", "kombu.transport")
# Private by their spelling alone: documented, or part of Django's contract with its backends.
PUBLIC = {"_meta", "_default_manager", "_exit", "_make"}
# Elsewhere each name has a reason, in a comment where it stands.
KNOWN = {
    ("api/schema.py", "_get_response_bodies"),
    ("outside/connections.py", "_new_conn"),
    ("server/connections.py", "_start_asgi_task"),
}


def test_the_insides_of_celery_are_known_in_one_folder() -> None:
    found = {
        (path.relative_to(ROOT).as_posix(), name)
        for package in product()
        for path in modules(package)
        for name in imported(path)
        if f"{name}.".startswith(tuple(f"{inside}." for inside in INSIDES))
    }

    assert found
    assert {path for path, _ in found if not path.startswith(BROKERS)} == set()


def test_private_names_of_other_libraries_are_few_and_known() -> None:
    found = {
        (path.relative_to(ROOT).as_posix(), name)
        for package in product()
        for path in modules(package)
        for name in private_names(path.read_text(encoding="utf-8"))
    }

    assert {use for use in found if not use[0].startswith(BROKERS)} == KNOWN


def product() -> list[str]:
    """Return the packages that are installed in production."""
    return [package for package in PACKAGES if package not in {"benchmarks", "demo"}]


def private_names(source: str) -> Iterator[str]:
    """Yield the private attributes of other objects than `self` and `cls`."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                pass
            case ast.Attribute(attr=name) if name.startswith("_") and not name.startswith("__"):
                if name not in PUBLIC:
                    yield name
