from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tacit.catalog import Catalog
from tacit.data.dialogues import redial, synthetic
from tacit.dialogue.users.language import SHORT, LanguageSense, _limit, replies_of, shuffled, words_of
from tacit.dialogue.users.ngrams import DISCOUNT, NGrams
from tacit.types import Dialogue, Item, Slate, Turn

LETTERS = list("abcdefghijklmnopqrstuvwxyz")


def test_trigrams_by_hand() -> None:
    """Two texts, "a b" and "a b c c": 8 words with both ends, a vocabulary of 3 + 3 (every word is said twice)."""
    model = NGrams.count([["a", "b"], ["a", "b", "c", "c"]])
    assert model.words == ("<s>", "</s>", "<rare>", "a", "b", "c")
    given, alone = model.score(["a", "b"])
    p_a, p_b, p_end = 3 / 14, 3 / 14, 3 / 14  # (2 + 1) / (8 + 6): a, b and the end stand twice each
    assert np.exp(alone) == pytest.approx([p_a, p_b, p_end])
    d = DISCOUNT
    a_one = (2 - d) / 2 + d * 1 / 2 * p_a  # after <s> came a, twice
    assert np.exp(given[0]) == pytest.approx((2 - d) / 2 + d / 2 * a_one)
    b_one = (2 - d) / 2 + d * 1 / 2 * p_b
    assert np.exp(given[1]) == pytest.approx((2 - d) / 2 + d / 2 * b_one)
    end_one = (1 - d) / 2 + d * 2 / 2 * p_end  # after b came the end and c
    assert np.exp(given[2]) == pytest.approx((1 - d) / 2 + d * 2 / 2 * end_one)


def test_probabilities_of_what_may_follow_sum_to_one() -> None:
    model = NGrams.count([list("abcab"), list("abd"), list("bcad"), list("dd")])
    for before in ([], ["a"], ["a", "b"], ["d", "d"], ["z", "c"]):
        total = 0.0
        for word in model.words[1:]:  # BEGIN is never foretold
            text = [*before, word]
            given, _ = model.score(text if word != "</s>" else before)
            total += float(np.exp(given[len(before)]))
        left = np.exp(model.score(["<s>"])[1][0])  # the share that adding one leaves to BEGIN
        assert total == pytest.approx(1.0, abs=float(left) + 1e-9)


def test_titles_and_numbers_are_one_word_each() -> None:
    catalog = Catalog([Item("a", "Heat (1995)", ""), Item("b", "The Heat", "")])
    turn = Turn("agent", "Try Heat (1995), it’s 170 minutes!", ("a",), Slate(("a",)))
    assert words_of(turn, catalog) == ["try", "<t>", ",", "it's", "<n>", "minutes", "!"]
    assert words_of(Turn("agent", "これは良い映画 ok"), catalog) == [*"これは良い映画", "ok"]


@pytest.fixture(scope="module")
def world() -> tuple[Catalog, Sequence[Dialogue]]:
    catalog, split = synthetic.load_training(0)
    return catalog, split.train


@pytest.fixture(scope="module")
def sense(world: tuple[Catalog, Sequence[Dialogue]]) -> LanguageSense:
    fitted = LanguageSense.fit(*world, seed=0)
    assert fitted is not None
    return fitted


def rates(sense: LanguageSense, catalog: Catalog, held: Sequence[Dialogue]) -> tuple[float, float, float]:
    """Shares called no language: of human replies, of those shuffled, and of as many random letters."""
    rng = np.random.default_rng(1)
    texts = [words for dialogue in held for words in replies_of(dialogue, catalog)]
    long = [words for words in texts if len(words) >= SHORT]
    mixed = [other for words in long if (other := shuffled(words, rng)) != words]
    noise = [["".join(rng.choice(LETTERS, size=5)) for _ in words] for words in long]
    return tuple(float(np.mean([not sense.is_language(words) for words in rows])) for rows in (texts, mixed, noise))  # type: ignore[return-value]


def test_the_invented_worlds_people_speak_and_noise_does_not(
    sense: LanguageSense, world: tuple[Catalog, Sequence[Dialogue]]
) -> None:
    human, mixed, noise = rates(sense, world[0], synthetic.load_test(0).dialogues)
    assert human <= 0.05 and mixed >= 0.95 and noise == 1.0


def test_a_world_of_few_patterns_still_knows_plain_english(sense: LanguageSense) -> None:
    for text in ("it is a quiet drama about a family .", "who is in it ?", "it was directed by a young man ."):
        assert sense.is_language(text.split())
    for text in ("i think you did you seen i think you fine one .", "the the a of and", "movie film you good by of"):
        assert not sense.is_language(text.split())


def test_the_limit_on_order_by_hand() -> None:
    human, chance = np.arange(0.0, 101.0), np.arange(-200.0, -99.0)  # quantiles: 1.1 and -103
    assert _limit(human, chance) == pytest.approx((1.1 - 103.0) / 2)
    assert _limit(human, human) == pytest.approx(1.1)  # no gap


def test_words_said_again_and_again_are_no_language(sense: LanguageSense) -> None:
    assert not sense.is_language(["have", "you", "seen"] * 4)
    assert not sense.is_language(["<t>"] * 12)
    assert sense.is_language(["have", "you", "seen", "<t>", "?"]) and sense.is_language([])


def test_people_of_redial_speak() -> None:
    root = Path(os.environ.get("TACIT_DATA", "/data")) / "redial"
    if not root.is_dir():
        pytest.skip(f"{root} does not exist: set TACIT_DATA to the data sets' folder")
    catalog, split = redial.load_training(root)
    fitted = LanguageSense.fit(catalog, split.train, seed=0)
    assert fitted is not None
    human, mixed, noise = rates(fitted, catalog, redial.load_test(root, 0.1).dialogues)
    assert human <= 0.025 and mixed >= 0.94 and noise >= 0.99  # a tenth of the test; the whole is in docs/simulator.md


def test_the_same_after_a_trip_through_json_and_arrays(
    sense: LanguageSense, world: tuple[Catalog, Sequence[Dialogue]]
) -> None:
    again = LanguageSense.from_parts(sense.to_json(), sense.arrays(), world[0])
    for text in ("have you seen <t> ?", "you seen ? <t> have", "xyzzy"):
        assert again.measure(text.split()) == sense.measure(text.split())
    assert replace(again, words=sense.words, shapes=sense.shapes) == sense


def test_few_replies_teach_nothing(world: tuple[Catalog, Sequence[Dialogue]]) -> None:
    assert LanguageSense.fit(world[0], world[1][:40], seed=0) is None
    assert LanguageSense.fit(world[0], [], seed=0) is None
