"""What a reranker without texts can know of each candidate: its numbers, and its ties with the other candidates.

Whatever is counted over users is counted over training users only, and what a list's features say of its user is read
from the history strictly before the list's ``start``. Shapes: L lists of C candidates, n items.

Item-to-item weights [n, n] are made, read for all the lists and dropped, one after another: no more than two are in
memory at a time, for with Amazon's 17,332 items each takes 1.2 GB.

The ties deserve a word. The protocol hides *consecutive* interactions among items drawn at random, so candidates that
users tend to consume close together betray each other. Any reranker may see that, for it reads the whole list; but it
is knowledge of how the lists were made. Rows with and without the ties belong side by side in a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tacit.rerank.lists.lists import Histories, Lists, ListSplit
from tacit.rerank.lists.past import Past
from tacit.rerank.ranker.collaborative import (
    DECAY,
    LAST,
    ease,
    interactions,
    label_rate,
    less_own_mean,
    lift,
    overlap,
    places,
    popularity,
    smoothed_mean,
    spans,
    star_factors,
    successors,
)
from tacit.rerank.ranker.history_scores import among, from_factors, over_history, over_last, sums_before
from tacit.run.limits import above, at_least
from tacit.run.progress import progress
from tacit.types import Floats32, Ints32, Item

RELATIONS = ("near in time", "same sitting", "EASE")
TIES = tuple(f"{relation} in the list" for relation in RELATIONS)  # the features that are made of relations
# Six that are quickly had, without ties: the row that a table prints as the plain ranker.
PLAIN = ("EASE, all history", "EASE, liked history", "EASE, recent", "popularity", "label rate", "seen")
NAMES = (
    "EASE, all history",
    "EASE, liked history",
    "EASE, stars",
    "stars from factors",
    "shared attributes, all history",
    "seen",
    "EASE, recent",
    "EASE, recent liked",
    "next items",
    "next liked items",
    "near in time",
    "same sitting",
    "shared attributes, recent",
    *TIES,
    "popularity",
    "popularity at this stage",
    "label rate",
    "liked share",
    "mean stars",
    "length of the history",
    "liked share of the history",
)
STAGES = 8


@dataclass
class FeatureConfig:
    l2: float = above(0.0, default=2000.0)  # of EASE
    next_l2: float = above(0.0, default=10000.0)  # of the weights from the last items to the next ones
    near: int = at_least(1, default=4)  # places in a history: two items at most so far apart are near in time
    sitting: int = at_least(1, default=64)  # and at most so far apart belong to one sitting
    factors: int = at_least(1, default=20)  # numbers an item that predict stars
    factors_l2: float = above(0.0, default=15.0)
    # ratings or candidates that an item's own means are drawn together by
    smoothing: float = above(0.0, default=20.0)
    folds: int = at_least(2, default=5)  # of the training users, whose features come from the other folds
    attributes: list[str] = field(default_factory=lambda: ["genre", "brand", "category"])


@dataclass(frozen=True)
class Featured:
    """Lists with their features [L, C, F], one a name, and the relations between their candidates [L, C, C, R]."""

    lists: Lists
    names: tuple[str, ...]
    features: Floats32
    relations: Floats32

    def __len__(self) -> int:
        return len(self.lists)

    def take(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Featured:
        return replace(self, lists=self.lists.take(rows), features=self.features[rows], relations=self.relations[rows])

    def beside(self, other: Featured) -> Featured:
        """With the features and relations that ``other`` holds of the same lists."""
        features = np.concatenate([self.features, other.features], axis=-1)
        relations = np.concatenate([self.relations, other.relations], axis=-1)
        return Featured(self.lists, (*self.names, *other.names), features, relations)

    def column(self, name: str) -> Floats32:
        """One feature, [L, C]."""
        return self.features[..., self.names.index(name)]

    def only(self, names: Sequence[str], relations: bool) -> Featured:
        """With these features alone, and with the relations or without."""
        columns = [self.names.index(name) for name in names]
        chosen = self.relations if relations else self.relations[..., :0]
        return Featured(self.lists, tuple(names), self.features[..., columns], chosen)


def cross_fitted(split: ListSplit, items: Sequence[Item], config: FeatureConfig, seed: int) -> Featured:
    """The training lists, each with statistics that never saw its user, as it will be for a new user.

    The users are dealt into ``config.folds`` folds and each fold is read with what the others taught. Without that a
    user's own row shines through EASE in training, and a ranker learns to trust it too far.
    """
    order = np.random.default_rng(seed).permutation(split.train_users)
    shape = split.train.items.shape
    values = np.empty((*shape, len(NAMES)), dtype=np.float32)
    relations = np.empty((*shape, shape[1], len(RELATIONS)), dtype=np.float32)
    with progress(config.folds, "features") as bar:
        for fold in range(config.folds):
            fold_users = order[fold :: config.folds]
            rows = np.flatnonzero(np.isin(split.train.users, fold_users))
            (part,) = features(split, items, np.setdiff1d(order, fold_users), [split.train.take(rows)], config)
            values[rows], relations[rows] = part.features, part.relations
            bar.advance()
    return Featured(split.train, NAMES, values, relations)


def features(
    split: ListSplit, items: Sequence[Item], users: Ints32, parts: Sequence[Lists], config: FeatureConfig
) -> list[Featured]:
    """Every feature and relation of each of ``parts``, lists of whichever users; the split gives their histories.

    What is counted over users is counted over ``users``, some of the training users; ``ValueError`` for any other.
    """
    if not np.isin(users, split.train_users).all():
        raise ValueError("statistics are learnt from training users only")
    reading = _Reading(split, users, _joined(parts), config)
    columns, relations = _from_weights(reading, items)
    columns |= _of_items(reading) | _of_users(reading)
    stacked = np.stack([columns[name] for name in NAMES], axis=-1).astype(np.float32, copy=False)
    ends = np.cumsum([len(part) for part in parts])
    return [
        Featured(part, NAMES, stacked[end - len(part) : end], relations[end - len(part) : end])
        for part, end in zip(parts, ends, strict=True)
    ]


def _joined(parts: Sequence[Lists]) -> Lists:
    return Lists(*(np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(Lists)))


Columns = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class _Reading:
    """Lists, and the users who teach what is said of their candidates."""

    split: ListSplit
    users: Ints32
    lists: Lists
    config: FeatureConfig

    @property
    def histories(self) -> Histories:
        return self.split.histories

    @cached_property
    def likes(self) -> Floats32:
        """[n interactions]: 1 where it is a positive label, else 0."""
        return (self.histories.ratings > self.split.positive_above).astype(np.float32)

    @cached_property
    def ones(self) -> Floats32:
        return np.ones_like(self.likes)

    @cached_property
    def mean_stars(self) -> Floats32:
        return self.mean_of(self.histories.ratings)

    @cached_property
    def stars(self) -> Floats32:
        """[n interactions]: less the item's mean."""
        return self.histories.ratings - self.mean_stars[self.histories.items]

    def mean_of(self, values: Floats32) -> Floats32:
        """[n]: the mean of ``values`` over the users' interactions with an item."""
        at = places(self.histories, self.users)
        return smoothed_mean(self.histories.items[at], values[at], self.split.n_items, self.config.smoothing)

    def matrix(self, values: Floats32) -> sparse.csr_matrix:
        return interactions(self.histories, self.users, self.split.n_items, values)

    def whole(self, weights: Floats32, values: Floats32) -> Floats32:
        return over_history(weights, values, self.histories, self.lists)

    def last(self, weights: Floats32, values: Floats32, last: int, decay: float = 1.0) -> Floats32:
        return over_last(weights, values, self.histories, self.lists, last, decay)


def _from_weights(reading: _Reading, items: Sequence[Item]) -> tuple[Columns, Floats32]:
    """What needs item-to-item weights, which no function below returns or keeps; and the relations [L, C, C, R]."""
    config = reading.config
    near, near_tie = _from_lift(reading, "near in time", config.near, smoothing=10.0)
    sitting, sitting_tie = _from_lift(reading, "same sitting", config.sitting, smoothing=20.0)
    consumed, consumed_tie = _from_consumed(reading)
    columns = near | sitting | consumed | _from_liked(reading) | _from_stars(reading)
    columns |= _from_next_items(reading) | _from_attributes(reading, items)
    relations = np.stack([near_tie, sitting_tie, consumed_tie], axis=-1)
    best = np.sort(relations, axis=2)[:, :, -3:].mean(2)  # three others were consumed with a consumed one
    return columns | dict(zip(TIES, np.moveaxis(best, -1, 0), strict=True)), relations


def _from_lift(reading: _Reading, name: str, within: int, smoothing: float) -> tuple[Columns, Floats32]:
    weights = lift(reading.histories, reading.users, reading.split.n_items, within, smoothing)
    return {name: reading.last(weights, reading.ones, 16)}, among(weights, reading.lists.items)


def _from_consumed(reading: _Reading) -> tuple[Columns, Floats32]:
    weights = ease(reading.matrix(reading.ones), reading.config.l2)
    columns: Columns = {
        "EASE, all history": reading.whole(weights, reading.ones),
        "EASE, recent": reading.last(weights, reading.ones, 60, 0.96),
    }
    return columns, among(weights, reading.lists.items)


def _from_liked(reading: _Reading) -> Columns:
    weights = ease(reading.matrix(reading.likes), reading.config.l2)
    return {
        "EASE, liked history": reading.whole(weights, reading.likes),
        "EASE, recent liked": reading.last(weights, reading.likes, 60, 0.96),
    }


def _from_stars(reading: _Reading) -> Columns:
    config, rated = reading.config, reading.matrix(reading.stars)
    factors = star_factors(less_own_mean(rated), config.factors, config.factors_l2, sweeps=8, seed=0)
    return {
        "EASE, stars": reading.whole(ease(rated, config.l2), reading.stars),
        "stars from factors": from_factors(factors, config.factors_l2, reading.stars, reading.histories, reading.lists),
    }


def _from_next_items(reading: _Reading) -> Columns:
    """From the last items to the next ones, and to the next liked ones."""
    targets, n = [reading.ones, reading.likes], reading.split.n_items
    made = successors(reading.histories, reading.users, n, targets, ahead=4, l2=reading.config.next_l2)
    return {name: reading.last(next(made), reading.ones, LAST, DECAY) for name in ("next items", "next liked items")}


def _from_attributes(reading: _Reading, items: Sequence[Item]) -> Columns:
    """Learnt from nobody."""
    kinds = reading.config.attributes
    weights = overlap([[value for kind in kinds for value in item.attributes.get(kind, ())] for item in items])
    shared = reading.whole(weights, reading.ones)
    return {
        "shared attributes, all history": shared / np.maximum(reading.lists.start, 1)[:, None],
        "shared attributes, recent": reading.last(weights, reading.ones, 10),
    }


def _of_items(reading: _Reading) -> Columns:
    lists, users, n = reading.lists, reading.users, reading.split.n_items
    by_stage = _by_stage(reading.histories, users, n)
    return {
        "popularity": np.log1p(popularity(reading.histories, users, n))[lists.items],
        "popularity at this stage": by_stage[lists.items, stage_of(lists.start)[:, None]],
        "label rate": label_rate(reading.split.train.of_users(users), n, reading.config.smoothing)[lists.items],
        "liked share": reading.mean_of(reading.likes)[lists.items],
        "mean stars": reading.mean_stars[lists.items],
        "seen": Past(reading.histories, n).seen(lists),
    }


def _of_users(reading: _Reading) -> Columns:
    """One number for all candidates of a list: it tells how far the others can be trusted."""
    lists = reading.lists
    liked = (sums_before(reading.histories, reading.likes, lists) + 1.0) / (lists.start + 2.0)
    wide = {"length of the history": np.log1p(lists.start), "liked share of the history": liked}
    return {name: np.broadcast_to(values[:, None], lists.items.shape) for name, values in wide.items()}


def stage_of(place: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """The stage of a history that a place lies in: ⌊log2(1 + place / 8)⌋, 0 for the first 8 places, at most 7."""
    return np.floor(np.log2(1.0 + place / 8.0)).clip(max=STAGES - 1).astype(np.int64)


def _by_stage(histories: Histories, users: Ints32, n_items: int) -> Floats32:
    """[n, STAGES]: log((c_is + 1) / (c_i c_s / c + 1)), c_is the interactions with i at stage s."""
    at, first, _ = spans(histories, users)
    counts = np.zeros((n_items, STAGES))
    np.add.at(counts, (histories.items[at], stage_of(at - first)), 1.0)
    expected = np.outer(counts.sum(1), counts.sum(0) / max(len(at), 1))
    return np.log((counts + 1.0) / (expected + 1.0)).astype(np.float32)
