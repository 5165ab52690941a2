"""Simulated users for a model of anybody: the same user for a seed, a reward of what is observed, an end."""

from __future__ import annotations

import numpy as np
import pytest

from tacit.data.dialogues import synthetic
from tacit.dialogue.users.crowd import UsersConfig, UserWorld
from tacit.environments.talk import Talk, observed_reward
from tacit.types import Feedback, InputError


@pytest.fixture(scope="module")
def world() -> UserWorld:
    catalog, split = synthetic.load_training(0, 0.2)
    return UserWorld.fit(catalog, split.train, UsersConfig(), 0)


def test_the_reward_is_of_what_was_observed() -> None:
    assert observed_reward(Feedback()) == 0.0
    assert observed_reward(Feedback(dwell_s=900.0, sentiment_after=1.0, scroll_depth=1.0)) == 0.0
    assert observed_reward(Feedback(clicked=("a", "b"), accepted=True)) == pytest.approx(1.2)
    assert observed_reward(Feedback(clicked=(), accepted=False, left=True)) == -1.0


def test_a_seed_is_a_user_and_titles_are_what_is_shown(world: UserWorld) -> None:
    first, second = (item.title for item in world.catalog.items[:2])
    text = f"Have you seen {first}? Or {second}? I mean {first}."
    assert Talk(world, 3).shown(text).slate == Talk(world, 4).shown(text).slate
    slate = Talk(world, 3).shown(text).slate
    assert slate is not None and slate.items == tuple(item.id for item in world.catalog.items[:2])
    assert Talk(world, 3).shown("What do you like?").slate is None
    again = [(talk.opening, talk.say(text)) for talk in (Talk(world, 3), Talk(world, 3))]
    assert again[0] == again[1]
    assert Talk(world, 4).opening != Talk(world, 3).opening


def test_a_conversation_ends_and_what_is_felt_is_no_reward(world: UserWorld) -> None:
    ends, felt, earned = [], [], []
    for seed in range(12):
        talk, rewards = Talk(world, seed, max_turns=3), []
        titles = [item.title for item in world.catalog.items[5 * seed : 5 * seed + 3]]
        while not talk.over:
            rewards.append(talk.say(f"How about {titles[len(rewards)]}?").reward)
        ends.append(talk.ended)
        felt.append(talk.felt())
        earned.append(sum(rewards))
        with pytest.raises(InputError, match="is over"):
            talk.say("And?")
    assert "cut" in ends and set(ends) <= {"accepted", "left", "cut"}
    assert not set(np.round(felt, 6)) & set(np.round(earned, 6)) - {0.0}
