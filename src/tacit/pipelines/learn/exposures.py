"""The log and its labels → what is learnt from: dialogues, and exposures with their contexts as they were served."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import torch

from tacit.catalog import Catalog
from tacit.dialogue.train.head_on_log import Context
from tacit.dialogue.train.logged_slates import Logged
from tacit.events.dialogues import for_training
from tacit.events.schema import Exposure
from tacit.events.store import Record, Store
from tacit.events.store import sessions as stored_sessions
from tacit.labels.build import read_labels
from tacit.serve.rebuild import rebuilt
from tacit.slates import Mixture
from tacit.types import Dialogue, InputError

Label = Mapping[str, Any]


@dataclass(frozen=True)
class Known:
    """The labels of a round, by exposure; an exposure without one is not mature, or may not be learnt from."""

    turns: Mapping[str, Label]
    items: Mapping[tuple[str, str], Label]
    as_of: int

    @classmethod
    def of(cls, folder: Path, as_of: int) -> Known:
        columns = ("exposure_id", "item_id", "reward", "weight", "censored")
        turns = read_labels(folder, "turns").select(columns).collect().to_dicts()
        rows = read_labels(folder).filter(pl.col("reward").is_not_null()).select(columns).collect().to_dicts()
        by_item = {(row["exposure_id"], row["item_id"]): row for row in rows}
        return cls({row["exposure_id"]: row for row in turns}, by_item, as_of)


def mature_sessions(store: Store, known: Known) -> Iterator[list[Record]]:
    """Those with a label, as they were known at ``as_of``, by id."""
    for session in stored_sessions(store, "train"):
        if any(record.exposure.exposure_id in known.turns for record in session):
            yield [_then(record, known.as_of) for record in session if record.exposure.created_ms <= known.as_of]


def _then(record: Record, as_of: int) -> Record:
    return replace(record, events=tuple((ms, event) for ms, event in record.events if ms <= as_of))


def dialogues(
    store: Store, known: Known, catalog: Catalog, per_account: int, left_out: Counter[str]
) -> Iterator[Dialogue]:
    """The sessions as training reads them, at most ``per_account`` of a person: whichever their ids' hashes choose."""
    chosen = _capped(store, known, per_account)
    for session in mature_sessions(store, known):
        if session[0].exposure.session_id not in chosen:
            left_out["sessions of an account beyond its cap"] += 1
            continue
        if (found := for_training(session, catalog, left_out)) is not None:
            yield found


def _capped(store: Store, known: Known, per_account: int) -> set[str]:
    by_user: dict[str, list[str]] = {}
    for session in mature_sessions(store, known):
        by_user.setdefault(session[0].exposure.user, []).append(session[0].exposure.session_id)
    return {name for names in by_user.values() for name in sorted(names, key=_digest)[:per_account]}


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def is_held_out(user: str, share: float) -> bool:
    """Of so large a share of the people, the same ones in every round."""
    return int.from_bytes(_digest(user)[:4], "big") < share * 2**32


def logged_exposures(
    store: Store, known: Known, catalog: Catalog, past_sessions: int, left_out: Counter[str]
) -> list[tuple[Exposure, Context]]:
    """What recommended by chance and has a reward, in the context it was served in, by id."""
    found = [
        (turn.record.exposure, Context(turn.asked.read, turn.asked.wanted))
        for turn in rebuilt(store, catalog, past_sessions, left_out)
        if _usable(turn.record.exposure, known, catalog, left_out)
    ]
    return sorted(found, key=lambda pair: pair[0].exposure_id)


def _usable(exposure: Exposure, known: Known, catalog: Catalog, left_out: Counter[str]) -> bool:
    label = known.turns.get(exposure.exposure_id)
    if label is None or label["reward"] is None or not exposure.items:
        return False
    if any(shown.item_id not in catalog for shown in exposure.items):
        left_out["exposures with an item that the policy does not know"] += 1
        return False
    return True


def tensors(exposures: Sequence[Exposure], known: Known, catalog: Catalog) -> Logged:
    """``InputError`` where there are none."""
    if not exposures:
        raise InputError(
            "the log has no mature exposure with a slate drawn by chance and a reward: wait for more sessions, serve "
            "without --greedy, or use method=ppo."
        )
    width = max(len(exposure.items) for exposure in exposures)
    drawn = [Mixture(e.epsilon, e.temperature, e.top_k, e.top_p) for e in exposures]
    mixtures = list(dict.fromkeys(drawn))
    labels = [known.turns[e.exposure_id] for e in exposures]
    items = [[known.items.get((e.exposure_id, shown.item_id)) for shown in e.items] for e in exposures]

    def padded(rows: Sequence[Sequence[Any]], fill: Any, dtype: torch.dtype) -> torch.Tensor:
        return torch.tensor([[*row, *[fill] * (width - len(row))] for row in rows], dtype=dtype)

    rows = [[catalog.index(shown.item_id) for shown in e.items] for e in exposures]
    worth = [[math.nan if item is None else item["reward"] for item in row] for row in items]
    slate_logprobs = [sum(math.log(shown.probability) for shown in e.items) for e in exposures]
    return Logged(
        slates=padded([[*row, *row[:1] * (width - len(row))] for row in rows], 0, torch.long),
        mask=padded([[True] * len(row) for row in rows], False, torch.bool),
        logprob=torch.tensor(slate_logprobs, dtype=torch.float64),
        mixture=torch.tensor([mixtures.index(mixture) for mixture in drawn]),
        reward=torch.tensor([label["reward"] for label in labels], dtype=torch.float64),
        weight=torch.tensor([label["weight"] for label in labels], dtype=torch.float64),
        censored=torch.tensor([label["censored"] for label in labels]),
        item_reward=padded(worth, math.nan, torch.float64),
        item_censored=padded([[bool(i and i["censored"]) for i in row] for row in items], False, torch.bool),
        mixtures=tuple(mixtures),
    )
