"""The folders that rows stand in, and what a file says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cards.imports.formats.privacy import Privacy
from cards.imports.items import one_line


@dataclass
class Folder:
    """A folder; one without a name is passed over in paths."""

    name: str
    privacy: Privacy = field(default_factory=Privacy)
    description: str = ""
    is_told: bool = False


def within(folders: Sequence[Folder], own: Privacy) -> Privacy:
    """Return who may see a row of its own, or else of the folders that it stands in."""
    if own.private is None and any(folder.privacy.private for folder in folders):
        return Privacy(True, own.warning)
    return own


def path_of(folders: Sequence[Folder]) -> tuple[tuple[str, ...], ...]:
    """Return the path of folders as an item has it."""
    names = tuple(folder.name for folder in folders if folder.name)
    return (names,) if names else ()


def told_of(folders: Sequence[Folder]) -> Mapping[str, Mapping[str, str]]:
    """Return what a file says of the innermost folder, once: of the first row in it."""
    named = [folder for folder in folders if folder.name]
    if not named or named[-1].is_told:
        return {}
    named[-1].is_told = True
    told = {"description": named[-1].description, "visibility": _visibility(named)}
    told = {name: value for name, value in told.items() if value}
    return {one_line(" / ".join(folder.name for folder in named)): told} if told else {}


def _visibility(folders: Sequence[Folder]) -> str:
    """Return what is stated of a folder: what is in a private one is private too."""
    stated = [each.privacy.private for each in folders if each.privacy.private is not None]
    return ("PRIVATE" if any(stated) else "PUBLIC") if stated else ""
