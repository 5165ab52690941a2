"""Guards measured: candidate and current policy answer the same logged turns, as they would be served, and what they
say and show is counted. Temperature 1 and no ε: what a server mixes in is the same for both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from tacit.catalog import Catalog
from tacit.dialogue.policy.policy import Policy
from tacit.events.schema import Exposure
from tacit.events.store import Record, Store
from tacit.offpolicy.guards import Measured, Side
from tacit.offpolicy.served import mixture_of
from tacit.serve.rebuild import Rebuilt, answers, rebuilt
from tacit.serve.turns import Asked, open_turns
from tacit.slates import OUT_OF_REACH, Mixture, draw, logprobs
from tacit.types import Floats64, ItemId

BATCH = 16


@dataclass(frozen=True)
class Answered:
    """What one policy does in n turns: P(it recommends) [n], slate logits [n, items], a slate each, words a reply."""

    catalog: Catalog
    p_recommend: Floats64
    logits: Floats64
    slates: tuple[tuple[ItemId, ...], ...]
    words: float

    def side(self) -> Side:
        return Side(self.words, Counter(item for slate in self.slates for item in slate))

    def logprob(self, n: int, items: Sequence[ItemId], mixture: Mixture | None = None) -> float:
        """Of a slate in turn n, nats; -inf where an item is not in the catalogue."""
        if not all(item in self.catalog for item in items):
            return -np.inf
        return float(logprobs(self.logits[n], [self.catalog.index(item) for item in items], mixture).sum())


def measure(store: Store, candidate: Policy, current: Policy, most: int, past_sessions: int, seed: int = 0) -> Measured:
    """On ``most`` logged turns that showed a slate, drawn among all; the two policies draw with the same seed."""
    chosen = _some(_slates(store, candidate.catalog, past_sessions), most, np.random.default_rng(seed))
    named = {turn.record.exposure.exposure_id: turn for turn in chosen}
    theirs = {
        turn.record.exposure.exposure_id: turn.asked
        for turn in _slates(store, current.catalog, past_sessions)
        if turn.record.exposure.exposure_id in named
    }
    both = [turn for name, turn in named.items() if name in theirs]
    if not both:
        return Measured(0, Side(0.0), Side(0.0))
    own = answered(candidate, [turn.asked for turn in both], seed)
    other = answered(current, [theirs[turn.record.exposure.exposure_id] for turn in both], seed)
    rate, rate_current = _refused([turn.record for turn in both], own)
    return Measured(len(both), own.side(), other.side(), _kl(own, other), rate, rate_current)


def _slates(store: Store, catalog: Catalog, past_sessions: int) -> Iterator[Rebuilt]:
    turns = rebuilt(store, catalog, past_sessions, Counter())
    return (turn for turn in turns if turn.record.exposure.items)


def _some(turns: Iterator[Rebuilt], most: int, generator: np.random.Generator) -> list[Rebuilt]:
    """``most`` of them, each equally likely, however many come (Vitter's algorithm R)."""
    kept = list(islice(turns, most))
    for number, turn in enumerate(turns, start=most):
        place = int(generator.integers(number + 1))
        if place < most:
            kept[place] = turn
    return kept


def answered(policy: Policy, turns: Sequence[Asked], seed: int) -> Answered:
    chance, words = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    shares, logits, slates, lengths = list[Floats64](), list[Floats64](), list[tuple[ItemId, ...]](), list[int]()
    for start in range(0, len(turns), BATCH):
        part = turns[start : start + BATCH]
        p, rows = answers(policy, part)
        shares.append(p)
        logits.append(rows)
        slates += [_slate(policy, row, chance) for row in rows]
        lengths += _lengths(policy, part, chance, words)
    return Answered(
        policy.catalog, np.concatenate(shares), np.concatenate(logits), tuple(slates), float(np.mean(lengths))
    )


def _slate(policy: Policy, row: Floats64, chance: np.random.Generator) -> tuple[ItemId, ...]:
    """As if it had decided to recommend."""
    size = min(policy.config.slate_size, int(np.count_nonzero(row > OUT_OF_REACH)))
    return tuple(policy.catalog.items[place].id for place in draw(row, size, chance).rows) if size else ()


def _lengths(policy: Policy, turns: Sequence[Asked], chance: np.random.Generator, words: torch.Generator) -> list[int]:
    """Words of a reply in each turn, whatever it decides."""
    writing = open_turns(policy, turns, [Mixture()] * len(turns), chance)
    replies = list(writing.answers)
    while writing.answers:
        writing.step(words)
    for reply in replies:
        reply.next_piece()
    return [len(reply.said.split()) for reply in replies]


def _kl(own: Answered, other: Answered) -> float:
    """KL of the decision, exactly, and of the slate by the one that was drawn, Σ_k log P(k | before) - log P'(k | …)"""
    p, q = (np.clip(part.p_recommend, 1e-12, 1.0 - 1e-12) for part in (own, other))
    decision = p * np.log(p / q) + (1.0 - p) * np.log((1.0 - p) / (1.0 - q))
    slates = np.array([own.logprob(n, items) - other.logprob(n, items) for n, items in enumerate(own.slates)])
    return float((decision + p * slates).mean())


def _refused(shown: Sequence[Record], own: Answered) -> tuple[float | None, float]:
    """Share of slates to which a person said no: weighed by what the candidate would do (SNIPS), and as it was."""
    was = np.array([_said_no(record) for record in shown], dtype=np.float64)
    weights = np.array([_ratio(record.exposure, own, n) for n, record in enumerate(shown)])
    total = float(weights.sum())
    return (float((weights * was).sum() / total) if total > 0.0 else None), float(was.mean())


def _said_no(record: Record) -> bool:
    return any(
        event.kind in ("not_for_me", "dismiss") or (event.kind == "thumb" and event.value == -1)
        for _, event in record.events
    )


def _ratio(exposure: Exposure, own: Answered, n: int) -> float:
    """Of decision and slate, served as this one was."""
    slate = own.logprob(n, [shown.item_id for shown in exposure.items], mixture_of(exposure))
    decision = float(np.log(max(own.p_recommend[n], 1e-300)))
    return float(np.exp(slate + decision - exposure.logprob))
