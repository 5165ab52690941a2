from __future__ import annotations

import numpy as np
import pytest

from tacit.catalog import Catalog
from tacit.dialogue.users.crowd import UserWorld
from tacit.dialogue.users.people import draw_people, utility
from tacit.dialogue.users.profiles import NAMES, PROFILES, draw_weights, traits
from tacit.dialogue.users.taste import TasteConfig, _matrix, fit_taste, likes, quality
from tacit.types import Dialogue, Feedback, InputError, Judgement, Turn


def test_weights_of_zero_are_no_entries() -> None:
    """To ALS a stored zero is an item that was consumed: ``mention`` 0 must switch mentions off."""
    dialogue = Dialogue("d", "u", (Turn("user", "Heat", ("a", "b")),), {"b": Judgement(liked=True)})
    assert likes(dialogue, 0.0) == {"b": 1.0} and likes(dialogue, 0.5) == {"a": 0.5, "b": 1.0}
    assert _matrix([[(0, 0.0), (1, 1.0)], [(2, 0.0)]], 3).nnz == 1


def test_likes_reads_forms_before_mentions() -> None:
    dialogue = Dialogue(
        "d",
        "u",
        (Turn("user", "", ("a", "b", "c")), Turn("agent", "", ("e",), feedback=Feedback(clicked=("e",)))),
        {
            "a": Judgement(liked=True),
            "b": Judgement(liked=False),
            "d": Judgement(liked=True),
            "c": Judgement(seen=True),
        },
    )
    assert likes(dialogue, 0.3) == {"a": 1.0, "c": 0.3, "d": 1.0, "e": 1.0}


def test_quality_by_hand() -> None:
    assert quality(np.array([3.0, 0.0]), np.array([4.0, 0.0]), 4.0) == pytest.approx([(3 + 4 * 0.75) / 8, 0.75])


def test_fit_is_deterministic_and_finds_the_genres(catalog: Catalog, dialogues: tuple[Dialogue, ...]) -> None:
    config = TasteConfig(factors=8)
    taste, again = fit_taste(catalog, dialogues, config, 0), fit_taste(catalog, dialogues, config, 0)
    assert np.array_equal(taste.items, again.items)
    vectors = taste.items / np.linalg.norm(taste.items, axis=1, keepdims=True)
    similar = vectors @ vectors.T
    same = np.arange(60)[:, None] % 5 == np.arange(60) % 5
    off = ~np.eye(60, dtype=bool)
    assert similar[same & off].mean() > similar[~same].mean() + 0.5
    assert set(taste.liked_by(0).tolist()) >= {catalog.index(i) for i, j in dialogues[0].judgements.items() if j.liked}


def test_no_likes_is_an_input_error(catalog: Catalog) -> None:
    with pytest.raises(InputError, match="two liked"):
        fit_taste(catalog, [Dialogue("d", "u", (Turn("user", "hi"),))], TasteConfig(), 0)


def test_utilities_are_spread_as_promised(world: UserWorld) -> None:
    config = world.config.people
    people = draw_people(world.taste, config, 50, np.random.default_rng(0))
    everything = np.tile(np.arange(60), (50, 1))
    fresh = utility(people, world.taste, config, np.arange(50), everything)
    calm = people.traits.threshold < 0.02
    raw = 1 / (1 + np.exp(-(np.log(fresh / (1 - fresh)) + people.traits.threshold[:, None])))
    assert np.median(raw, axis=1) == pytest.approx(np.full(50, 0.3), abs=0.03)
    assert np.quantile(raw, 0.99, axis=1) == pytest.approx(np.full(50, 0.9), abs=0.05)
    assert fresh[~calm].mean() <= raw[~calm].mean()
    for user in range(50):
        assert not set(people.targets[user].tolist()) & {*people.known[user], *people.disliked[user]}
        best = fresh[user, people.targets[user]]
        assert (np.diff(best) <= 1e-9).all()


def test_batched_utility_equals_one_user_and_item_at_a_time(world: UserWorld) -> None:
    config, taste = world.config.people, world.taste
    people = draw_people(taste, config, 4, np.random.default_rng(1))
    rows = np.array([[3, 17], [50, 0], [9, 9], [22, 41]])
    batch = utility(people, taste, config, np.arange(4), rows)
    for user in range(4):
        for k, row in enumerate(rows[user]):
            z = (float(people.taste[user] @ taste.items[row]) - people.mean[user]) / people.spread[user]
            x = z + config.quality * taste.quality[row] - people.traits.novelty[user] * taste.popularity[row]
            logit = people.gain[user] * (x - people.median[user]) + np.log(3 / 7) - people.traits.threshold[user]
            assert batch[user, k] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-5)


def test_chunks_do_not_change_the_users(world: UserWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = draw_people(world.taste, world.config.people, 30, np.random.default_rng(2))
    monkeypatch.setattr("tacit.dialogue.users.people.CHUNK", 7)
    parts = draw_people(world.taste, world.config.people, 30, np.random.default_rng(2))
    assert whole.known == parts.known and np.array_equal(whole.targets, parts.targets)
    assert whole.gain == pytest.approx(parts.gain)


def test_traits_mix_linearly() -> None:
    pure = traits(np.eye(5))
    assert pure.novelty.tolist() == [profile.novelty for profile in PROFILES]
    half = traits(np.array([[0.5, 0.5, 0, 0, 0]]))
    assert half.threshold == pytest.approx([(PROFILES[0].threshold + PROFILES[1].threshold) / 2])
    weights = draw_weights(400, [0.0, 1.0, 0.0, 0.0, 0.0], 2.0, np.random.default_rng(0))
    assert weights[:, NAMES.index("picky")].mean() > 0.99
