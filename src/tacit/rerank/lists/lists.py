"""Candidate lists for reranking: some items the user really consumed next, filled up with sampled ones.

The protocol is KAR's (arXiv 2306.10933, preprocess/generate_data_and_prompt.py), which RLRF4Rec (arXiv 2410.05939)
takes over; ``clean`` repairs what in it rewards remembering instead of ranking.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from tacit.data.ratings.table import Ratings
from tacit.rerank.lists.order import Rule, Sort, choose_rule, in_order, possible_rules, tied_share
from tacit.run.limits import at_least, random_seed
from tacit.types import InputError, Ints32

Card = dict[str, object]
NEVER = np.iinfo(np.int32).max
Variant = Literal["kar_lists", "clean"]
IN_WORDS: Mapping[Variant, str] = {"kar_lists": "KAR's lists", "clean": "clean lists"}


@dataclass
class ListConfig:
    variant: Variant = "kar_lists"  # KAR's negatives | clean: negatives the user never rated, no repeats, true order
    sort: Sort = "auto"  # auto: rank or second
    timezone: str = "Asia/Shanghai"  # sort=day only: whose calendar day (that of KAR's authors)
    consumed: int = at_least(1, default=4)  # consecutive interactions in a list
    length: int = at_least(2, default=10)  # candidates in a list
    # a text tells at most so many of a user's interactions, and at most half of them
    text_history: int = at_least(1, default=30)
    split_seed: int = random_seed(default=1234)
    list_seed: int = random_seed(default=12345)
    users: int = at_least(0, default=0)  # 0 = all, else the first so many of the shuffled users

    def conflicts(self) -> Iterator[tuple[str, object, str]]:
        if self.consumed >= self.length:
            yield "consumed", self.consumed, f"below length={self.length}"


@dataclass(frozen=True)
class Histories:
    """Every user's interactions in order: user u has ``items[offsets[u]:offsets[u + 1]]``, oldest first.

    ``cut[u]`` is how many of them, from the oldest on, a text about u may tell; every list of u starts at or after it.
    """

    offsets: npt.NDArray[np.int64]  # [n_users + 1]
    items: Ints32  # [n], rows of the items
    ratings: npt.NDArray[np.float32]  # [n]
    cut: Ints32  # [n_users]

    def of(self, user: int, before: int | None = None) -> tuple[Ints32, npt.NDArray[np.float32]]:
        """Items and ratings of one user, oldest first; the first ``before`` of them only."""
        start, end = int(self.offsets[user]), int(self.offsets[user + 1])
        end = end if before is None else min(end, start + before)
        return self.items[start:end], self.ratings[start:end]

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Interactions of each user, [n_users]."""
        return np.diff(self.offsets)


class FirstPlaces:
    """Where in a user's history an item first occurs, looked up for many lists at a time."""

    def __init__(self, histories: Histories, n_items: int) -> None:
        owners = np.repeat(np.arange(len(histories.cut)), histories.lengths)
        self._offsets, self._n_items = histories.offsets, n_items
        self._known, self._first = np.unique(owners * n_items + histories.items, return_index=True)

    def of(self, users: Ints32, items: Ints32) -> Ints32:
        """The place from 0 of each of the items [L, C] in the history of users [L]; ``NEVER`` if nowhere.

        An item was seen before a list if its place is below the list's ``start``.
        """
        pairs = users[:, None].astype(np.int64) * self._n_items + items
        at = np.minimum(np.searchsorted(self._known, pairs), len(self._known) - 1)
        places = self._first[at] - self._offsets[users][:, None]
        return np.where(self._known[at] == pairs, places, NEVER).astype(np.int32)


@dataclass(frozen=True)
class Lists:
    """L candidate lists of C items, shuffled: the input order says nothing."""

    users: Ints32  # [L]
    items: Ints32  # [L, C]
    labels: npt.NDArray[np.int8]  # [L, C], 1 = consumed and liked
    consumed: npt.NDArray[np.bool_]  # [L, C], consumed, liked or not; no model may read it
    start: Ints32  # [L], place in the user's history of the list's first consumed item: what is known ends before it

    def __len__(self) -> int:
        return len(self.users)

    def take(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Lists:
        return Lists(self.users[rows], self.items[rows], self.labels[rows], self.consumed[rows], self.start[rows])

    def of_users(self, users: Sequence[int] | Ints32) -> Lists:
        return self.take(np.isin(self.users, np.asarray(users)))


@dataclass(frozen=True)
class ListSplit:
    """What a trainer may see: the lists of training and validation users. There is no test field on purpose."""

    histories: Histories
    n_items: int
    positive_above: float
    train_users: Ints32
    valid_users: Ints32
    train: Lists
    valid: Lists


@dataclass(frozen=True)
class ListTest:
    """What only the evaluator may see."""

    users: Ints32
    lists: Lists


def build(ratings: Ratings, config: ListConfig) -> tuple[ListSplit, ListTest, Card]:
    """The lists of training and validation users, those of the test users, and the card that tells how they came about.

    Users are shuffled and divided 80/10/10: KAR's last tenth is the test, and the last ninth of its training part
    becomes validation. Training lists are drawn before test lists. With the same file, rule and seeds those of
    ``kar_lists`` are KAR's, draw by draw.
    """
    _check(config, len(ratings.items))
    rule = _rule(ratings.frame, config)
    ordered = in_order(ratings.frame, rule, config.timezone)
    if config.variant == "clean":
        ordered = ordered.unique(subset=["user", "item"], keep="first", maintain_order=True)
    histories = _histories(ordered, len(ratings.users), config.text_history)
    train_users, valid_users, test_users = _split_users(ratings, config)
    generator = random.Random(config.list_seed)
    drawn = draw_lists(histories, np.concatenate([train_users, valid_users]), ratings, config, generator)
    test = ListTest(test_users, draw_lists(histories, test_users, ratings, config, generator))
    train, valid = drawn.of_users(train_users), drawn.of_users(valid_users)
    if not (len(train) and len(valid) and len(test.lists)):
        raise InputError("The users of a part have no lists: a user needs two interactions, the users ten or more.")
    n_items = len(ratings.items)
    split = ListSplit(histories, n_items, ratings.positive_above, train_users, valid_users, train, valid)
    order: Card = {
        "sort": rule,
        "sorts possible": list(possible_rules(ratings.frame)),
        "timezone": config.timezone if rule == "day" else None,
        "place left to the file's order": round(tied_share(ordered), 4),
        "without a rank, put last": ratings.frame["rank"].null_count() if rule == "rank" else 0,
        "repeated interactions left out": len(ratings.frame) - len(ordered),
    }
    return split, test, _card(ratings, config, order, split, test)


def _check(config: ListConfig, n_items: int) -> None:
    if config.variant not in get_args(Variant):
        raise InputError(f"lists.variant is {config.variant!r}: choose one of {', '.join(get_args(Variant))}.")
    if not 1 <= config.consumed < config.length <= n_items:
        raise InputError(
            f"lists.consumed={config.consumed} and lists.length={config.length}: "
            f"need 1 ≤ consumed < length ≤ {n_items}, the number of items."
        )
    if config.text_history < 1:
        raise InputError(f"lists.text_history is {config.text_history}: give at least 1.")
    if config.users < 0:
        raise InputError(f"lists.users is {config.users}: give 0 for all users, or ten or more.")


def _rule(frame: pl.DataFrame, config: ListConfig) -> Rule:
    rule = choose_rule(frame, config.sort)
    if config.variant == "clean" and rule not in ("rank", "second"):
        raise InputError(f"lists.variant=clean needs the true order, not lists.sort={rule}: set lists.sort=auto.")
    return rule


def _histories(ordered: pl.DataFrame, n_users: int, text_history: int) -> Histories:
    """cut[u] = min(⌈n_u / 2⌉, text_history): every list begins after what a text may tell."""
    lengths = np.bincount(ordered["user"].to_numpy(), minlength=n_users)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    cut = np.minimum((lengths + 1) // 2, text_history).astype(np.int32)
    return Histories(offsets, ordered["item"].to_numpy(), ordered["rating"].to_numpy(), cut)


def _split_users(ratings: Ratings, config: ListConfig) -> tuple[Ints32, Ints32, Ints32]:
    """Rows of the training, validation and test users. KAR shuffles twice: to number the users, then to divide them."""
    users = ratings.frame["user"].unique(maintain_order=True).to_list()
    generator = random.Random(config.split_seed)
    generator.shuffle(users)
    generator.shuffle(users)
    users = users[: config.users or None]
    if len(users) < 10:
        raise InputError(f"{len(users)} users cannot be divided into 80/10/10: give ten or more (lists.users).")
    n_known = int(len(users) * 0.9)
    n_train = n_known - n_known // 9
    rows = np.array(users, dtype=np.int32)
    return rows[:n_train], rows[n_train:n_known], rows[n_known:]


def draw_lists(
    histories: Histories, users: Ints32, ratings: Ratings, config: ListConfig, generator: random.Random
) -> Lists:
    """From each user's ``cut`` on, ``consumed`` interactions at a time, filled up with sampled items and shuffled.

    The generator is asked as KAR asks it: per list one ``sample`` from the items, one ``shuffle`` of the candidates.
    """
    lengths = histories.lengths
    starts = [np.arange(histories.cut[user], lengths[user], config.consumed) for user in users]
    owners = np.repeat(users, [len(part) for part in starts])
    start = np.concatenate(starts).astype(np.int32)
    taken = np.minimum(config.consumed, lengths[owners] - start)  # the last list of a user may have fewer
    items = np.empty((len(start), config.length), dtype=np.int32)
    order = np.empty((len(start), config.length), dtype=np.int64)
    row = 0
    for user, part in zip(users.tolist(), starts, strict=True):
        pool = _pool(histories, user, ratings, config)
        for k in taken[row : row + len(part)].tolist():
            items[row, k:] = generator.sample(pool, config.length - k)
            shuffled = list(range(config.length))
            generator.shuffle(shuffled)
            order[row] = shuffled
            row += 1
    consumed = np.arange(config.length) < taken[:, None]
    places = np.minimum(
        (histories.offsets[owners] + start)[:, None] + np.arange(config.length), len(histories.items) - 1
    )
    items = np.where(consumed, histories.items[places], items)
    labels = (consumed & (histories.ratings[places] > ratings.positive_above)).astype(np.int8)
    items, labels, consumed = (np.take_along_axis(values, order, axis=1) for values in (items, labels, consumed))
    return Lists(owners, items, labels, consumed, start)


def _pool(histories: Histories, user: int, ratings: Ratings, config: ListConfig) -> Sequence[int]:
    """What a user's negatives are drawn from: every item (KAR's lists), or those never rated, then or later."""
    if config.variant == "kar_lists":
        return range(len(ratings.items))
    unrated = np.ones(len(ratings.items), dtype=bool)
    unrated[histories.of(user)[0]] = False
    pool: list[int] = np.flatnonzero(unrated).tolist()
    if len(pool) < config.length - 1:
        raise InputError(
            f"User {ratings.users[user]} has rated all but {len(pool)} of {len(ratings.items)} items, too few "
            f"negatives for lists of {config.length}: lower lists.length, or set lists.variant=kar_lists."
        )
    return pool


def _card(ratings: Ratings, config: ListConfig, order: Card, split: ListSplit, test: ListTest) -> Card:
    """Everything a number on these lists depends on, as plain values for JSON."""
    everything = f"any of the {split.n_items} items, rated or not, the list's own consumed ones included"
    first_places = FirstPlaces(split.histories, split.n_items)
    return {
        "data": ratings.name,
        "variant": config.variant,
        "users": len(ratings.users),
        "items": split.n_items,
        "ratings": len(ratings.frame),
        **order,
        "seeds": {"users": config.split_seed, "lists": config.list_seed},
        "list": f"{config.consumed} consecutive interactions (fewer at a user's end), filled up to {config.length}",
        "negatives": everything if config.variant == "kar_lists" else "items the user never rated, before or after",
        "positive": f"consumed and rated above {ratings.positive_above:g}",
        "text history": f"the first min((n + 1) // 2, {config.text_history}) interactions; every list starts after it",
        "train": _shares(first_places, split.train_users, split.train),
        "valid": _shares(first_places, split.valid_users, split.valid),
        "test": _shares(first_places, test.users, test.lists),
        "MAP denominator": {"kar_map": "hits inside the top k", "standard_map": "min(k, positives of the list)"},
        "lists without a positive": "count as 0 in every metric",
        "ties": "keep the shuffled input order",
        "means": "over lists; user-averaged values beside them",
    }


def _shares(first_places: FirstPlaces, users: Ints32, lists: Lists) -> Card:
    """Counts of one part, and the shares of its lists and candidates that reward something else than ranking."""
    places = first_places.of(lists.users, lists.items)
    seen = places < lists.start[:, None]
    later = ~seen & ~lists.consumed & (places != NEVER)
    sorted_items = np.sort(lists.items, axis=1)
    return {
        "users": len(users),
        "lists": len(lists),
        "positives per list": round(float(lists.labels.sum(1).mean()), 4),
        "lists without a positive": round(float((lists.labels.sum(1) == 0).mean()), 4),
        "lists with a repeated item": round(float((sorted_items[:, 1:] == sorted_items[:, :-1]).any(1).mean()), 4),
        "candidates already rated": round(float(seen.mean()), 4),
        "negatives rated in the list or later": round(float(later.sum() / (~lists.consumed).sum()), 4),
    }
