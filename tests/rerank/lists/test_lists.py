"""Lists: KAR's own loop as the slow twin, the clean variant's promises, the split, and what the card says."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_ratings import random_ratings, ratings

from tacit.data.ratings.table import Ratings
from tacit.rerank.lists.lists import NEVER, FirstPlaces, ListConfig, Lists, ListSplit, ListTest, build
from tacit.types import InputError

WORLD = random_ratings()


def kar(world: Ratings, config: ListConfig) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """The published procedure, list by list: (user, start, candidates, labels) of the training part and the test."""
    frame = world.frame.sort("rank", maintain_order=True)
    order = list(dict.fromkeys(world.frame["user"].to_list()))
    generator = random.Random(config.split_seed)
    generator.shuffle(order)
    generator.shuffle(order)
    border = int(len(order) * 0.9)
    generator = random.Random(config.list_seed)

    def lists(users: list[int]) -> list[tuple[object, ...]]:
        found: list[tuple[object, ...]] = []
        for user in users:
            own = frame.filter(frame["user"] == user)
            items, stars = own["item"].to_list(), own["rating"].to_list()
            at = min((len(items) + 1) // 2, config.text_history)
            while at < len(items):
                end = min(at + config.consumed, len(items))
                sampled = generator.sample(list(range(len(world.items))), config.length - (end - at))
                labels = [int(star > world.positive_above) for star in stars[at:end]] + [0] * len(sampled)
                pairs = list(zip(items[at:end] + sampled, labels, strict=True))
                generator.shuffle(pairs)
                found.append((user, at, [pair[0] for pair in pairs], [pair[1] for pair in pairs]))
                at = end
        return found

    return lists(order[:border]), lists(order[border:])


def as_rows(lists: Lists) -> list[tuple[object, ...]]:
    columns = (lists.users, lists.start, lists.items, lists.labels)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def everything(split: ListSplit, test: ListTest) -> list[Lists]:
    return [split.train, split.valid, test.lists]


@pytest.mark.parametrize("config", [ListConfig(), ListConfig(text_history=3, consumed=3, length=8, split_seed=5)])
def test_literal_lists_are_those_of_the_published_procedure(config: ListConfig) -> None:
    split, test, _ = build(WORLD, config)
    known, unknown = kar(WORLD, config)
    assert as_rows(split.train) + as_rows(split.valid) == known
    assert as_rows(test.lists) == unknown


def test_one_user_by_hand() -> None:
    """Ten interactions: five may be told, four make the first list, one the second with nine sampled."""
    rows = [(user, place, 4 if place == 9 else 3, place, None) for user in range(10) for place in range(10)]
    split, test, _ = build(ratings(rows, 50), ListConfig())
    assert split.histories.cut.tolist() == [5] * 10
    assert test.lists.start.tolist() == [5, 9]
    assert test.lists.consumed.sum(axis=1).tolist() == [4, 1]
    assert set(test.lists.items[0][test.lists.consumed[0]].tolist()) == {5, 6, 7, 8}
    assert test.lists.labels.sum(axis=1).tolist() == [0, 1]  # three stars are consumed, not liked
    assert test.lists.items[1][test.lists.labels[1] == 1].tolist() == [9]


def test_histories_hold_everything_in_order() -> None:
    split, _, _ = build(WORLD, ListConfig())
    for user in range(len(WORLD.users)):
        own = WORLD.frame.filter(WORLD.frame["user"] == user).sort("rank")
        items, stars = split.histories.of(user)
        assert items.tolist() == own["item"].to_list()
        assert stars.tolist() == own["rating"].to_list()
        assert split.histories.of(user, before=2)[0].tolist() == own["item"].to_list()[:2]


@given(st.integers(10, 40), st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_users_are_divided_once_and_lists_follow_them(n_users: int, seed: int) -> None:
    world = random_ratings(n_users, seed=seed)
    split, test, _ = build(world, ListConfig())
    parts = [split.train_users, split.valid_users, test.users]
    assert sorted(np.concatenate(parts).tolist()) == list(range(n_users))
    assert len(split.train_users) + len(split.valid_users) == int(n_users * 0.9)
    assert len(split.valid_users) == int(n_users * 0.9) // 9
    for users, lists in zip(parts, everything(split, test), strict=True):
        assert set(lists.users.tolist()) <= set(users.tolist())
        assert (lists.start >= split.histories.cut[lists.users]).all()


def test_fewer_users_are_the_first_of_the_shuffled() -> None:
    whole, rest, _ = build(WORLD, ListConfig())
    shuffled = np.concatenate([whole.train_users, whole.valid_users, rest.users]).tolist()
    split, test, card = build(WORLD, ListConfig(users=20))
    assert np.concatenate([split.train_users, split.valid_users, test.users]).tolist() == shuffled[:20]
    assert (len(split.train_users), len(split.valid_users), len(test.users)) == (16, 2, 2)
    assert card["train"]["users"] == 16


@pytest.mark.parametrize("seed", range(3))
def test_clean_negatives_were_never_rated_and_nothing_repeats(seed: int) -> None:
    world = random_ratings(seed=seed)
    split, test, card = build(world, ListConfig(variant="clean"))
    for lists in everything(split, test):
        places = FirstPlaces(split.histories, split.n_items).of(lists.users, lists.items)
        assert (places[~lists.consumed] == NEVER).all()
        assert (places[lists.consumed] >= lists.start.repeat(lists.consumed.sum(axis=1))).all()
        assert all(len(set(row)) == 10 for row in lists.items.tolist())
    shares = [card[part] for part in ("train", "valid", "test")]
    assert all(part["lists with a repeated item"] == part["candidates already rated"] == 0 for part in shares)


def test_literal_negatives_repeat_and_were_rated() -> None:
    """The opposite, so that the test above cannot pass for want of occasions; shares against a slow count."""
    split, _, card = build(WORLD, ListConfig())
    repeated = seen = later = negatives = 0
    for row, user in enumerate(split.train.users.tolist()):
        history = split.histories.of(user)[0].tolist()
        before = set(history[: split.train.start[row]])
        candidates, consumed = split.train.items[row].tolist(), split.train.consumed[row].tolist()
        repeated += len(set(candidates)) < 10
        seen += sum(item in before for item in candidates)
        sampled = [item for item, own in zip(candidates, consumed, strict=True) if not own]
        later += sum(item in history and item not in before for item in sampled)
        negatives += len(sampled)
    share = card["train"]
    assert share["lists with a repeated item"] == round(repeated / len(split.train), 4) > 0
    assert share["candidates already rated"] == round(seen / split.train.items.size, 4) > 0
    assert share["negatives rated in the list or later"] == round(later / negatives, 4) > 0


def test_clean_counts_a_repeated_interaction_once_the_first_time() -> None:
    rows = [(user, place % 8, place, place, None) for user in range(10) for place in range(11)]
    split, _, card = build(ratings(rows, 50), ListConfig(variant="clean"))
    items, stars = split.histories.of(0)
    assert items.tolist() == stars.tolist() == list(range(8))
    assert card["repeated interactions left out"] == 30
    assert build(ratings(rows, 50), ListConfig())[2]["repeated interactions left out"] == 0


def test_first_places_agree_with_looking_them_up() -> None:
    rows = [(user, (place * (user + 1)) % 7, 4, place, None) for user in range(10) for place in range(9)]
    histories = build(ratings(rows, 20), ListConfig())[0].histories
    users = np.arange(10, dtype=np.int32)
    wanted = np.tile(np.arange(20, dtype=np.int32), (10, 1))
    found = FirstPlaces(histories, 20).of(users, wanted)
    for user in range(10):
        history = histories.of(user)[0].tolist()
        assert found[user].tolist() == [history.index(item) if item in history else NEVER for item in range(20)]


def test_the_card_is_plain_and_complete() -> None:
    _, _, card = build(WORLD, ListConfig())
    assert json.loads(json.dumps(card)) == card
    assert (card["sort"], card["timezone"]) == ("rank", None)
    assert card["sorts possible"] == ["rank", "second", "day", "file"]
    assert (card["users"], card["items"], card["ratings"]) == (30, 60, len(WORLD.frame))
    assert build(WORLD, ListConfig(sort="day"))[2]["timezone"] == "Asia/Shanghai"
    assert "hits inside" in str(card["MAP denominator"])


def test_lists_without_a_positive_by_hand() -> None:
    """Every user likes the eighth film alone, which is in the first of two lists."""
    rows = [(user, place, 5 if place == 7 else 1, place, None) for user in range(10) for place in range(14)]
    _, _, card = build(ratings(rows, 50), ListConfig())  # lists begin at 7 and 11
    assert card["train"]["lists without a positive"] == 0.5
    assert card["train"]["positives per list"] == 0.5


def test_lists_can_be_chosen_by_user() -> None:
    split, _, _ = build(WORLD, ListConfig())
    chosen = split.train.of_users(split.train_users[:2])
    assert set(chosen.users.tolist()) == set(split.train_users[:2].tolist())
    assert len(chosen) + len(split.train.of_users(split.train_users[2:])) == len(split.train)


def test_what_cannot_be_built_is_refused() -> None:
    refused = [
        (ListConfig(variant="dirty"), "kar_lists, clean"),
        (ListConfig(consumed=10), "consumed"),
        (ListConfig(length=61), "number of items"),
        (ListConfig(text_history=0), "text_history"),
        (ListConfig(variant="clean", sort="day"), "true order"),
        (ListConfig(users=9), "ten or more"),
        (ListConfig(users=-1), "ten or more"),
    ]
    for config, message in refused:
        with pytest.raises(InputError, match=message):
            build(WORLD, config)
    crowded = random_ratings(12, n_items=15, most=15)
    with pytest.raises(InputError, match="too few negatives"):
        build(crowded, ListConfig(variant="clean"))
    build(crowded, ListConfig())
    once = ratings([(user, user, 4, 1, None) for user in range(10)], 20)
    with pytest.raises(InputError, match="two interactions"):
        build(once, ListConfig())
