"""Turns of our own log, with what another policy would have done in each, as a ``Log``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tacit.catalog import Catalog
from tacit.events.schema import Exposure
from tacit.events.store import Record
from tacit.offpolicy.log import Log
from tacit.offpolicy.rewards import Earned
from tacit.offpolicy.verdict import Check
from tacit.slates import OUT_OF_REACH, Mixture, draw, probabilities
from tacit.types import Floats64, InputError, ItemId

SAMPLED = 8  # items at each place, and slates, that are drawn of what the policy to be judged would show instead
CLOSE = 0.02  # nats: float32 in batches of other sizes differs by less
MOST_OFF = 0.01


@dataclass(frozen=True, eq=False)
class Judged:
    """A turn: what was served, what it earned, and what the other policy does there.

    ``places`` [K]: P(item k | items before) of the slate that was served. ``instead`` [K, M]: items drawn at each place
    after those served before it; ``slates`` [S, K]: slates of its own.
    """

    record: Record
    earned: Earned
    p_recommend: float
    places: Floats64
    instead: list[list[ItemId]] = field(default_factory=list)
    slates: list[tuple[ItemId, ...]] = field(default_factory=list)


def mixture_of(exposure: Exposure) -> Mixture:
    """How the slate was drawn: the other policy would be served the same way."""
    return Mixture(exposure.epsilon, exposure.temperature, exposure.top_k or None, exposure.top_p)


def judged(
    record: Record,
    earned: Earned,
    p_recommend: float,
    logits: Floats64,
    catalog: Catalog,
    size: int,
    generator: np.random.Generator,
    sampled: int = SAMPLED,
) -> Judged:
    """``p_recommend`` and ``logits`` [items] are the other policy's in this turn; ``size`` of its slates."""
    mixture = mixture_of(record.exposure)
    size = min(size, int(np.count_nonzero(logits > OUT_OF_REACH)))
    slates = [draw(logits, size, generator, mixture).rows for _ in range(sampled)] if size else []
    names = [tuple(catalog.items[row].id for row in rows) for rows in slates]
    items = [shown.item_id for shown in record.exposure.items]
    if not items:
        return Judged(record, earned, p_recommend, np.zeros(0), [], names)
    if len(items) != size:  # it never shows slates of this length
        return Judged(record, earned, p_recommend, np.zeros(len(items)), [[] for _ in items], names)
    return Judged(record, earned, p_recommend, *_places(items, logits, catalog, mixture, generator, sampled), names)


def _places(
    items: Sequence[ItemId],
    logits: Floats64,
    catalog: Catalog,
    mixture: Mixture,
    generator: np.random.Generator,
    sampled: int,
) -> tuple[Floats64, list[list[ItemId]]]:
    """Probabilities of the items served, and what would be drawn at each place, after the items served before it.

    An item that this catalogue lacks could not have been drawn, nor what came after it.
    """
    rows = [catalog.index(item) if item in catalog else -1 for item in items]
    known = rows.index(-1) if -1 in rows else len(rows)
    found = np.zeros(len(items))
    found[:known] = probabilities(logits, rows[:known], mixture)
    instead: list[list[ItemId]] = []
    left = np.ones(len(logits), dtype=np.bool_)
    for k in range(len(items)):
        if k > known or not (left & (logits > OUT_OF_REACH)).any():
            instead.append([])
            continue
        drawn = [draw(logits, 1, generator, mixture, left).rows[0] for _ in range(sampled)]
        instead.append([catalog.items[row].id for row in drawn])
        if rows[k] >= 0:
            left[rows[k]] = False
    return found, instead


def to_log(turns: Sequence[Judged]) -> Log:
    """The log of these turns; ``InputError`` where there is none."""
    if not turns:
        raise InputError("The log has no turn that can be judged: see what was left out, and why.")
    shown = [turn.record.exposure for turn in turns]
    n, k = len(turns), max([1, *(len(exposure.items) for exposure in shown)])
    logged, target, rewards = np.full((n, k), np.nan), np.full((n, k), np.nan), np.full((n, k), np.nan)
    m = max([1, *(len(place) for turn in turns for place in turn.instead)])
    s = max([1, *(len(turn.slates) for turn in turns)])
    items, instead = np.full((n, k), "", dtype=object), np.full((n, k, m), "", dtype=object)
    slates = np.full((n, s, k), "", dtype=object)
    for i, (turn, exposure) in enumerate(zip(turns, shown, strict=True)):
        length = len(exposure.items)
        logged[i, :length] = [item.probability for item in exposure.items]
        target[i, :length] = turn.places
        items[i, :length] = [item.item_id for item in exposure.items]
        if turn.earned.places is not None:
            rewards[i, :length] = turn.earned.places
        for place, drawn in enumerate(turn.instead):
            instead[i, place, : len(drawn)] = drawn
        for number, slate in enumerate(turn.slates):
            slates[i, number, : len(slate[:k])] = slate[:k]
    recommended = np.array([exposure.decision == "recommend" for exposure in shown])
    p_logged, p_target = np.array([one.p_recommend for one in shown]), np.array([turn.p_recommend for turn in turns])
    whole = turns[0].earned.places is None
    return Log(
        logged=logged,
        target=target,
        rewards=np.array([turn.earned.slate for turn in turns], dtype=np.float64) if whole else rewards,
        sessions=np.array([exposure.session_id for exposure in shown], dtype=object),
        users=np.array([exposure.user for exposure in shown], dtype=object),
        logged_decision=np.where(recommended, p_logged, 1.0 - p_logged),
        target_decision=np.where(recommended, p_target, 1.0 - p_target),
        weight=np.array([turn.earned.weight for turn in turns]),
        versions=np.array([exposure.policy_version for exposure in shown], dtype=object),
        explored=np.array([exposure.bucket == "explore" for exposure in shown]),
        epsilon=np.array([exposure.epsilon for exposure in shown]),
        candidates=np.array([np.nan if one.candidates is None else one.candidates for one in shown], dtype=np.float64),
        items=items,
        target_items=instead,
        target_shares=np.where(instead == "", 0.0, 1.0 / m),
        target_slates=slates,
    )


def same_again(turns: Sequence[Judged]) -> Check:
    """``turns`` are judged for the very policy that drew them: it must get the probabilities back that were logged."""
    off = 0
    for turn in turns:
        exposure = turn.record.exposure
        p = turn.p_recommend if exposure.decision == "recommend" else 1.0 - turn.p_recommend
        with np.errstate(divide="ignore"):
            again = float(np.log(turn.places).sum() + np.log(p))
        off += not abs(again - exposure.logprob) <= CLOSE
    said = f"Asked again from the log's words, the policy that was served gives {off} of {len(turns)} turns another"
    if not turns:
        return Check(None, "No turn of a policy that is still there: nothing was asked again.")
    if off > MOST_OFF * len(turns):
        return Check(False, f"{said} probability: the words, the items or the policy are not those that were served.")
    return Check(True, f"{said} probability.")
