"""Losses against numbers a reader can redo by hand, slow twins, and properties."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tacit import losses


def row(*values: float) -> Tensor:
    return torch.tensor([values])


def test_the_clipped_objective_of_one_token_by_hand() -> None:
    """r = 1.5, A = 0.3, ε = 0.2: min(0.45, 0.36) = 0.36. With A = -0.3 the unclipped -0.45 is the smaller one."""
    mask = torch.tensor([[True]])
    for advantage, expected in ((0.3, 0.36), (-0.3, -0.45)):
        loss = losses.clipped_policy_loss(row(math.log(1.5)), row(0.0), row(advantage), mask, 0.2, 1)
        assert loss.item() == pytest.approx(-expected, abs=1e-6)


def test_nothing_is_learnt_outside_the_clip_range_or_the_mask() -> None:
    logprob = torch.tensor([[math.log(1.5), math.log(0.5), 0.0]], requires_grad=True)
    advantage, mask = row(1.0, -1.0, 1.0), torch.tensor([[True, True, False]])
    losses.clipped_policy_loss(logprob, torch.zeros(1, 3), advantage, mask, 0.2, 2).backward()
    assert logprob.grad is not None and logprob.grad.abs().max() == 0.0


def test_a_masked_entry_may_hold_anything() -> None:
    logprob = torch.tensor([[0.0, 900.0]], requires_grad=True)
    mask = torch.tensor([[True, False]])
    loss = losses.clipped_policy_loss(logprob, torch.zeros(1, 2), row(1.0, float("nan")), mask, 0.2, 1)
    loss.backward()
    assert loss.item() == pytest.approx(-1.0) and logprob.grad is not None
    assert logprob.grad.tolist() == [[-1.0, 0.0]]


def test_pieces_of_a_minibatch_add_up_to_the_whole() -> None:
    generator = torch.Generator().manual_seed(0)
    new, old, advantage = torch.randn(3, 6, 5, generator=generator)
    mask = torch.rand(6, 5, generator=generator) > 0.4
    whole = losses.clipped_policy_loss(new, old, advantage, mask, 0.2, mask.sum().item())
    parts = [
        losses.clipped_policy_loss(new[s], old[s], advantage[s], mask[s], 0.2, mask.sum().item())
        for s in (slice(0, 1), slice(1, 6))
    ]
    assert sum(parts).item() == pytest.approx(whole.item(), abs=1e-6)


def test_ratios_outside_the_clip_range_on_either_side() -> None:
    logprob = row(math.log(1.3), math.log(0.7), 0.1, -0.1)
    assert losses.outside_clip(logprob, torch.zeros(1, 4), 0.2).tolist() == [[1.0, 1.0, 0.0, 0.0]]


def test_value_loss_by_hand() -> None:
    """½ (2 - 1)² and ½ (1 - 4)² over two states; the third is masked."""
    mask = torch.tensor([[True, True, False]])
    assert losses.value_loss(row(2.0, 1.0, 9.0), row(1.0, 4.0, 0.0), mask, 2).item() == 2.5


def test_gae_table_by_hand() -> None:
    """Two turns of two steps, gamma = lambda = 1 inside a turn, 0.9 and 0.5 across; rewards on the turns' ends.

    step  turn  r  V    next V  discount  delta                    advantage
    4     2     2  0.5  0       0.9       2 - 0.5 = 1.5            1.5
    3     2     0  1.0  0.5     1         0.5 - 1.0 = -0.5         -0.5 + 1.5 = 1.0
    2     1     1  0.2  1.0     0.9       1 + 0.9 - 0.2 = 1.7      1.7 + 0.9 · 0.5 · 1.0 = 2.15
    1     1     0  0.0  0.2     1         0.2                      0.2 + 2.15 = 2.35
    """
    end = torch.tensor([[False, True, False, True]])
    advantages, returns = losses.gae(
        row(0, 1, 0, 2), row(0, 0.2, 1, 0.5), torch.ones(1, 4, dtype=torch.bool), end, torch.zeros(1),
        losses.Discounts(gamma_turn=0.9, lam_turn=0.5),
    )  # fmt: skip
    torch.testing.assert_close(advantages, row(2.35, 2.15, 1.0, 1.5))
    torch.testing.assert_close(returns, row(2.35, 2.35, 2.0, 2.0))


def test_only_a_cut_conversation_sees_the_value_of_what_follows() -> None:
    one = torch.ones(1, 1, dtype=torch.bool)
    cut, _ = losses.gae(row(1.0), row(0.0), one, one, torch.tensor([10.0]), losses.Discounts(gamma_turn=0.9))
    over, _ = losses.gae(row(1.0), row(0.0), one, one, torch.zeros(1), losses.Discounts(gamma_turn=0.9))
    assert cut.item() == pytest.approx(10.0) and over.item() == pytest.approx(1.0)


def slow_gae(steps: list[tuple[float, float, bool]], bootstrap: float, within: float, across: float) -> list[float]:
    """The definition, term by term: A_i = Σ_j≥i (Π_i≤m<j γ_m λ_m) δ_j, over a plain list of (r, V, ends turn)."""
    result = []
    for i in range(len(steps)):
        weight, total = 1.0, 0.0
        for j in range(i, len(steps)):
            reward, value, end = steps[j]
            following = steps[j + 1][1] if j + 1 < len(steps) else bootstrap
            total += weight * (reward + (across if end else within) * following - value)
            weight *= (across * 0.8) if end else (within * 0.9)
        result.append(total)
    return result


conversations = st.lists(
    st.tuples(st.floats(-2, 2, width=32), st.floats(-2, 2, width=32), st.booleans()), min_size=1, max_size=12
)


@settings(max_examples=60, deadline=None)
@given(steps=conversations, holes=st.lists(st.integers(0, 12), max_size=8), bootstrap=st.floats(-2, 2, width=32))
def test_user_words_and_padding_change_no_advantage(
    steps: list[tuple[float, float, bool]], holes: list[int], bootstrap: float
) -> None:
    """Holes filled with huge values go anywhere between the policy's steps; the slow twin never sees them."""
    rows = [(r, v, end, True) for r, v, end in steps]
    for place in holes:
        rows.insert(min(place, len(rows)), (1e6, -1e6, True, False))
    r, v, end, mask = (torch.tensor([[x[i] for x in rows]]) for i in range(4))
    advantages, returns = losses.gae(
        r.double(), v.double(), mask, end, torch.tensor([bootstrap]).double(),
        losses.Discounts(gamma=0.97, lam=0.9, gamma_turn=0.9, lam_turn=0.8),
    )  # fmt: skip
    expected = torch.tensor(slow_gae(steps, bootstrap, 0.97, 0.9)).double()
    torch.testing.assert_close(advantages[mask], expected, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(returns[mask], expected + v[mask].double(), atol=1e-6, rtol=1e-6)
    assert advantages[~mask].abs().sum() == 0.0


def test_with_equal_pairs_it_is_plain_token_gae() -> None:
    mask = torch.ones(1, 3, dtype=torch.bool)
    same = losses.Discounts(gamma=0.9, lam=0.8, gamma_turn=0.9, lam_turn=0.8)
    ends = [torch.tensor([[False, x, True]]) for x in (True, False)]
    a, b = (losses.gae(row(1, 2, 3), row(0.1, 0.2, 0.3), mask, end, torch.zeros(1), same)[0] for end in ends)
    torch.testing.assert_close(a, b)


def test_kl_estimators_agree_with_the_exact_divergence() -> None:
    log_p, log_q = torch.log_softmax(torch.tensor([[1.0, 0.0, -1.0], [0.3, 0.2, 0.1]]), dim=1)
    exact = losses.categorical_kl(log_p, log_q)
    for estimate in (losses.k1, losses.k3):
        torch.testing.assert_close((log_p.exp() * estimate(log_p, log_q)).sum(), exact)
    assert (losses.k3(log_p, log_q) >= 0).all()


def test_exact_divergence_and_entropy_by_hand() -> None:
    """KL((1, 0) ‖ (½, ½)) = ln 2; the zero adds nothing, whatever q says there."""
    sure, even = torch.tensor([1.0, 0.0]).log(), torch.tensor([0.5, 0.5]).log()
    assert losses.categorical_kl(sure, even).item() == pytest.approx(math.log(2))
    assert losses.categorical_kl(sure, sure).item() == 0.0
    assert losses.categorical_entropy(even).item() == pytest.approx(math.log(2))
    assert losses.categorical_entropy(sure).item() == 0.0


def test_the_gradient_of_the_exact_divergence_is_finite_and_vanishes_at_the_reference() -> None:
    logits = torch.tensor([50.0, -200.0, 0.0], requires_grad=True)
    losses.categorical_kl(logits.log_softmax(0), torch.tensor([50.0, -200.0, 0.0]).log_softmax(0)).backward()
    assert logits.grad is not None and torch.isfinite(logits.grad).all() and logits.grad.abs().max() < 1e-6


def test_the_kl_coefficient_follows_its_target() -> None:
    assert losses.adapted_kl_coef(0.1, 2.0, 1.0, 0.5) == pytest.approx(0.11)  # error clipped to 0.2
    assert losses.adapted_kl_coef(0.1, 0.0, 1.0, 0.5) == pytest.approx(0.09)
    assert losses.adapted_kl_coef(0.1, 1.1, 1.0, 1.0) == pytest.approx(0.11)
    assert losses.adapted_kl_coef(0.1, 1.0, 1.0, 0.5) == 0.1


def test_whitening_ignores_what_is_masked() -> None:
    mask = torch.tensor([True, True, False])
    torch.testing.assert_close(losses.whiten(torch.tensor([1.0, 3.0, 1e9]), mask), torch.tensor([-1.0, 1.0, 0.0]))
    assert losses.whiten(torch.full((3,), 5.0), mask).tolist() == [0.0, 0.0, 0.0]


def test_rewards_within_a_conversation_by_hand() -> None:
    """(1, 3) → (-1, 1); a conversation of one turn and one of equal rewards say nothing."""
    rewards, conversation = torch.tensor([1.0, 3.0, 7.0, 4.0, 4.0]), torch.tensor([0, 0, 1, 2, 2])
    expected = torch.tensor([-1.0, 1.0, 0.0, 0.0, 0.0])
    torch.testing.assert_close(losses.per_conversation(rewards, conversation), expected)


def test_group_advantages_by_hand() -> None:
    """Left over are (-2, 2), (-1, 1) and (0, 0): σ² = (4 + 4 + 1 + 1) / 6, the same for all prompts."""
    rewards = torch.tensor([[1.0, 5.0], [7.0, 9.0], [3.0, 3.0]])
    expected = torch.tensor([[-2.0, 2.0], [-1.0, 1.0], [0.0, 0.0]]) / (10 / 6) ** 0.5
    torch.testing.assert_close(losses.group_advantages(rewards), expected)
    assert losses.group_advantages(torch.full((2, 3), 0.3)).tolist() == [[0.0] * 3] * 2


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(-8, 8), min_size=4, max_size=4), min_size=1, max_size=6),
    st.integers(-50, 50),
    st.integers(1, 9),
)
def test_neither_an_easy_prompt_nor_the_unit_of_the_reward_changes_an_advantage(
    rewards: list[list[int]], easier: int, unit: int
) -> None:
    plain = torch.tensor(rewards, dtype=torch.float32)
    other = unit * plain
    other[0] += easier
    advantages = losses.group_advantages(plain)
    torch.testing.assert_close(losses.group_advantages(other), advantages, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(advantages.sum(1), torch.zeros(len(rewards)), atol=1e-4, rtol=0.0)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.floats(-100, 100, width=32), max_size=6), max_size=5))
def test_running_moments_equal_those_of_all_data_at_once(batches: list[list[float]]) -> None:
    moments = losses.Moments()
    for batch in batches:
        moments = moments.updated(torch.tensor(batch))
    everything = torch.tensor([x for batch in batches for x in batch], dtype=torch.float64)
    std = everything.std(correction=0).item() if len(everything) else 0.0
    assert moments.std == pytest.approx(std if std > 1e-6 else 1.0, rel=1e-6, abs=1e-5)


def test_scaling_keeps_the_sign_and_clips_the_tail() -> None:
    assert losses.scaled_by_std(torch.tensor([4.0, -2.0, 100.0]), 2.0, 5.0).tolist() == [2.0, -1.0, 5.0]


def test_explained_variance() -> None:
    mask = torch.tensor([True, True, True, False])
    returns = torch.tensor([1.0, 2.0, 3.0, 99.0])
    assert losses.explained_variance(returns, returns, mask) == 1.0
    assert losses.explained_variance(torch.zeros(4), returns, mask) == 0.0
    assert losses.explained_variance(torch.zeros(4), torch.ones(4), mask) == 0.0


def test_dpo_by_hand() -> None:
    """β = ½ on margins 0 and 2 ln 3: σ(0) = ½, and σ(ln 3) = ¾."""
    zero, gain = torch.zeros(2), torch.tensor([0.0, math.log(3.0)])
    loss = losses.dpo_loss(gain - 5.0, -gain - 7.0, zero - 5.0, zero - 7.0, 0.5)
    assert loss.tolist() == pytest.approx([math.log(2.0), math.log(4.0 / 3.0)], abs=1e-6)


def test_dpo_pulls_more_at_a_pair_in_the_wrong_order_and_moves_both_texts_alike() -> None:
    """d/dΔ_chosen = -β σ(-β margin) = -d/dΔ_rejected: ½ · ¾ at a margin of -2 ln 3, ½ · ¼ at 2 ln 3."""
    chosen = torch.tensor([-math.log(3.0), math.log(3.0)]).requires_grad_()
    rejected = torch.tensor([math.log(3.0), -math.log(3.0)]).requires_grad_()
    losses.dpo_loss(chosen, rejected, torch.zeros(2), torch.zeros(2), 0.5).sum().backward()
    assert chosen.grad is not None and rejected.grad is not None
    assert chosen.grad.tolist() == pytest.approx([-0.375, -0.125], abs=1e-6)
    assert rejected.grad.tolist() == pytest.approx([0.375, 0.125], abs=1e-6)


def test_a_rank_is_compared_with_the_same_rank_of_the_other_slates_by_hand() -> None:
    """Rewards of three slates at two ranks: 3 − (0 + 0)/2 = 3, 0 − (3 + 0)/2 = −1.5; the second rank is flat."""
    rewards = torch.tensor([[[3.0, 1.0], [0.0, 1.0], [0.0, 1.0]]])
    expected = torch.tensor([[[3.0, 0.0], [-1.5, 0.0], [-1.5, 0.0]]])
    torch.testing.assert_close(losses.leave_one_out(rewards), expected)


def test_the_gate_is_open_where_samples_differ_and_nowhere_else() -> None:
    rewards = torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.5]]])
    assert losses.tells_apart(rewards).tolist() == [False, True, True], "equal sums, other ranks: told apart"
    assert losses.tells_apart(rewards.sum(2)).tolist() == [False, False, True]


def test_rank_credit_by_hand_and_deaf_to_prompts_behind_the_gate() -> None:
    """One open prompt, two samples of two ranks: −(2·(−1) + (−2)·(−3)) / 2 = −2."""
    logprob = torch.tensor([[[-1.0, -5.0], [-3.0, -7.0]], [[-2.0, -2.0], [-2.0, -2.0]]], requires_grad=True)
    advantage = torch.tensor([[[2.0, 0.0], [-2.0, 0.0]], [[9.0, 9.0], [9.0, 9.0]]])
    loss = losses.rank_credit_loss(logprob, advantage, torch.tensor([True, False]))
    assert loss.item() == pytest.approx(-2.0)
    loss.backward()
    assert logprob.grad is not None and not logprob.grad[1].any()
    torch.testing.assert_close(logprob.grad[0], -advantage[0] / 2)


def test_set_dpo_of_one_pair_is_dpo() -> None:
    gap, mask = torch.tensor([[0.7, -0.2]]), torch.tensor([[True, True]])
    pair = losses.dpo_loss(row(0.7), row(-0.2), row(0.0), row(0.0), 0.5)
    torch.testing.assert_close(losses.set_dpo_loss(gap, torch.tensor([[True, False]]), mask, 0.5), pair[0])


def test_set_dpo_of_two_against_one_by_hand_and_0_without_a_contrast() -> None:
    """Δ = ln 2, ln 3, 0 with β = 1: −(log 2/6 + log 3/6) / 2. Under a False mask stands anything."""
    gap = torch.tensor([[math.log(2.0), math.log(3.0), 0.0, 99.0], [1.0, 2.0, 3.0, 4.0]], requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    preferred = torch.tensor([[True, True, False, True], [True, True, False, False]])
    loss = losses.set_dpo_loss(gap, preferred, mask, 1.0)
    assert loss.tolist() == pytest.approx([-(math.log(2 / 6) + math.log(3 / 6)) / 2, 0.0])
    loss.sum().backward()
    assert gap.grad is not None and bool(torch.isfinite(gap.grad).all()) and not gap.grad[1].any()


@given(st.lists(st.floats(-4, 4), min_size=3, max_size=6), st.integers(1, 2))
def test_the_multinomial_bound_lies_above_plackett_luce(values: list[float], chosen: int) -> None:
    """Placing the preferred items one after the other takes each out of the denominator of the next."""
    gap = torch.tensor([values], dtype=torch.float64)
    mask, preferred = torch.ones_like(gap, dtype=torch.bool), torch.arange(len(values))[None] < chosen
    steps = [gap[0, k] - gap[0, k:].logsumexp(0) for k in range(chosen)]
    assert losses.set_dpo_loss(gap, preferred, mask, 1.0).item() >= -float(sum(steps)) / chosen - 1e-9
