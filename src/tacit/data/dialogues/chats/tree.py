"""A tree of messages, where an edit or a new answer begins a branch: the branch that a page shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def branch(
    nodes: Mapping[str, Any], current: Any, parent: str, children: str, counted: Callable[[int], None]
) -> list[dict[str, Any]]:
    """The nodes from the root to ``current``, or to the last leaf where it names none. ``parent`` and ``children`` are
    the nodes' keys. ``counted`` is told how many nodes with a message stand beside the branch.
    """
    known = {name: node for name, node in nodes.items() if isinstance(node, dict)}
    name = current if isinstance(current, str) and current in known else _last_leaf(known, parent, children)
    names: dict[str, None] = {}
    while isinstance(name, str) and name in known and name not in names:
        names[name] = None
        name = known[name].get(parent)
    counted(sum(1 for name, node in known.items() if name not in names and _speaks(node)))
    return [known[name] for name in reversed(names)]


def _last_leaf(nodes: Mapping[str, dict[str, Any]], parent: str, children: str) -> str | None:
    """From the first root along the last child of each."""
    name = next((name for name, node in nodes.items() if node.get(parent) not in nodes), None)
    seen = set[str]()
    while name is not None and name not in seen:
        seen.add(name)
        below = nodes[name].get(children)
        known = (
            [child for child in below if isinstance(child, str) and child in nodes] if isinstance(below, list) else []
        )
        if not known:
            return name
        name = known[-1]
    return name


def _speaks(node: Mapping[str, Any]) -> bool:
    message = node.get("message", node)
    if not isinstance(message, dict):
        return False
    author = message.get("author")
    role = author.get("role") if isinstance(author, dict) else message.get("role")
    return role in ("user", "assistant")
