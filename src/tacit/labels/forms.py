"""Logged turns with their rewards, for trainers elsewhere (``data.trainer_forms``).

``events.preferences`` writes what people *said* of replies; here the label is the reward, of all that was observed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tacit.data.trainer_forms import Answer, Answered, Form, write
from tacit.events.preferences import prompts, said_by, spoken
from tacit.events.store import Record, Store
from tacit.labels.build import read_labels
from tacit.types import InputError

Label = Mapping[str, Any]


def write_form(store: Store, labels: Path, form: Form, path: Path, left_out: Counter[str]) -> int:
    """How many rows now stand in ``path``: those of sessions of people who agree to training, with their words."""
    known = turn_labels(labels)
    rewards = {label["reward"] for label in known.values()}
    if form == "trl-kto" and len(rewards) == 1:
        raise InputError(
            f"{path} was not written: every turn has the reward {rewards.pop():g}, so that none stands out."
        )
    answered = (turn for session in spoken(store, left_out) for turn in _turns(session, known))
    count = write(path, answered, form, mean_reward(known))
    if not count:
        raise InputError(f"{path} was not written: {_NOTHING[form == 'trl-dpo']}.")
    return count


_NOTHING = {
    False: "no turn has a reward and its words; see `tacit labels` for why",
    True: "no turn was answered twice with rewards that differ, which pairs are made of; trl-kto takes single answers",
}


def turn_labels(labels: Path) -> dict[str, Label]:
    """By exposure, those with a reward."""
    known = read_labels(labels, "turns").filter(pl.col("reward").is_not_null())
    found = known.select("exposure_id", "reward", "weight", "censored").collect()
    return {row["exposure_id"]: row for row in found.iter_rows(named=True)}


def mean_reward(labels: Mapping[str, Label]) -> float:
    """Weighted: the mark between what was liked and what was not."""
    weight = sum(label["weight"] for label in labels.values())
    return sum(label["weight"] * label["reward"] for label in labels.values()) / weight if weight else 0.0


def _turns(session: Sequence[Record], labels: Mapping[str, Label]) -> Iterator[Answered]:
    for prompt, exchange in prompts(session):
        found = [_answer(answer, labels) for answer in exchange.answers if _worth(answer, labels)]
        if found:
            yield prompt, found


def _worth(answer: Record, labels: Mapping[str, Label]) -> bool:
    return answer.exposure.exposure_id in labels and bool(said_by(answer))


def _answer(answer: Record, labels: Mapping[str, Label]) -> Answer:
    exposure = answer.exposure
    label, items = labels[exposure.exposure_id], tuple(shown.item_id for shown in exposure.items)
    earned = (label["reward"], exposure.user, exposure.exposure_id, label["weight"], label["censored"])
    return Answer(said_by(answer), items, *earned)
