"""Named evaluation protocols: which cases are counted, against which candidates, and what happens to repeats.

The rule of a case is that of the message-level standard for ReDial (Kostric & Balog, SIGIR 2026): an agent *message*
(a speaker's consecutive messages are not merged) that names at least one catalogue item and has a context gives one
case per distinct item. A repeated item was named or shown earlier in the dialogue. Slices:

* ``all``: every case, nothing masked;
* ``repeated``: the repeated items, nothing masked;
* ``new``: the other items, ranked with everything mentioned so far masked out;
* ``clicked``, ``accepted``, ``liked``: the items of which the log says that the person did so (``dialogue.responses``),
  nothing masked; there where such an answer is logged at all;
* ``unseen``: the items that no training dialogue names or shows, nothing masked; there where there are some.

What an agent showed is a case whether or not it was wanted: ``all`` measures imitation of that agent.

The ranks themselves are counted in ``tacit.referee.ranks``, ties against the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from tacit.catalog import Catalog
from tacit.dialogue.responses import UNKNOWN, Response, responses
from tacit.referee.protocols import Protocol
from tacit.referee.ranks import CaseRanks, concatenate, draw_negatives, rank_full, rank_sampled
from tacit.types import Bools, Dialogue, TestSet

Scores = npt.NDArray[np.floating]
Ranks = npt.NDArray[np.int64]

SLICES = ("all", "new", "repeated")
RESPONSES = ("clicked", "accepted", "liked")  # slices of the same names; None = not observed
UNSEEN = "unseen"


def protocols(dataset: str) -> tuple[Protocol, Protocol]:
    """The full-catalogue standard first, then the sampled reading, under which popularity alone gets HR@5 45–48 on
    ReDial (counted on 901 validation dialogues): it is printed to be comparable in shape, never as a headline."""
    return Protocol(f"{dataset}-standard"), Protocol("sampled-99", negatives=99)


@dataclass(frozen=True, slots=True)
class Case:
    """One gold item of one agent message. ``gold`` and ``mentioned`` are catalogue rows.

    ``response`` is what the person did with the item; ``unseen``: no training dialogue names or shows it;
    ``answer``: the words of the message.
    """

    context: Dialogue
    gold: int
    repeated: bool
    mentioned: tuple[int, ...]
    dialogue: str
    turn: int
    response: Response = UNKNOWN
    unseen: bool = False
    answer: str = ""

    @property
    def place(self) -> str:
        """The context's id in a run file."""
        return f"{self.dialogue}:{self.turn}"


def cases(test: TestSet, catalog: Catalog) -> tuple[Case, ...]:
    """Every case, in the order of the dialogues; the cases of one message stand together and share a context.

    ``catalog`` carries its training counts.
    """
    found: list[Case] = []
    for dialogue in test.dialogues:
        for t, turn in enumerate(dialogue.turns):
            if turn.speaker != "agent" or turn.slate is None or not _has_context(dialogue, t):
                continue
            context = dialogue.before(t)
            mentioned = tuple(catalog.index(item) for item in context.mentioned())
            for item, response in responses(dialogue, t).items():
                gold = catalog.index(item)
                unseen = bool(catalog.counts[gold] == 0)
                what = gold in mentioned, mentioned, dialogue.id, t, response, unseen, turn.text
                found.append(Case(context, gold, *what))
    return tuple(found)


def _has_context(dialogue: Dialogue, t: int) -> bool:
    return any(turn.text.strip() or turn.mentions for turn in dialogue.turns[:t])


def contexts(found: Sequence[Case]) -> list[list[Case]]:
    """Cases grouped by message: a context is scored once, however many items it was answered with."""
    return [list(group) for _, group in groupby(found, key=lambda case: (case.dialogue, case.turn))]


def rank_cases(
    found: Sequence[Case],
    score: Callable[[Sequence[Dialogue]], Scores],
    chosen: Sequence[Protocol],
    catalog: Catalog,
    seed: int,
    batch: int = 64,
    advance: Callable[[int], None] | None = None,
) -> dict[str, CaseRanks]:
    """Ranks of every case under every protocol, scoring each context once, ``batch`` contexts at a time."""
    groups = contexts(found)
    parts: dict[str, list[CaseRanks]] = {protocol.name: [] for protocol in chosen}
    negatives: dict[str, npt.NDArray[np.int64]] = {}
    at = 0
    for chunk in _chunks(groups, batch):
        scores = np.asarray(score([group[0].context for group in chunk]))
        if np.isnan(scores).any():
            raise ValueError("a ranker returned NaN scores")
        n_cases = sum(len(group) for group in chunk)
        for protocol in chosen:
            if not protocol.negatives:
                parts[protocol.name].append(rank_full(scores, chunk))
                continue
            if protocol.name not in negatives:
                negatives[protocol.name] = draw_negatives(found, catalog, protocol.negatives, seed, protocol.drawn)
            drawn = negatives[protocol.name][at : at + n_cases]
            parts[protocol.name].append(rank_sampled(scores, chunk, drawn))
        at += n_cases
        if advance is not None:
            advance(len(chunk))
    return {name: concatenate(ranks) for name, ranks in parts.items()}


Observed = Mapping[str, Bools]  # slice of what was observed → the cases that belong to it, [n]


def in_slice(name: str, repeated: npt.NDArray[np.bool_], observed: Observed = MappingProxyType({})) -> Bools:
    """Which cases belong to a slice. [n] bool."""
    masks: Mapping[str, Bools] = {
        "all": np.ones(len(repeated), dtype=bool),
        "new": ~repeated,
        "repeated": repeated,
        **observed,
    }
    return masks[name]


def slice_ranks(
    name: str, ranks: CaseRanks, repeated: npt.NDArray[np.bool_], observed: Observed = MappingProxyType({})
) -> Ranks:
    """The ranks that count in a slice: masked for new items, unmasked else."""
    return (ranks.masked if name == "new" else ranks.full)[in_slice(name, repeated, observed)]


def _chunks(groups: Sequence[list[Case]], size: int) -> Iterator[Sequence[list[Case]]]:
    for start in range(0, len(groups), size):
        yield groups[start : start + size]
