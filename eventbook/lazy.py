"""Packages whose names load on first use (PEP 562)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def loading(package: str, names: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package: `names` lists what each of its modules provides.

    A module without names provides itself.
    """
    homes = {name: module for module, provided in names.items() for name in provided}
    modules = {module.rpartition(".")[2]: module for module in names if not names[module]}

    def load(name: str) -> Any:
        if name in homes:
            return getattr(import_module(f"{package}.{homes[name]}"), name)
        if name in modules:
            return import_module(f"{package}.{modules[name]}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return load
