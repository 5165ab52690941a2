"""What the language model has read of the conversations that go on: a next turn reads only what is new.

It pays while a conversation's first words are in the window. Once the oldest utterances leave it, every token stands
elsewhere, and all of it is read again (docs/serving.md has the measured share).
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tacit.run.limits import at_least
from tacit.text.kv_cache import Prefix
from tacit.types import Dialogue

LEAST = 16  # tokens; to take over fewer saves nothing


@dataclass
class PrefixConfig:
    """Bounds of what is kept; 0 keeps nothing."""

    conversations: int = at_least(0, default=512)
    megabytes: int = at_least(0, default=256)


@dataclass(frozen=True)
class _Kept:
    user: str
    lm: weakref.ref[Any]  # a model that is served no longer is not held for this
    tokens: tuple[int, ...]
    prefix: Prefix


class Prefixes:
    """The latest of each conversation, the longest unused dropped first. Safe to call from any thread."""

    def __init__(self, config: PrefixConfig | None = None) -> None:
        self.config = config or PrefixConfig()
        self.forgotten = 0  # how often: what was opened before is not kept after
        self._kept: OrderedDict[tuple[str, int], _Kept] = OrderedDict()  # by conversation and model
        self._bytes, self._lock = 0, threading.RLock()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def bytes(self) -> int:
        return self._bytes

    def find(self, lm: Any, conversation: Dialogue, prompt: Sequence[int]) -> Prefix | None:
        """Of the prompt's first tokens, all of them but the last at most."""
        with self._lock:
            key = (conversation.id, id(lm))
            kept = self._kept.get(key)
            if kept is None or kept.lm() is not lm or kept.user != conversation.user:
                return None
            self._kept.move_to_end(key)
            n = min(_alike(kept.tokens, prompt), len(prompt) - 1)
            return kept.prefix.first(n) if n >= LEAST else None

    def keep(self, lm: Any, conversation: Dialogue, tokens: Sequence[int], prefix: Prefix | None, since: int) -> None:
        """``since`` is ``forgotten`` as it was when the turn began."""
        most = self.config.megabytes * 2**20
        with self._lock:
            if prefix is None or since != self.forgotten or not self.config.conversations or prefix.bytes > most:
                return
            key = (conversation.id, id(lm))
            self._drop(key)
            gone = weakref.ref(lm, lambda _: self._drop(key))
            self._kept[key] = _Kept(conversation.user, gone, tuple(tokens), prefix)
            self._bytes += prefix.bytes
            while len(self._kept) > self.config.conversations or self._bytes > most:
                self._drop(next(iter(self._kept)))

    def forget(self, user: str) -> None:
        """Of a person who was deleted, or agrees no longer."""
        with self._lock:
            self.forgotten += 1
            for key in [key for key, kept in self._kept.items() if kept.user == user]:
                self._drop(key)

    def _drop(self, key: tuple[str, int]) -> None:
        with self._lock:
            kept = self._kept.pop(key, None)
            if kept is not None:
                self._bytes -= kept.prefix.bytes


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    """How many of the first are equal in both."""
    for n, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return n
    return min(len(one), len(other))
