"""The run file: what one system scored and said on a test, enough to compute every protocol without the system.

A folder (docs/referee.md has it in full, with an example):

* ``run.json``: ``{"format": "tacit-run", "version": 1, "system": "mine", "dataset": "redial"}``;
* ``items.jsonl``: the catalogue, one item a line (``item-v1``), ``count`` = mentions in the training dialogues;
* ``contexts.jsonl``: one line a context: its id, dialogue, turn, person, gold items, items named before, what was said,
  reply and reference reply;
* ``scores.npy``: numbers [contexts, items], row i for line i, column j for item j; higher is better; or, with
  ``candidates.jsonl`` (``referee.candidates``), [lists, 1 + candidates], the gold item's score first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from tacit.catalog import Catalog
from tacit.referee.candidates import CandidateLists
from tacit.types import ItemId

FORMAT, VERSION = "tacit-run", 1
RUN, ITEMS, CONTEXTS, SCORES, CANDIDATES = (
    "run.json",
    "items.jsonl",
    "contexts.jsonl",
    "scores.npy",
    "candidates.jsonl",
)
RESPONSES = ("clicked", "accepted", "liked")  # keys of a context: item → whether the person did so; absent = unknown
_NOTHING: Mapping[str, Mapping[ItemId, bool]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Context:
    """What was said before one message of the agent, the items that people then named (``gold``), and the reply.

    ``mentioned``: items named or shown before. ``said``: (speaker, text) of the messages before, oldest first, or None.
    ``responses``: ``clicked``, ``accepted``, ``liked`` → item → whether. A context without gold is not ranked.
    """

    id: str
    dialogue: str
    turn: int
    gold: tuple[ItemId, ...] = ()
    mentioned: tuple[ItemId, ...] = ()
    person: str | None = None
    said: tuple[tuple[str, str], ...] | None = None
    reply: str | None = None
    reference: str | None = None
    responses: Mapping[str, Mapping[ItemId, bool]] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True)
class RunFile:
    """A run file as read. ``scores`` [contexts, items], or [lists, 1 + candidates] beside ``candidates``; or None."""

    folder: Path
    system: str
    dataset: str
    catalog: Catalog
    contexts: tuple[Context, ...]
    scores: npt.NDArray[np.number] | None = None
    candidates: CandidateLists | None = None
    seed: int = 0
    made: Mapping[str, object] = field(default_factory=dict)

    @property
    def ranked(self) -> bool:
        """Whether the whole catalogue was scored."""
        return self.scores is not None and self.candidates is None
