"""Features of candidates: every fast path beside a slow one, and what a feature must not see."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from small_lists import N_ITEMS, world

from tacit.lists import Histories, Lists, ListSplit
from tacit.models.history_scores import among
from tacit.models.list_features import (
    PLAIN,
    RELATIONS,
    TIES,
    FeatureConfig,
    Featured,
    Statistics,
    cross_fitted,
    features,
    learn,
    stage_of,
)
from tacit.types import Item

CONFIG = FeatureConfig(l2=5.0, next_l2=5.0, factors=3, folds=3)
ITEMS = tuple(Item(str(i), str(i), str(i), {"genre": ("war", "love")[: 1 + i % 2]}) for i in range(N_ITEMS))
SPLIT = world()
KNOWN, VALID = SPLIT.histories, SPLIT.valid
LEARNT = learn(SPLIT, ITEMS, SPLIT.train_users, CONFIG)
FOUND = features(LEARNT, SPLIT, VALID, CONFIG)


def test_stages_double() -> None:
    assert stage_of(np.array([0, 7, 8, 23, 24, 10**6])).tolist() == [0, 0, 1, 1, 2, 7]


def read(split: ListSplit, lists: Lists) -> Featured:
    return features(LEARNT, split, lists, CONFIG)


def column(name: str) -> np.ndarray:
    return FOUND.features[..., FOUND.names.index(name)]


def test_every_feature_has_its_name() -> None:
    assert FOUND.features.shape == (len(VALID), 6, len(FOUND.names)) and FOUND.features.dtype == np.float32
    assert FOUND.relations.shape == (len(VALID), 6, 6, len(RELATIONS)) and np.isfinite(FOUND.features).all()
    history = [KNOWN.of(int(u), int(s))[0] for u, s in zip(VALID.users, VALID.start, strict=True)]
    assert (column("seen") == [np.isin(row, h) for row, h in zip(VALID.items, history, strict=True)]).all()
    assert np.allclose(column("popularity"), np.log1p(LEARNT.popularity)[VALID.items])
    assert np.allclose(column("length of the history"), np.log1p(VALID.start)[:, None])
    best = np.sort(among(LEARNT.near, VALID.items), axis=2)[..., -3:].mean(-1)
    assert np.allclose(column(TIES[0]), best, atol=1e-6)


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
    """Every user's items and ratings from place 8 on are replaced: lists that start there or before do not change."""
    late = np.arange(len(KNOWN.items)) % 12 >= 8
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
        learn(SPLIT, ITEMS, np.array([0, 12], dtype=np.int32), CONFIG)
    foreign = np.arange(len(KNOWN.items)) >= KNOWN.offsets[10]
    again = learn(replace(SPLIT, histories=changed(foreign)), ITEMS, SPLIT.train_users, CONFIG)
    for each in fields(Statistics):
        assert np.array_equal(getattr(LEARNT, each.name), getattr(again, each.name)), each.name


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
