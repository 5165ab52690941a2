"""``current.json``: which version is served, which were before it, and which candidate is given a share of sessions."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tacit.run.files import atomic_write, read_json
from tacit.types import InputError

FILE, FORMAT = "current.json", 1
REMEDY = "put it back from a copy, or remove it and register the policy again."


@dataclass(frozen=True)
class Canary:
    """A candidate that is given a share of the sessions. ``shares`` is (since, share), the last one in force; ``salt``
    mixes who is chosen anew for each canary."""

    version: str
    shares: tuple[tuple[int, float], ...]  # (milliseconds, above 0 and below 1)
    salt: str

    @property
    def share(self) -> float:
        return self.shares[-1][1]

    def chooses(self, session: str) -> bool:
        """Is a session that begins now given the candidate? Its place in [0, 1) never changes, so that a share which
        grows keeps those it had."""
        return self.place(session) < self.share

    def place(self, session: str) -> float:
        digest = hashlib.sha256(f"{self.salt}\n{session}".encode()).digest()
        return int.from_bytes(digest[:7], "big") / 2**56


@dataclass(frozen=True)
class Pointer:
    """What the registry says is served."""

    history: tuple[str, ...] = ()  # as they were promoted, the current one last
    canary: Canary | None = None
    audit: str | None = None  # hash of the row that moved it

    def to_json(self) -> dict[str, Any]:
        content: dict[str, Any] = {"format": FORMAT, "history": list(self.history)}
        if self.canary is not None:
            content["canary"] = {**asdict(self.canary), "shares": [list(one) for one in self.canary.shares]}
        return content if self.audit is None else {**content, "audit": self.audit}

    def save(self, folder: Path) -> None:
        """In one step."""
        atomic_write(folder / FILE, json.dumps(self.to_json(), indent=1) + "\n")

    def decided(self) -> dict[str, Any]:
        """What a row of the audit says of it."""
        return replace(self, audit=None).to_json()


def read_pointer(folder: Path) -> Pointer:
    """Of a registry's folder; an empty one where nothing was promoted yet. ``InputError`` where it is damaged."""
    path = folder / FILE
    if not path.is_file():
        return Pointer()
    content = read_json(path, REMEDY)
    if content.get("format") != FORMAT:
        raise InputError(f"{path} has format {content.get('format')!r}, and this version reads {FORMAT}: update tacit.")
    names = content.get("history")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path} is damaged, it names no versions: {REMEDY}")
    moved = content.get("audit")
    try:
        return Pointer(tuple(names), _canary(content.get("canary")), None if moved is None else str(moved))
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path} is damaged, its canary is none: {REMEDY}") from None


def _canary(content: Any) -> Canary | None:
    if content is None:
        return None
    shares = tuple((int(since), float(share)) for since, share in content["shares"])
    if not shares or not all(0.0 < share < 1.0 for _, share in shares):
        raise ValueError("a share that is none")
    return Canary(str(content["version"]), shares, str(content["salt"]))
