"""The reward model of texts: its formula by hand, and what it can and must not learn."""

from __future__ import annotations

import numpy as np
import pytest

from tacit.rerank.align.text_reward import PREDICTED, TextReward, as_predicted, learn, nearest, terms
from tacit.types import Dialogue, Group, Sample, Scored, Turn

K = 3  # axes


def texts_of(users: int, each: int, seed: int, noise: float) -> tuple[list[Group], np.ndarray, np.ndarray]:
    """Texts whose score is minus their squared distance from the user's place, a level of the user, and noise."""
    draw = np.random.default_rng(seed)
    places = draw.normal(size=(users, K)).astype(np.float32)
    vectors = draw.normal(size=(users, each, K)).astype(np.float32)
    scores = -((vectors - places[:, None]) ** 2).sum(-1)
    scores += 10 * draw.normal(size=(users, 1)) + noise * draw.normal(size=scores.shape)
    groups = []
    for user, row in enumerate(scores.tolist()):
        context = Dialogue(str(user), str(user), (Turn("user", f"prompt {user}"),))
        made = (Scored(context, Sample((), (), (), (), f"{t}"), s, "ranker", {"lists": 6.0}) for t, s in enumerate(row))
        groups.append(Group(tuple(made)))
    return groups, vectors.reshape(-1, K), places


def judge(groups: list[Group]) -> np.ndarray:
    return np.array([[option.channels[PREDICTED] for option in group.options] for group in groups])


def test_terms_and_reward_by_hand() -> None:
    x, u = np.array([[2.0, -1.0]], np.float32), np.array([[3.0, 5.0]], np.float32)
    assert terms(x, u).tolist() == [[6.0, -5.0, 4.0, 1.0, 2.0, -1.0]]
    nearness = TextReward(np.array([2.0, 2.0, -1.0, -1.0, 0.0, 0.0]))  # minus the squared distance, but for |u|²
    assert nearness(x, u)[0] == pytest.approx(-((2 - 3) ** 2) - (-1 - 5) ** 2 + 9 + 25)


def test_nearness_by_hand() -> None:
    """Texts at 0 and 2 about users at 1 and 7: least squares puts a text x at 1 + 3x."""
    reward = TextReward.nearness(np.array([[0.0], [2.0]], np.float32), np.array([[1.0], [7.0]], np.float32))
    texts, place = np.array([[1.0], [2.0]], np.float32), np.array([[6.0], [6.0]], np.float32)
    near, far = reward(texts, place)  # they put the user of 6 at 4 and at 7
    assert near - far == pytest.approx(-((6 - 4) ** 2) + (6 - 7) ** 2)
    assert TextReward.nearness(texts[:1].repeat(2, 0), place)(texts, place).tolist() == [0.0, 0.0]


def test_nearness_orders_as_the_distance_does_and_is_blind_to_scores() -> None:
    groups, vectors, places = texts_of(30, 4, seed=6, noise=2.0)
    at = np.repeat(places, 4, axis=0)
    reward, told = nearest(groups, vectors, places)
    line = np.polyfit(np.ravel(vectors - vectors.mean(0)), np.ravel(at - at.mean(0)), 1)[0]
    put = at.mean(0) + line * (vectors - vectors.mean(0))
    distance = ((at - put) ** 2).sum(1).reshape(-1, 4)
    assert judge(told) - judge(told)[:, :1] == pytest.approx(distance[:, :1] - distance, abs=1e-3)
    mute = [Group(tuple(Scored(o.context, o.sample, 0.0, o.by, o.channels) for o in g.options)) for g in groups]
    assert nearest(mute, vectors, places)[0].weights.tolist() == reward.weights.tolist()


def test_without_noise_the_rule_is_found_whatever_a_users_level_is() -> None:
    groups, vectors, places = texts_of(60, 6, seed=0, noise=0.0)
    reward, _ = learn(groups, vectors, places, seed=0)
    assert reward.weights == pytest.approx([2, 2, 2, -1, -1, -1, 0, 0, 0], abs=0.01)


def test_it_judges_new_users_better_than_their_own_noisy_scores_do() -> None:
    noisy, vectors, places = texts_of(200, 6, seed=1, noise=6.0)
    truth = -((vectors - np.repeat(places, 6, axis=0)) ** 2).sum(-1).reshape(-1, 6)
    own = np.array([[option.score for option in group.options] for group in noisy])
    _, groups = learn(noisy, vectors, places, seed=0)
    rows = np.arange(len(truth))
    chosen, by_luck = truth[rows, judge(groups).argmax(1)], truth[rows, own.argmax(1)]
    assert chosen.mean() > by_luck.mean() > truth.mean()
    assert [option.score for option in as_predicted(groups)[7].options] == judge(groups)[7].tolist()


def test_what_is_foretold_of_a_user_does_not_depend_on_the_users_scores() -> None:
    groups, vectors, places = texts_of(20, 4, seed=2, noise=1.0)
    _, before = learn(groups, vectors, places, seed=0)
    other = Group(tuple(Scored(o.context, o.sample, -9 * o.score, o.by, o.channels) for o in groups[3].options))
    _, after = learn([*groups[:3], other, *groups[4:]], vectors, places, seed=0)
    same = np.isclose(judge(before), judge(after)).all(1)
    assert same[3] and not same.all()  # nor for the others of its fold; what the rest are told does change


def test_pure_noise_teaches_next_to_nothing_of_new_users() -> None:
    """Scores that do not depend on the text: the choice is as good as any, within three standard errors."""
    groups, vectors, places = texts_of(300, 4, seed=3, noise=0.0)
    draw = np.random.default_rng(4)
    blind = [
        Group(tuple(Scored(o.context, o.sample, float(draw.normal()), o.by, o.channels) for o in g.options))
        for g in groups
    ]
    _, told = learn(blind, vectors, places, seed=0)
    own = np.array([[option.score for option in group.options] for group in blind])
    gain = own[np.arange(len(own)), judge(told).argmax(1)] - own.mean(1)
    assert abs(gain.mean()) < 3 * gain.std() / len(gain) ** 0.5


def test_a_user_without_lists_has_no_say() -> None:
    groups, vectors, places = texts_of(30, 4, seed=5, noise=1.0)
    mute = Group(
        tuple(Scored(o.context, o.sample, 1e6 * i, o.by, {"lists": 0.0}) for i, o in enumerate(groups[0].options))
    )
    with_it, _ = learn([mute, *groups[1:]], vectors, places, seed=0)
    silent = Group(tuple(Scored(o.context, o.sample, 0.0, o.by, {"lists": 0.0}) for o in groups[0].options))
    without, _ = learn([silent, *groups[1:]], vectors, places, seed=0)
    assert with_it.weights == pytest.approx(without.weights, rel=1e-3)
