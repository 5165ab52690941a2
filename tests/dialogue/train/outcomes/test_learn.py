"""Learners in a world where what people named and what they liked are not the same."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from ppo_fakes import tiny_policy

from tacit.dialogue.policy.plackett_luce import draw_slates, group_logprobs, slate_logprobs
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.train.outcomes.group_credit import group_credit_loss
from tacit.dialogue.train.outcomes.imitation import imitation_loss
from tacit.dialogue.train.outcomes.importance import importance_loss
from tacit.dialogue.train.outcomes.learn import CONTROL, LEARNERS, learn
from tacit.dialogue.train.outcomes.recalibration import ItemOdds, Read, Recalibration
from tacit.dialogue.train.outcomes.set_dpo import set_loss
from tacit.dialogue.train.outcomes.settings import OutcomesConfig
from tacit.dialogue.train.outcomes.tables import Outcomes
from tacit.dialogue.users.replay import Replayed
from tacit.types import Dialogue, Turn

CONFIG = OutcomesConfig(epochs=4, batch=16, lr=0.05, group=4, slate_size=3)
GENERATOR = torch.Generator().manual_seed(0)


def person(rows: Sequence[int], gains: Sequence[float], now: Sequence[bool] | None = None) -> Replayed:
    return Replayed(Dialogue("d", "u", ()), tuple(rows), tuple(gains), tuple(now or [True] * len(rows)))


def test_imitation_shares_a_turns_weight_and_leaves_later_items_alone_by_hand() -> None:
    """p = ½, ¼, ¼: the first turn named items 0 and 1, the second 1 with 2 to come: ½ (½ (log 2 + log 4) + log 4)."""
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25]] * 2))
    outcomes = Outcomes.of([person([0, 1], [1, 1]), person([1, 2], [1, 1], [True, False])])
    expected = 0.5 * (0.5 * (math.log(2) + math.log(4)) + math.log(4))
    assert imitation_loss(logits, outcomes).item() == pytest.approx(expected)


def test_a_table_of_items_repeats_none_and_pads_with_nothing() -> None:
    outcomes = Outcomes.of([person([2], [1.0]), person([0, 1], [0.5, -1.0])])
    assert outcomes.per_item(4).tolist() == [[0, 0, 1.0, 0], [0.5, -1.0, 0, 0]]
    assert outcomes.baseline == pytest.approx(0.5 / 3)


def test_importance_by_hand() -> None:
    """Gains 1 and −1, mean 0; both ratios 1: −(1·log ½ − 1·log ¼) / 2 = −½ log 2, and where all is liked, nothing."""
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25]]))
    loss = importance_loss(logits, logits, Outcomes.of([person([0, 1], [1.0, -1.0])]), CONFIG, GENERATOR)
    assert loss.item() == pytest.approx(-0.5 * math.log(2))
    alike = importance_loss(logits, logits, Outcomes.of([person([0, 1], [1.0, 1.0])]), CONFIG, GENERATOR)
    assert alike.item() == 0.0


def test_set_dpo_is_ln_2_of_the_contexts_that_tell_apart_and_deaf_to_the_others() -> None:
    logits = torch.randn(2, 5, generator=torch.Generator().manual_seed(1))
    outcomes = Outcomes.of([person([0, 1], [1.0, 0.5]), person([2, 3], [1.0, 1.0])])
    assert set_loss(logits, logits, outcomes, CONFIG, GENERATOR).item() == pytest.approx(math.log(2))


def test_group_credit_moves_towards_what_was_liked_and_away_from_what_was_not() -> None:
    logits = torch.zeros(1, 12, requires_grad=True)
    outcomes = Outcomes.of([person([0, 1], [1.0, -1.0])])
    for seed in range(40):
        loss = group_credit_loss(logits, logits.detach(), outcomes, CONFIG, torch.Generator().manual_seed(seed))
        torch.autograd.backward(loss)
    assert logits.grad is not None
    gradient = -logits.grad[0]
    assert gradient[0] > 0 > gradient[1]
    assert gradient[0] > gradient[2:].max() and gradient[1] < gradient[2:].min()
    nobody = group_credit_loss(logits, logits, Outcomes.of([person([0], [0.0])]), CONFIG, GENERATOR)
    assert nobody.item() == 0.0, "a reward that tells no slates apart moves nothing"


def test_slates_of_a_group_are_as_likely_as_each_alone() -> None:
    logits = 2.0 * torch.randn(3, 9, generator=torch.Generator().manual_seed(2))
    wide = logits.repeat_interleave(4, 0)
    slates = draw_slates(wide, 5, GENERATOR)
    slow = slate_logprobs(wide, slates).unflatten(0, (3, 4))
    torch.testing.assert_close(group_logprobs(logits, slates.unflatten(0, (3, 4))), slow, atol=1e-4, rtol=1e-4)


@pytest.fixture(scope="module")
def world() -> tuple[Policy, Read, ItemOdds, Outcomes]:
    """People name every item alike; the even ones are liked, which the earlier people's odds foretell."""
    policy = tiny_policy().eval()
    contexts = [Dialogue(f"d{k}", f"u{k}", (Turn("user", f"film {k} please"),)) for k in range(64)]
    even = torch.arange(12) % 2 == 0
    users = [
        person([(3 * k) % 12, (3 * k + 7) % 12], [1.0 if r % 2 == 0 else -1.0 for r in (3 * k, 3 * k + 7)])
        for k in range(64)
    ]
    return policy, Read.of(policy, contexts), ItemOdds(even.float() - 0.5, torch.zeros(12)), Outcomes.of(users)


@pytest.mark.parametrize("learner", list(LEARNERS))
def test_every_learner_finds_what_imitation_cannot_see(
    world: tuple[Policy, Read, ItemOdds, Outcomes], learner: str
) -> None:
    policy, read, odds, outcomes = world
    found = {}
    for name in (CONTROL, learner):
        weights = Recalibration(policy.head, odds)
        found[name] = learn(weights, read, outcomes, name, 3.0, CONFIG, seed=0)["liked"]
    assert found[learner] > found[CONTROL] + 0.1
    assert abs(found[CONTROL]) < 0.3


def test_the_same_seed_learns_the_same(world: tuple[Policy, Read, ItemOdds, Outcomes]) -> None:
    policy, read, odds, outcomes = world
    runs = [learn(Recalibration(policy.head, odds), read, outcomes, "group_credit", 1.0, CONFIG, 5) for _ in range(2)]
    assert runs[0] == runs[1]
    other = learn(Recalibration(policy.head, odds), read, outcomes, "group_credit", 1.0, CONFIG, 6)
    assert other != runs[0]
