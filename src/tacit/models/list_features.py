"""What a reranker without texts can know of each candidate: its numbers, and its ties with the other candidates.

Whatever is counted over users is counted over training users only, and what a list's features say of its user is read
from the history strictly before the list's ``start``. Shapes: L lists of C candidates, n items.

The ties deserve a word. The protocol hides *consecutive* interactions among items drawn at random, so candidates that
users tend to consume close together betray each other. Any reranker may see that, for it reads the whole list; but it
is knowledge of how the lists were made. Rows with and without the ties belong side by side in a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from tacit.lists import Histories, Ints, Lists, ListSplit
from tacit.models.collaborative import (
    DECAY,
    LAST,
    Floats,
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
from tacit.models.history_scores import among, from_factors, over_history, over_last, sums_before
from tacit.models.list_tokens import Past
from tacit.progress import progress
from tacit.types import Item

RELATIONS = ("near in time", "same sitting", "EASE")
TIES = tuple(f"{relation} in the list" for relation in RELATIONS)  # the features that are made of relations
# Six that are quickly had, without ties: the row that a table prints as the plain ranker.
PLAIN = ("EASE, all history", "EASE, liked history", "EASE, recent", "popularity", "label rate", "seen")
STAGES = 8


@dataclass
class FeatureConfig:
    l2: float = 2000.0  # of EASE
    next_l2: float = 10000.0  # of the weights from the last items to the next ones
    near: int = 4  # places in a history: two items at most so far apart are near in time
    sitting: int = 64  # and at most so far apart belong to one sitting
    factors: int = 20  # numbers an item that foretell stars
    factors_l2: float = 15.0
    smoothing: float = 20.0  # ratings or candidates that an item's own means are drawn together by
    folds: int = 5  # of the training users, whose features come from the other folds
    attributes: list[str] = field(default_factory=lambda: ["genre", "brand", "category"])


@dataclass(frozen=True)
class Statistics:
    """What was learnt from some users. Item-to-item weights are [n, n]; the numbers of an item are [n]."""

    all: Floats  # EASE on what was consumed
    liked: Floats  # EASE on what was liked
    stars: Floats  # EASE on stars less the item's mean
    following: Floats  # from the last items to the next ones
    following_liked: Floats  # from the last items to the next liked ones
    near: Floats  # how much oftener than by chance two items stand near in time
    sitting: Floats  # and in one sitting
    overlap: Floats  # of attributes; learnt from nobody
    factors: Floats  # [n, d], of stars less the item's and the user's mean
    by_stage: Floats  # [n, STAGES]: log of the count at this stage of a history against the one expected
    popularity: Floats
    label_rate: Floats
    liked_share: Floats
    mean_stars: Floats


@dataclass(frozen=True)
class Featured:
    """Lists with their features [L, C, F], one a name, and the relations between their candidates [L, C, C, R]."""

    lists: Lists
    names: tuple[str, ...]
    features: Floats
    relations: Floats

    def __len__(self) -> int:
        return len(self.lists)

    def take(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Featured:
        return replace(self, lists=self.lists.take(rows), features=self.features[rows], relations=self.relations[rows])

    def only(self, names: Sequence[str], relations: bool) -> Featured:
        """With these features alone, and with the relations or without."""
        columns = [self.names.index(name) for name in names]
        kept = self.relations if relations else self.relations[..., :0]
        return Featured(self.lists, tuple(names), self.features[..., columns], kept)


def learn(split: ListSplit, items: Sequence[Item], users: Ints, config: FeatureConfig) -> Statistics:
    """Everything that is counted over ``users``, a part of the training users."""
    if not np.isin(users, split.train_users).all():
        raise ValueError("statistics are learnt from training users only")
    known, n, at = split.histories, split.n_items, places(split.histories, users)
    likes = _likes(split)
    mean_stars = smoothed_mean(known.items[at], known.ratings[at], n, config.smoothing)
    stars = known.ratings - mean_stars[known.items]
    rated = interactions(known, users, n, stars)
    next_any, next_liked = successors(known, users, n, [np.ones_like(likes), likes], ahead=4, l2=config.next_l2)
    return Statistics(
        all=ease(interactions(known, users, n), config.l2),
        liked=ease(interactions(known, users, n, likes), config.l2),
        stars=ease(rated, config.l2),
        following=next_any,
        following_liked=next_liked,
        near=lift(known, users, n, config.near, smoothing=10.0),
        sitting=lift(known, users, n, config.sitting, smoothing=20.0),
        overlap=overlap([[v for key in config.attributes for v in item.attributes.get(key, ())] for item in items]),
        factors=star_factors(less_own_mean(rated), config.factors, config.factors_l2, sweeps=8, seed=0),
        by_stage=_by_stage(known, users, n),
        popularity=popularity(known, users, n),
        label_rate=label_rate(split.train.of_users(users), n, config.smoothing),
        liked_share=smoothed_mean(known.items[at], likes[at], n, config.smoothing),
        mean_stars=mean_stars,
    )


def cross_fitted(split: ListSplit, items: Sequence[Item], config: FeatureConfig, seed: int) -> Featured:
    """The training lists, each with statistics that never saw its user, as it will be for a new user.

    The users are dealt into ``config.folds`` folds and each fold is read with what the others taught. Without that a
    user's own row shines through EASE in training, and a ranker learns to trust it too far.
    """
    order = np.random.default_rng(seed).permutation(split.train_users)
    rows, parts = [], []
    with progress(config.folds, "features") as bar:
        for fold in range(config.folds):
            own = order[fold :: config.folds]
            statistics = learn(split, items, np.setdiff1d(order, own), config)
            rows.append(np.flatnonzero(np.isin(split.train.users, own)))
            parts.append(features(statistics, split, split.train.take(rows[-1]), config))
            bar.advance()
    back = np.argsort(np.concatenate(rows))
    values = np.concatenate([part.features for part in parts])[back]
    return Featured(split.train, parts[0].names, values, np.concatenate([part.relations for part in parts])[back])


def features(learnt: Statistics, split: ListSplit, lists: Lists, config: FeatureConfig) -> Featured:
    """Every feature and relation of ``lists``, of whichever users; the split gives their histories."""
    relations = np.stack(
        [among(weights, lists.items) for weights in (learnt.near, learnt.sitting, learnt.all)], axis=-1
    )
    best = np.sort(relations, axis=2)[:, :, -3:].mean(2)  # three others were consumed with a consumed one
    columns = {
        **_from_whole_history(learnt, split, lists, config),
        **_from_last_items(learnt, split, lists),
        **dict(zip(TIES, np.moveaxis(best, -1, 0), strict=True)),
        **_of_items(learnt, lists),
        **_of_users(split, lists),
    }
    stacked = np.stack(list(columns.values()), axis=-1).astype(np.float32)
    return Featured(lists, tuple(columns), stacked, relations)


Columns = dict[str, npt.NDArray[np.generic]]


def _from_whole_history(learnt: Statistics, split: ListSplit, lists: Lists, config: FeatureConfig) -> Columns:
    known, likes = split.histories, _likes(split)
    ones, stars = np.ones_like(likes), known.ratings - learnt.mean_stars[known.items]
    tables = [(learnt.all, ones), (learnt.liked, likes), (learnt.stars, stars), (learnt.overlap, ones)]
    consumed, liked, rated, shared = over_history(tables, known, lists)
    return {
        "EASE, all history": consumed,
        "EASE, liked history": liked,
        "EASE, stars": rated,
        "stars from factors": from_factors(learnt.factors, config.factors_l2, stars, known, lists),
        "shared attributes, all history": shared / np.maximum(lists.start, 1)[:, None],
        "seen": Past(known, split.n_items).seen(lists),
    }


def _from_last_items(learnt: Statistics, split: ListSplit, lists: Lists) -> Columns:
    known, likes = split.histories, _likes(split)
    ones = np.ones_like(likes)
    return {
        "EASE, recent": over_last(learnt.all, ones, known, lists, 60, 0.96),
        "EASE, recent liked": over_last(learnt.liked, likes, known, lists, 60, 0.96),
        "next items": over_last(learnt.following, ones, known, lists, LAST, DECAY),
        "next liked items": over_last(learnt.following_liked, ones, known, lists, LAST, DECAY),
        "near in time": over_last(learnt.near, ones, known, lists, 16),
        "same sitting": over_last(learnt.sitting, ones, known, lists, 16),
        "shared attributes, recent": over_last(learnt.overlap, ones, known, lists, 10),
    }


def _of_items(learnt: Statistics, lists: Lists) -> Columns:
    return {
        "popularity": np.log1p(learnt.popularity)[lists.items],
        "popularity at this stage": learnt.by_stage[lists.items, stage_of(lists.start)[:, None]],
        "label rate": learnt.label_rate[lists.items],
        "liked share": learnt.liked_share[lists.items],
        "mean stars": learnt.mean_stars[lists.items],
    }


def _of_users(split: ListSplit, lists: Lists) -> Columns:
    """One number for all candidates of a list: it tells how far the others can be trusted."""
    liked = (sums_before(split.histories, _likes(split), lists) + 1.0) / (lists.start + 2.0)
    wide = {"length of the history": np.log1p(lists.start), "liked share of the history": liked}
    return {name: np.broadcast_to(values[:, None], lists.items.shape) for name, values in wide.items()}


def stage_of(place: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """The stage of a history that a place lies in: ⌊log2(1 + place / 8)⌋, 0 for the first 8 places, at most 7."""
    return np.floor(np.log2(1.0 + place / 8.0)).clip(max=STAGES - 1).astype(np.int64)


def _by_stage(histories: Histories, users: Ints, n_items: int) -> Floats:
    """[n, STAGES]: log((c_is + 1) / (c_i c_s / c + 1)), c_is the interactions with i at stage s."""
    at, first, _ = spans(histories, users)
    counts = np.zeros((n_items, STAGES))
    np.add.at(counts, (histories.items[at], stage_of(at - first)), 1.0)
    expected = np.outer(counts.sum(1), counts.sum(0) / max(len(at), 1))
    return np.log((counts + 1.0) / (expected + 1.0)).astype(np.float32)


def _likes(split: ListSplit) -> Floats:
    """[n interactions]: 1 where it is a positive label, else 0."""
    return (split.histories.ratings > split.positive_above).astype(np.float32)
