"""Read XML as a stream of elements, each complete with its children."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from imports.files.documents import Document
from imports.files.items import clean
from imports.files.markup import repaired, tokens


@dataclass
class Node:
    """An XML element with its attributes, text and children."""

    name: str
    attributes: dict[str, str]
    line: int
    text: str = ""
    children: list[Node] = field(default_factory=list)

    def find(self, *path: str) -> Node | None:
        """Return the first descendant at a path of element names, or None."""
        node: Node | None = self
        for name in path:
            node = next((each for each in node.children if each.name == name), None)  # type: ignore[union-attr]
            if node is None:
                return None
        return node

    def children_named(self, name: str) -> list[Node]:
        """Return the children with this name."""
        return [child for child in self.children if child.name == name]

    def content(self, *path: str) -> str:
        """Return the text of the element at a path, or ""."""
        node = self.find(*path)
        return clean(node.text) if node else ""

    @property
    def about(self) -> str:
        """Return the RDF identifier by which other elements refer to this one."""
        return self.attributes.get("about") or "#" + self.attributes.get("ID", "")

    @property
    def whole_text(self) -> str:
        """Return the text of this element and all its descendants."""
        return self.text + "".join(child.whole_text for child in self.children)


def elements(document: Document, *, depth: int = 1) -> Iterator[Node]:
    """Yield the elements `depth` levels below the root.

    Raise Unreadable for faulty XML, after yielding the complete elements before the fault.
    """
    open_nodes: list[Node] = []
    for is_start, name, value, line in tokens(repaired(document)):
        if is_start:
            node = Node(name, value, line)
            if len(open_nodes) > depth:
                open_nodes[-1].children.append(node)
            open_nodes.append(node)
        else:
            node = open_nodes.pop()
            node.text = value
            if len(open_nodes) == depth:
                yield node
