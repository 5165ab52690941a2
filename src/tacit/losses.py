"""The formulas of learning from rewards: one formula, one pure function.

Shapes: N turns, T tokens of the longest turn, K positions of a slate, C conversations, L steps of the longest
conversation. Log-probabilities, entropies and divergences are in nats. Masks are True where an entry counts; what lies
under False never changes a result.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean of ``x`` over ``mask`` (any shape): a scalar, 0 where nothing counts."""
    return torch.where(mask, x, 0.0).sum() / mask.sum().clamp(min=1)


def clipped_policy_loss(
    logprob: Tensor, old_logprob: Tensor, advantage: Tensor, mask: Tensor, clip: float, count: float
) -> Tensor:
    """-1/count Σ min(r A, clip(r, 1-ε, 1+ε) A), r = exp(logprob - old_logprob): a scalar.

    All tensors have one shape ([N, T] for text, [N, K] for the positions of slates). ``count`` is the number of entries
    of the *whole* minibatch, so that pieces of a minibatch (gradient accumulation) add up to its exact mean.
    Source: Schulman et al. 2017, arXiv 1707.06347, eq. 7; arXiv 2508.05289, section III.3.
    """
    ratio = torch.where(mask, logprob - old_logprob, 0.0).exp()
    surrogate = torch.minimum(ratio * advantage, ratio.clamp(1.0 - clip, 1.0 + clip) * advantage)
    return -torch.where(mask, surrogate, 0.0).sum() / max(count, 1.0)


def outside_clip(logprob: Tensor, old_logprob: Tensor, clip: float) -> Tensor:
    """1 where the ratio left [1-ε, 1+ε], else 0, any shape. Its mean is the clip fraction."""
    ratio = (logprob - old_logprob).exp()
    return ((ratio - 1.0).abs() > clip).to(ratio.dtype)


def value_loss(value: Tensor, returns: Tensor, mask: Tensor, count: float) -> Tensor:
    """1/count Σ ½ (V - R)²: a scalar. Source: Schulman et al. 2017, arXiv 1707.06347, eq. 9."""
    return 0.5 * torch.where(mask, (value - returns).square(), 0.0).sum() / max(count, 1.0)


@dataclass(frozen=True, slots=True)
class Discounts:
    """γ and λ of steps inside a turn, and of the step that ends one."""

    gamma: float = 1.0
    lam: float = 1.0
    gamma_turn: float = 0.99
    lam_turn: float = 0.95


def gae(
    rewards: Tensor,
    values: Tensor,
    mask: Tensor,
    turn_end: Tensor,
    bootstrap: Tensor,
    discounts: Discounts,
) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation over the policy's own steps, packed by turn: (advantages, returns), [C, L] each.

    ``rewards``, ``values`` (state before the step), ``mask``, ``turn_end`` are [C, L]; ``bootstrap`` [C] is the value
    of the state after the last step (0 where the conversation truly ended). Steps under a False mask (user words,
    titles, padding) are jumped over: the next value is that of the next *policy* step. The step that ends a turn has
    ``discounts`` of its own; equal pairs give the plain token form.
    Source: Schulman et al. 2016, arXiv 1506.02438, eq. 16; packing: docs/algorithms/ppo.md, "Credit across turns".
    """
    advantages = torch.zeros_like(values)
    running = torch.zeros_like(bootstrap)
    next_value = bootstrap
    gamma = torch.where(turn_end, discounts.gamma_turn, discounts.gamma).to(values.dtype)
    traces = gamma * torch.where(turn_end, discounts.lam_turn, discounts.lam).to(values.dtype)
    for t in range(values.shape[1] - 1, -1, -1):
        counts = mask[:, t]
        delta = rewards[:, t] + gamma[:, t] * next_value - values[:, t]
        running = torch.where(counts, delta + traces[:, t] * running, running)
        next_value = torch.where(counts, values[:, t], next_value)
        advantages[:, t] = torch.where(counts, running, 0.0)
    return advantages, torch.where(mask, advantages + values, 0.0)


def k1(logprob: Tensor, ref_logprob: Tensor) -> Tensor:
    """log p - log q at samples of p: an unbiased, signed estimate of KL(p‖q). Source: http://joschu.net/blog/kl-approx.html"""
    return logprob - ref_logprob


def k3(logprob: Tensor, ref_logprob: Tensor) -> Tensor:
    """q/p - 1 - log(q/p) at samples of p: unbiased, never negative, of low variance; what we report."""
    log_ratio = ref_logprob - logprob
    return log_ratio.expm1() - log_ratio


def categorical_kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Exact KL(p‖q) of normalised log-probabilities over the last axis: [..., n] → [...]. Entries with p = 0 add 0."""
    p = log_p.exp()
    return torch.where(p > 0.0, p * (log_p - log_q), 0.0).sum(-1)


def categorical_entropy(log_p: Tensor) -> Tensor:
    """Entropy of normalised log-probabilities over the last axis: [..., n] → [...]."""
    p = log_p.exp()
    return -torch.where(p > 0.0, p * log_p, 0.0).sum(-1)


def adapted_kl_coef(coef: float, kl: float, target: float, gain: float) -> float:
    """β (1 + gain · clip(KL/target - 1, ±0.2)): the coefficient for the next batch.

    Source: Ziegler et al. 2019, arXiv 1909.08593, section 2.2 (their gain: 0.1 for each batch).
    """
    error = min(max(kl / target - 1.0, -0.2), 0.2)
    return coef * (1.0 + gain * error)


def whiten(x: Tensor, mask: Tensor) -> Tensor:
    """Mean 0 and variance 1 over ``mask``, 0 elsewhere. A constant becomes 0. For advantages, never for rewards."""
    mean = masked_mean(x, mask)
    variance = masked_mean((x - mean).square(), mask)
    return torch.where(mask, (x - mean) * torch.rsqrt(variance + 1e-8), 0.0)


def per_conversation(rewards: Tensor, conversation: Tensor) -> Tensor:
    """Rewards [N] to mean 0 and variance 1 within each conversation ([N] long, 0-based).

    Source: arXiv 2508.05289, section IV ("normalization of the rewards during conversations"). It keeps which *turn* of
    a conversation was good and forgets which *conversation* was: one with a single turn, or with equal rewards, gets 0.
    """
    groups = int(conversation.max()) + 1 if len(conversation) else 0
    sums = rewards.new_zeros(3, groups)
    sums.index_add_(1, conversation, torch.stack([torch.ones_like(rewards), rewards, torch.zeros_like(rewards)]))
    centred = rewards - (sums[1] / sums[0].clamp(min=1))[conversation]
    sums[2].index_add_(0, conversation, centred.square())
    return centred * torch.rsqrt((sums[2] / sums[0].clamp(min=1))[conversation] + 1e-8)


def group_advantages(rewards: Tensor) -> Tensor:
    """Rewards [P, N] of N samples for each of P prompts → (r - mean of the prompt's) / σ, [P, N].

    The prompt's mean is the baseline (RLOO, Ahmadian et al. 2024, arXiv 2402.14740: leaving a sample out of its own
    mean only multiplies by N/(N-1)). σ is the root mean square of what is left over *all* prompts: dividing by each
    prompt's own, as GRPO does (Shao et al. 2024, arXiv 2402.03300), would make a prompt whose samples differ by next to
    nothing count as much as one where they matter (Liu et al. 2025, arXiv 2503.20783). Equal rewards give 0.
    """
    return whiten(rewards - rewards.mean(1, keepdim=True), torch.ones_like(rewards, dtype=torch.bool))


@dataclass(frozen=True, slots=True)
class Moments:
    """Count, mean and sum of squared deviations of everything seen so far."""

    count: float = 0.0
    mean: float = 0.0
    squares: float = 0.0

    def updated(self, x: Tensor) -> Moments:
        """These moments after also seeing ``x`` [N]. Source: Chan et al. 1979, the parallel update of a variance."""
        n = float(x.numel())
        if n == 0.0:
            return self
        x = x.double()
        mean = float(x.mean())
        total, shift = self.count + n, mean - self.mean
        squares = self.squares + float((x - mean).square().sum()) + shift * shift * self.count * n / total
        return Moments(total, self.mean + shift * n / total, squares)

    @property
    def std(self) -> float:
        """Population standard deviation; 1 while nothing has varied, so that dividing by it is always safe."""
        variance = self.squares / self.count if self.count else 0.0
        return float(variance**0.5) if variance > 1e-12 else 1.0


def scaled_by_std(rewards: Tensor, std: float, clip: float) -> Tensor:
    """clip(r / std, ±clip), [N] → [N]. The mean stays: removing it would change which policy is best."""
    return (rewards / std).clamp(-clip, clip)


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> float:
    """1 - Var(R - V)/Var(R) over ``mask``: 1 is a perfect critic, 0 one that knows the mean; 0 if R is constant."""
    targets, errors = returns[mask], (returns - values)[mask]
    variance = float(targets.var(correction=0)) if len(targets) else 0.0
    return 1.0 - float(errors.var(correction=0)) / variance if variance > 1e-12 else 0.0


def dpo_loss(chosen: Tensor, rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor, beta: float) -> Tensor:
    """-log σ(β (Δ_chosen - Δ_rejected)), Δ = log π - log π_ref of a whole text: [N] each → [N], nats.

    ln 2 where π is still π_ref. Source: Rafailov et al. 2023, arXiv 2305.18290, eq. 7.
    """
    return -torch.nn.functional.logsigmoid(beta * ((chosen - ref_chosen) - (rejected - ref_rejected)))


def leave_one_out(rewards: Tensor) -> Tensor:
    """r_g − the mean of the other samples' at the same rank: [B, G, ...] → the same shape; G ≥ 2.

    RLOO's baseline (Kool et al. 2019; Ahmadian et al. 2024, arXiv 2402.14740, eq. 6) taken rank by rank, as the groups
    of Rank-GRPO are (arXiv 2510.20150): a rank is compared with the same rank of the group's other slates.
    """
    samples = rewards.shape[1]
    return (rewards - rewards.mean(1, keepdim=True)) * (samples / (samples - 1))


def tells_apart(rewards: Tensor) -> Tensor:
    """Which prompts' samples the reward tells apart: rewards [B, G, ...] → [B] bool, False where all G are equal.

    What is False has no gradient of its own and must not count in a mean either (the gate by reward discriminability
    of AdaGRPO, arXiv 2606.08480, at its plainest: there or not)."""
    flat = rewards.flatten(2) if rewards.dim() > 2 else rewards.unsqueeze(2)
    return (flat != flat[:, :1]).any(2).any(1)


def rank_credit_loss(logprob: Tensor, advantage: Tensor, gate: Tensor) -> Tensor:
    """−mean over the gated prompts and their samples of Σ_k A_k log π(item_k | before): a scalar.

    logprob, advantage [B, G, K]; gate [B] bool. Each rank's factor carries that rank's advantage alone, in place of
    the whole slate's (Rank-GRPO, arXiv 2510.20150, section 4; samples are the policy's own, so the ratio is 1).
    """
    kept = torch.where(gate[:, None, None], advantage.detach() * logprob, 0.0)
    return -kept.sum() / (gate.sum() * logprob.shape[1]).clamp(min=1)


def set_dpo_loss(gap: Tensor, preferred: Tensor, mask: Tensor, beta: float) -> Tensor:
    """−1/|P| Σ_{p in P} log softmax_{P ∪ R}(β Δ)_p of each prompt: [B, K] → [B], nats; Δ = log π − log π_ref.

    ``preferred`` [B, K] marks P among the real items ``mask`` [B, K]; the others are R. A prompt without a P or an R
    is 0. Under Plackett–Luce the items of P that were placed leave the denominator of the next; the multinomial bound
    keeps them in it, so this is never below the mean of Plackett–Luce's factors, whatever the order within P (set-wise
    DPO, arXiv 2606.10078). With |P| = |R| = 1 it is ``dpo_loss``, with |P| = 1 softmax-DPO (arXiv 2406.09215, eq. 12).
    """
    chosen = preferred & mask
    both = chosen.any(1) & (mask & ~chosen).any(1)
    scaled = torch.where(mask, beta * gap, -1e9)
    log_p = torch.where(chosen, scaled - scaled.logsumexp(1, keepdim=True), 0.0)
    return torch.where(both, -log_p.sum(1) / chosen.sum(1).clamp(min=1), 0.0)
