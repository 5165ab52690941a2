"""Changed data are noticed whatever changed, and said in words; the same data are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tiny_ratings import random_ratings

from tacit.catalog import Catalog
from tacit.data import fingerprint
from tacit.data.ratings.table import Ratings
from tacit.types import Dialogue, Feedback, Item, Judgement, Slate, Split, TestSet, Turn

ITEMS = tuple(Item(f"i{k}", f"Film {k}", f"about {k}", {"genre": ("war", "drama")}) for k in range(4))


def dialogue(name: str) -> Dialogue:
    turns = (
        Turn("user", "hello", ("i1",)),
        Turn("agent", "this?", slate=Slate(("i2",)), feedback=Feedback(dwell_s=1.0)),
    )
    return Dialogue(name, "u", turns, {"i1": Judgement(liked=True)})


CATALOG, SPLIT = Catalog(ITEMS), Split((dialogue("a"), dialogue("b")), (dialogue("c"),))
FIRST = fingerprint.of_training(CATALOG, SPLIT)


def test_the_same_data_are_the_same() -> None:
    assert fingerprint.changes(FIRST, fingerprint.of_training(Catalog(ITEMS), SPLIT)) == []


@pytest.mark.parametrize(
    ("items", "said"),
    [
        (ITEMS[::-1], "the items stand in another order"),
        (ITEMS[:3], "the items were 4 and are 3"),
        ((*ITEMS[:3], replace(ITEMS[3], title="Other")), "the items are 4 as before, with other contents"),
        ((*ITEMS[:3], replace(ITEMS[3], text="")), "the items are 4 as before, with other contents"),
        ((*ITEMS[:3], replace(ITEMS[3], attributes={})), "the items are 4 as before, with other contents"),
        ((*ITEMS[:3], replace(ITEMS[3], id="i9")), "the items are 4 as before, with other contents"),
    ],
)
def test_items(items: tuple[Item, ...], said: str) -> None:
    assert fingerprint.changes(FIRST, fingerprint.of_training(Catalog(items), SPLIT)) == [said]


CHANGES: list[Callable[[Dialogue], Dialogue]] = [
    lambda d: replace(d, turns=d.turns[:1]),
    lambda d: replace(d, turns=(replace(d.turns[0], text="hullo"), d.turns[1])),
    lambda d: replace(d, turns=(d.turns[0], replace(d.turns[1], slate=Slate(("i3",))))),
    lambda d: replace(d, turns=(d.turns[0], replace(d.turns[1], feedback=Feedback(dwell_s=2.0)))),
    lambda d: replace(d, turns=(d.turns[0], replace(d.turns[1], feedback=None))),
    lambda d: replace(d, judgements={}),
    lambda d: replace(d, user="v"),
    lambda d: replace(d, id="z"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_dialogues_of_each_part(change: Callable[[Dialogue], Dialogue]) -> None:
    train = Split((change(SPLIT.train[0]), SPLIT.train[1]), SPLIT.valid)
    valid = Split(SPLIT.train, (change(SPLIT.valid[0]),))
    said = [fingerprint.changes(FIRST, fingerprint.of_training(CATALOG, split)) for split in (train, valid)]
    assert said == [[f"the {part} dialogues are {n} as before, with other contents"] for part, n in
                    (("training", 2), ("validation", 1))]  # fmt: skip
    test = fingerprint.of_test(TestSet((dialogue("t"),)))
    assert fingerprint.changes(test, fingerprint.of_test(TestSet((change(dialogue("t")),)))) != []
    assert fingerprint.changes(FIRST, test) == []  # parts that the record does not know are not held against it


def test_ratings() -> None:
    ratings = random_ratings()
    first = fingerprint.of_ratings(ratings)
    frame = ratings.frame
    column = frame.columns[2]
    others: list[Ratings] = [
        replace(ratings, frame=frame.reverse()),
        replace(ratings, frame=frame.head(len(frame) - 1)),
        replace(ratings, frame=frame.with_columns(frame[column] + 1)),
        replace(ratings, items=ratings.items[::-1]),
        replace(ratings, profiles=("somebody", *ratings.profiles[1:])),
        replace(ratings, descriptions={"x": "y"}),
    ]
    assert fingerprint.changes(first, fingerprint.of_ratings(replace(ratings))) == []
    for other in others:
        assert len(fingerprint.changes(first, fingerprint.of_ratings(other))) == 1
