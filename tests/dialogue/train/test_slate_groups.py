"""Slates that are compared within a turn: who is drawn, what each earns, and which way the policy goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ppo_fakes import GOOD, N_ITEMS, SMALL, Taste, played, run, tiny_policy

from tacit.dialogue.policy.plackett_luce import slate_logprobs
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.train.ppo_learner import PPOConfig
from tacit.dialogue.train.slate_groups import SlateGroups, advantages_where_told, draw_groups, group_loss, showing
from tacit.run.folder import Stage
from tacit.types import Dialogue, InputError, Turn

GENERATOR = torch.Generator().manual_seed(0)


def drawn(policy: Policy, group: int = 6) -> tuple[SlateGroups, list[list[int]]]:
    batch = played(policy)
    own = [[policy.catalog.index(i) for i in s.slate.items] if s.slate else [] for s in batch.samples]
    return draw_groups(policy, batch, Taste(), group, 4, torch.Generator().manual_seed(1)), own


def test_advantages_by_hand() -> None:
    """0, 1, 2 less their mean, by the root mean square √⅔; the second group is not told and counts nowhere."""
    rewards, told = torch.tensor([[0.0, 1.0, 2.0], [4.0, 4.0, 4.0]]), torch.tensor([True, False])
    found = advantages_where_told(rewards, told)
    assert found[0].tolist() == pytest.approx(np.array([-1.0, 0.0, 1.0]) / np.sqrt(2 / 3), abs=1e-5)
    assert found[1].tolist() == [0.0, 0.0, 0.0]
    assert not advantages_where_told(rewards, torch.tensor([False, False])).any()


def test_a_group_holds_the_slate_that_was_shown_and_others_of_the_same_policy() -> None:
    policy = tiny_policy().eval()
    groups, own = drawn(policy)
    assert 0 < int(groups.shown.sum()) < len(own)
    for row, slate in enumerate(own):
        assert bool(groups.shown[row]) == bool(slate)
        if slate:
            assert groups.items[row, 0].tolist() == slate
            assert all(len(set(items)) == len(items) for items in groups.items[row].tolist())
            worth = [sum(policy.catalog.items[i].id in GOOD for i in items) / 2 for items in groups.items[row].tolist()]
            assert groups.rewards[row].tolist() == worth
            assert bool(groups.told[row]) == (len(set(worth)) > 1)
    batch = played(policy)
    logits = batch.old.slate_log_softmax.repeat_interleave(6, 0)
    slow = slate_logprobs(logits, groups.items.flatten(0, 1)).view_as(groups.old_logprobs)
    torch.testing.assert_close(groups.old_logprobs[groups.shown], slow[groups.shown], atol=1e-4, rtol=1e-4)


def test_other_items_stand_where_the_reply_has_a_title() -> None:
    policy = tiny_policy().eval()
    sample = next(s for s in played(policy).samples if s.slate)
    slot = policy.layout.slots[0]
    said = replace(sample, tokens=(*policy.layout.opening(sample.slate), slot, policy.layout.eos))
    turn = showing(policy, said, [3, 4])
    assert turn.slate and turn.slate.items == ("i3", "i4") == turn.mentions
    assert policy.catalog.items[3].title in turn.text


def test_the_step_goes_to_what_the_reward_prefers_within_the_turn() -> None:
    """Before the first step the ratio is 1, so the gradient is Σ A ∇log π: towards GOOD items in every turn that is
    told, and nothing in the others."""
    policy = tiny_policy().eval()
    groups, own = drawn(policy)
    logits = played(policy).old.slate_log_softmax.clone().requires_grad_(True)
    rows = list(range(len(own)))
    count = float(groups.told.sum()) * groups.items[0].numel()
    loss = group_loss(logits, groups, rows, 0.2, count)
    (gradient,) = torch.autograd.grad(loss, logits)
    good = torch.tensor([f"i{k}" in GOOD for k in range(N_ITEMS)])
    step = -gradient[groups.told]
    assert float(step[:, good].sum()) > 0 > float(step[:, ~good].sum())
    assert not gradient[~groups.told].any()
    assert float(loss.detach()) == pytest.approx(0.0, abs=1e-5), "advantages of a group sum to 0"


def test_pieces_of_the_groups_add_up_to_the_whole() -> None:
    policy = tiny_policy().eval()
    groups, own = drawn(policy)
    logits = played(policy).old.slate_log_softmax + 0.3 * torch.randn(len(own), N_ITEMS, generator=GENERATOR)
    whole = group_loss(logits, groups, range(len(own)), 0.2, 10.0)
    parts = [group_loss(logits[row : row + 1], groups, [row], 0.2, 10.0) for row in range(len(own))]
    assert float(whole) == pytest.approx(float(sum(parts)), abs=1e-5) and float(whole) != 0.0


def gain(folder: Path, config: PPOConfig) -> float:
    run(folder, config)
    rows = Stage("ppo", folder).log.rows()
    return float(np.mean([row["reward"] / max(row["recommend_rate"], 1e-9) for row in rows[-2:]]))


def test_the_slate_learns_what_users_want_from_fewer_conversations(tmp_path: Path) -> None:
    """The bandit of ``test_ppo``, a quarter of its conversations and half of its iterations; what is shown is good for
    half by chance."""
    small = replace(SMALL, iterations=5, trajectories=12, minibatch=48, microbatch=48, epochs=4, lr=0.0, slate_lr=1e-2)
    config = replace(small, terms_lr=0.0, kl_slate_target=5.0, kl_stop=0.2)
    alone, beside = gain(tmp_path / "alone", config), gain(tmp_path / "beside", replace(config, slate_group=16))
    assert beside > 0.8 > alone
    told = Stage("ppo", tmp_path / "beside").log.rows()[-1]
    assert 0 < told["slates_told"] <= 1 and 0 < told["slates_spread"] < 1


def test_what_is_compared_changes_nothing_else_that_is_drawn(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    run(one, replace(SMALL, iterations=2))
    run(two, replace(SMALL, iterations=2, slate_group=4))
    first = [Stage("ppo", folder).log.rows()[0] for folder in (one, two)]
    assert first[0]["reward"] == first[1]["reward"]


class OnlyTheFirst(Taste):
    """Gives no number to what it has not seen shown."""

    def score(self, contexts: Sequence[Dialogue], turns: Sequence[Turn]) -> list[tuple[float, dict[str, float]]]:
        scored = super().score(contexts, turns)
        shown = all(len(turn.slate.propensities or ()) > 0 for turn in turns if turn.slate)
        return scored if shown else [(float("nan"), channels) for _, channels in scored]


def test_a_score_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="slate that is compared with the one shown is not finite"):
        run(tmp_path, replace(SMALL, slate_group=3), OnlyTheFirst())
