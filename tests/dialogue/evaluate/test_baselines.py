"""The trivial baselines on a world small enough to count by hand."""

from __future__ import annotations

import numpy as np

from tacit.catalog import Catalog
from tacit.dialogue.evaluate.baselines.counts import CoOccurrence, baselines, mentions_in_order
from tacit.dialogue.policy.directed import AttributeNames
from tacit.types import Dialogue, Item, Slate, Turn


def user(*items: str) -> Turn:
    return Turn("user", "I like " + " ".join(items), mentions=items)


def agent(*items: str) -> Turn:
    return Turn("agent", "try " + " ".join(items), mentions=items, slate=Slate(items))


TRAIN = (
    Dialogue("1", "u", (user("a"), agent("b"), user("b"), agent("c"))),
    Dialogue("2", "u", (user("a"), agent("b"))),
    Dialogue("3", "u", (user("d"), agent("c"))),
)
CATALOG = Catalog([Item(k, k, k) for k in "abcde"]).with_counts(TRAIN)
RANKERS = baselines(CATALOG, TRAIN)
ASKED = Dialogue("4", "u", (user("a"), agent("e"), user("a")))


def order(name: str, context: Dialogue) -> str:
    scores = RANKERS[name].scores([context, context])
    assert scores.shape == (2, 5) and scores.dtype == np.float32 and (scores[0] == scores[1]).all()
    return "".join(CATALOG.items[i].id for i in np.argsort(-scores[0], kind="stable"))


def test_popularity_ignores_the_context() -> None:
    assert CATALOG.counts.tolist() == [2, 3, 2, 1, 0]
    assert order("popularity", ASKED) == "bacde"


def test_copy_takes_the_latest_mention_first() -> None:
    assert mentions_in_order(ASKED) == ["a", "e", "a"]
    assert order("copy", ASKED)[:2] == "ae"
    assert (RANKERS["copy"].scores([ASKED])[0][1:4] == 0).all()


def test_co_occurrence_follows_who_was_answered_with_what() -> None:
    """After a: b twice and c once; after d: c once. A later item never points back."""
    assert order("co-occurrence", Dialogue("5", "u", (user("a"),)))[:2] == "bc"
    assert order("co-occurrence", Dialogue("5", "u", (user("d"),)))[0] == "c"
    b_after_c = RANKERS["co-occurrence"].scores([Dialogue("5", "u", (user("c"),))])[0]
    assert b_after_c.max() < 1e-4  # nothing was ever recommended after c: popularity breaks the tie


def test_copy_comes_before_co_occurrence() -> None:
    assert order("co-occurrence+copy", ASKED)[:4] == "aebc"


def test_an_empty_context_is_popularity() -> None:
    assert order("co-occurrence", Dialogue("6", "u", ())) == order("popularity", Dialogue("6", "u", ()))


def test_a_person_named_in_the_text_counts_like_an_item() -> None:
    people = {"director": ("ann lee", "lee")}
    catalog = Catalog([Item("x", "X", "X", people), Item("y", "Y", "Y"), Item("z", "Z", "Z")])
    train = (Dialogue("1", "u", (Turn("user", "Anything by Ann Lee?"), agent("y"))),)
    ranker = CoOccurrence(catalog, train)
    assert ranker.scores([Dialogue("2", "u", (Turn("user", "I love ANN LEE!"),))])[0].argmax() == 1
    assert AttributeNames.of(catalog).find("ann lee and Lee, not leeway") == ("ann lee", "lee")
