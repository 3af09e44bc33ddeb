"""Packages whose names load on first use (PEP 562)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def loading(package: str, names: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """Return a `__getattr__` for a package, which imports the module of a name on first use.

    `names` lists the names that each module provides; a module without names provides itself.
    """
    module_of = {name: module for module, provided in names.items() for name in provided}
    modules = {module.rpartition(".")[2]: module for module in names if not names[module]}

    def load(name: str) -> Any:
        if name in module_of:
            return getattr(import_module(f"{package}.{module_of[name]}"), name)
        if name in modules:
            return import_module(f"{package}.{modules[name]}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return load
