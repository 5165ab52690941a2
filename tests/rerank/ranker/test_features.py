"""Features of candidates: every fast path beside a slow one, and what a feature must not see."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_lists import N_ITEMS, world

from tacit.rerank.lists.lists import Histories, Lists, ListSplit
from tacit.rerank.ranker.collaborative import (
    DECAY,
    LAST,
    ease,
    interactions,
    lift,
    places,
    popularity,
    smoothed_mean,
    successors,
)
from tacit.rerank.ranker.features import (
    NAMES,
    PLAIN,
    RELATIONS,
    TIES,
    FeatureConfig,
    Featured,
    cross_fitted,
    features,
    stage_of,
)
from tacit.rerank.ranker.history_scores import among
from tacit.types import Item

CONFIG = FeatureConfig(l2=5.0, next_l2=5.0, factors=3, folds=3)
ITEMS = tuple(Item(str(i), str(i), str(i), {"genre": ("war", "love")[: 1 + i % 2]}) for i in range(N_ITEMS))
SPLIT = world()
KNOWN, VALID = SPLIT.histories, SPLIT.valid


def read(split: ListSplit, lists: Lists) -> Featured:
    (found,) = features(split, ITEMS, SPLIT.train_users, [lists], CONFIG)
    return found


FOUND = read(SPLIT, VALID)


def test_stages_double() -> None:
    assert stage_of(np.array([0, 7, 8, 23, 24, 10**6])).tolist() == [0, 0, 1, 1, 2, 7]


def column(name: str) -> np.ndarray:
    return FOUND.features[..., FOUND.names.index(name)]


def test_every_feature_has_its_name() -> None:
    assert FOUND.features.shape == (len(VALID), 6, len(FOUND.names)) and FOUND.features.dtype == np.float32
    assert FOUND.relations.shape == (len(VALID), 6, 6, len(RELATIONS)) and np.isfinite(FOUND.features).all()
    history = [KNOWN.of(int(u), int(s))[0] for u, s in zip(VALID.users, VALID.start, strict=True)]
    assert (column("seen") == [np.isin(row, h) for row, h in zip(VALID.items, history, strict=True)]).all()
    counts = popularity(KNOWN, SPLIT.train_users, N_ITEMS)
    assert np.allclose(column("popularity"), np.log1p(counts)[VALID.items])
    assert np.allclose(column("length of the history"), np.log1p(VALID.start)[:, None])
    near = lift(KNOWN, SPLIT.train_users, N_ITEMS, CONFIG.near, smoothing=10.0)
    best = np.sort(among(near, VALID.items), axis=2)[..., -3:].mean(-1)
    assert np.allclose(column(TIES[0]), best, atol=1e-6)


def test_every_column_reads_its_own_weights() -> None:
    """All matrices at once, and a plain loop over what came before each list."""
    users, likes = SPLIT.train_users, (KNOWN.ratings > SPLIT.positive_above).astype(np.float32)
    at, ones = places(KNOWN, users), np.ones_like(likes)
    stars = KNOWN.ratings - smoothed_mean(KNOWN.items[at], KNOWN.ratings[at], N_ITEMS, CONFIG.smoothing)[KNOWN.items]
    consumed, liked, rated = (ease(interactions(KNOWN, users, N_ITEMS, what), 5.0) for what in (ones, likes, stars))
    following, following_liked = successors(KNOWN, users, N_ITEMS, [ones, likes], ahead=4, l2=5.0)
    near, sitting = (lift(KNOWN, users, N_ITEMS, *how) for how in ((CONFIG.near, 10.0), (CONFIG.sitting, 20.0)))
    table = {
        "EASE, all history": (consumed, ones, None, 1.0),
        "EASE, liked history": (liked, likes, None, 1.0),
        "EASE, stars": (rated, stars, None, 1.0),
        "EASE, recent": (consumed, ones, 60, 0.96),
        "EASE, recent liked": (liked, likes, 60, 0.96),
        "next items": (following, ones, LAST, DECAY),
        "next liked items": (following_liked, ones, LAST, DECAY),
        "near in time": (near, ones / VALID.start[0], 16, 1.0),
        "same sitting": (sitting, ones / VALID.start[0], 16, 1.0),
    }
    user, start = int(VALID.users[0]), int(VALID.start[0])
    before = slice(KNOWN.offsets[user], KNOWN.offsets[user] + start)
    for name, (weights, values, last, decay) in table.items():
        share = decay ** np.arange(start)[::-1]
        if last is not None:
            share[: max(start - last, 0)] = 0.0
        slow = (share * values[before]) @ weights[KNOWN.items[before]][:, VALID.items[0]]
        assert np.allclose(column(name)[0], slow, atol=1e-5), name
    for k, weights in enumerate((near, sitting, consumed)):
        assert (FOUND.relations[..., k] == among(weights, VALID.items)).all()


def test_the_share_of_shared_attributes_by_hand() -> None:
    """Item 0 is war, item 1 war and love: after 0, 0, 1 … the candidate 1 shares ½ with each even item, 1 with odd."""
    for row in range(len(VALID)):
        items = KNOWN.of(int(VALID.users[row]), int(VALID.start[row]))[0]
        for place, candidate in enumerate(VALID.items[row]):
            shares = [0.0 if i == candidate else 0.5 if candidate % 2 and i % 2 == 0 else 1.0 for i in items]
            assert column("shared attributes, all history")[row, place] == pytest.approx(np.mean(shares), abs=1e-5)


def test_rows_and_columns_are_chosen_together() -> None:
    some = FOUND.take(np.array([2, 5])).only(PLAIN, relations=False)
    assert some.names == PLAIN and some.relations.shape == (2, 6, 6, 0) and len(some) == 2
    assert (some.features[..., PLAIN.index("seen")] == column("seen")[[2, 5]]).all()
    assert (read(SPLIT, VALID.take(np.array([2]))).features == FOUND.take(np.array([2])).features).all()


def test_nothing_at_or_after_the_list_is_read() -> None:
    """A new user's items and ratings from place 8 on are replaced: lists that start there or before do not change."""
    late = (np.arange(len(KNOWN.items)) % 12 >= 8) & (np.arange(len(KNOWN.items)) >= KNOWN.offsets[10])
    other = replace(SPLIT, histories=changed(late))
    early = VALID.start <= 8
    assert (read(other, VALID).features[early] == FOUND.features[early]).all()
    assert (read(other, VALID).features[~early] != FOUND.features[~early]).any()


def changed(where: np.ndarray) -> Histories:
    """The histories with item 0 and one star there."""
    return replace(KNOWN, items=np.where(where, 0, KNOWN.items), ratings=np.where(where, 1.0, KNOWN.ratings))


def test_labels_are_not_read() -> None:
    turned = replace(VALID, labels=1 - VALID.labels, consumed=~VALID.consumed)
    assert (read(SPLIT, turned).features == FOUND.features).all()


def test_statistics_come_from_training_users_alone() -> None:
    with pytest.raises(ValueError, match="training users"):
        features(SPLIT, ITEMS, np.array([0, 12], dtype=np.int32), [VALID], CONFIG)
    foreign = np.arange(len(KNOWN.items)) >= KNOWN.offsets[10]
    before, after = read(SPLIT, SPLIT.train), read(replace(SPLIT, histories=changed(foreign)), SPLIT.train)
    for name, old, new in zip(NAMES, *(np.moveaxis(each.features, -1, 0) for each in (before, after)), strict=True):
        assert np.array_equal(old, new), name
    assert np.array_equal(before.relations, after.relations)


def test_parts_read_together_are_as_read_alone() -> None:
    train, valid = features(SPLIT, ITEMS, SPLIT.train_users, [SPLIT.train, VALID], CONFIG)
    assert (valid.features == FOUND.features).all() and (valid.relations == FOUND.relations).all()
    assert (train.features == read(SPLIT, SPLIT.train).features).all() and len(train) == len(SPLIT.train)


def test_a_training_list_is_read_with_statistics_that_never_saw_its_user() -> None:
    """What user 4 does after place 8, and their labels, change the lists of others and not their own early ones."""
    late = (np.arange(len(KNOWN.items)) // 12 == 4) & (np.arange(len(KNOWN.items)) % 12 >= 8)
    own = SPLIT.train.users == 4
    train = replace(SPLIT.train, labels=np.where(own[:, None], 1, SPLIT.train.labels).astype(np.int8))
    before = cross_fitted(SPLIT, ITEMS, CONFIG, seed=0)
    after = cross_fitted(replace(SPLIT, histories=changed(late), train=train), ITEMS, CONFIG, seed=0)
    early = own & (SPLIT.train.start <= 8)
    assert (before.features[early] == after.features[early]).all()
    assert (before.relations[early] == after.relations[early]).all()
    assert (before.features[~own] != after.features[~own]).any()
    assert (before.lists.items == SPLIT.train.items).all()
