"""What a turn of our own log earned: by what people did, or by labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import polars as pl

from tacit.events.store import Record
from tacit.labels.build import read_labels
from tacit.types import InputError

RewardName = Literal["click", "accept", "item label", "turn label"]
NAMES: tuple[RewardName, ...] = get_args(RewardName)
LIKED = frozenset({"click", "expand", "copy", "more_like_this"})  # events that count as a click on an item


@dataclass(frozen=True)
class Earned:
    """``places`` in the order of the slate, or ``slate`` as a whole; ``weight`` is how much the turn counts."""

    places: tuple[float, ...] | None = None
    slate: float | None = None
    weight: float = 1.0


class Rewards:
    """Of turns, by one definition. ``labels`` is a folder of ``tacit labels``, which the two label rewards need."""

    def __init__(self, name: str, labels: Path | None = None) -> None:
        if name not in NAMES:
            raise InputError(f"--reward {name}: choose among {', '.join(NAMES)}.")
        if (labels is None) == name.endswith("label"):
            needs = "needs --labels FOLDER, as `tacit labels` makes it" if labels is None else "takes no --labels"
            raise InputError(f"--reward {name} {needs}.")
        self.name, self.by_place = name, name in ("click", "item label")
        self._turns: Mapping[str, tuple[float | None, float]] = {}
        self._items: Mapping[tuple[str, str], float] = {}
        if labels is not None:
            rows = read_labels(labels, "turns").select("exposure_id", "reward", "weight").collect()
            self._turns = {row[0]: (row[1], row[2]) for row in rows.iter_rows()}
        if labels is not None and self.by_place:
            items = read_labels(labels, "items").filter(pl.col("reward").is_not_null())
            rows = items.select("exposure_id", "item_id", "reward").collect()
            self._items = {(row[0], row[1]): row[2] for row in rows.iter_rows()}

    def of(self, record: Record) -> Earned | None:
        """None where it was not observed, or is not yet: no event came in, or no label is there."""
        exposure = record.exposure
        if self.name in ("click", "accept"):
            if not record.events:
                return None
            return _clicked(record) if self.by_place else Earned(slate=float(_has(record, ("accept",))))
        reward, weight = self._turns.get(exposure.exposure_id, (None, 0.0))
        if not weight:
            return None
        if not self.by_place:
            return None if reward is None else Earned(slate=reward, weight=weight)
        items = [self._items.get((exposure.exposure_id, shown.item_id)) for shown in exposure.items]
        if items and all(value is None for value in items):
            return None
        return Earned(places=tuple(value or 0.0 for value in items), weight=weight)  # what was not seen earned nothing


def _clicked(record: Record) -> Earned:
    clicked = {event.item_id for _, event in record.events if event.kind in LIKED}
    return Earned(places=tuple(float(shown.item_id in clicked) for shown in record.exposure.items))


def _has(record: Record, kinds: Sequence[str]) -> bool:
    return any(event.kind in kinds for _, event in record.events)
