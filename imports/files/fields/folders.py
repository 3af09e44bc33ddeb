"""The folders around a row, with their visibility and description."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from imports.files.fields.privacy import Privacy
from imports.files.items import collection_name


@dataclass
class Folder:
    """A folder; paths skip a folder without a name.

    `is_reported` is true once an item has carried the folder's description and visibility.
    """

    name: str
    privacy: Privacy = field(default_factory=Privacy)
    description: str = ""
    is_reported: bool = False


def privacy_within(folders: Sequence[Folder], own: Privacy) -> Privacy:
    """Return the privacy of a row: its own mark, else private if any folder around it is."""
    if own.private is None and any(folder.privacy.private for folder in folders):
        return Privacy(True, own.warning)
    return own


def path_of(folders: Sequence[Folder]) -> tuple[tuple[str, ...], ...]:
    """Return the path of folders in the form of `Item.collections`."""
    names = tuple(folder.name for folder in folders if folder.name)
    return (names,) if names else ()


def collection_details_of(folders: Sequence[Folder]) -> Mapping[str, Mapping[str, str]]:
    """Return the innermost folder's details in the form of `Item.collection_details`, only once."""
    named = [folder for folder in folders if folder.name]
    if not named or named[-1].is_reported:
        return {}
    named[-1].is_reported = True
    details = {"description": named[-1].description, "visibility": _visibility(named)}
    details = {name: value for name, value in details.items() if value}
    return {collection_name(folder.name for folder in named): details} if details else {}


def _visibility(folders: Sequence[Folder]) -> str:
    """Return the stated visibility of a folder, or ""; within a private folder, private."""
    stated = [each.privacy.private for each in folders if each.privacy.private is not None]
    return ("PRIVATE" if any(stated) else "PUBLIC") if stated else ""
