"""One PPO batch: rollouts as tensors, rewards on the ends of turns, advantages over the policy's own steps.

A turn of T tokens is T + 1 columns: the decision, the slate (one step), then the remaining tokens in order. Columns the
policy did not draw (titles, ``<reply>``, padding, the slate of a turn that only chats) are masked.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from tacit import losses
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.policy.scoring import Evaluation
from tacit.run.distributed import spread_tensors
from tacit.text.packed import packs
from tacit.text.sharding import whole_inside
from tacit.types import Dialogue, Episode, Sample


@dataclass(frozen=True)
class Batch:
    """N turns of C conversations, in order, and what is known of them before any update."""

    contexts: list[Dialogue]
    samples: list[Sample]
    conversation: Tensor  # [N] long, which conversation
    place: Tensor  # [N] long, which agent turn of it
    scores: Tensor  # [N] float32, as the scorer gave them
    unfinished: Tensor  # [N] bool, the reply was cut before <eos>
    bootstrap: Tensor  # [C], value of what follows a conversation that was cut, else 0
    old: Evaluation  # under the policy that acted
    reference: Evaluation  # under the supervised policy

    def __len__(self) -> int:
        return len(self.samples)


@dataclass(frozen=True)
class Targets:
    """What the losses aim at: [N, T] for tokens, [N] for slates."""

    token_advantages: Tensor
    slate_advantages: Tensor
    token_returns: Tensor
    slate_returns: Tensor
    rewards: Tensor  # [N], normalised, with the penalty, without the KL
    explained_variance: float


def frozen_copy(policy: Policy) -> Policy:
    """The reference: only what trains is copied. Frozen weights (the encoder, a LoRA base) and tables are shared."""
    shared: list[object] = [policy.catalog, policy.tokenizer, policy.layout, policy.encoder, *policy.buffers()]
    shared += [parameter for parameter in policy.parameters() if not parameter.requires_grad]
    reference = copy.deepcopy(policy, {id(part): part for part in shared})
    return reference.requires_grad_(False).eval()


@torch.no_grad()
def evaluate_all(policy: Policy, contexts: Sequence[Dialogue], samples: Sequence[Sample], size: int) -> Evaluation:
    """``policy.evaluate`` in pieces of ``size`` turns that are alike, put back in order and padded alike."""
    order = alike_together(policy, samples, range(len(samples)))

    def evaluation(rows: Sequence[int]) -> Evaluation:
        return policy.evaluate([contexts[i] for i in rows], [samples[i] for i in rows])

    units = [order[start : start + size] for start in range(0, len(order), size)]
    with whole_inside(policy.lm):
        pieces = list(spread_tensors(evaluation, units, policy.device))
    back = torch.tensor(order).argsort()
    columns = {}
    for field in fields(Evaluation):
        parts = [getattr(piece, field.name) for piece in pieces]
        column = torch.cat(_same_width(parts))[back.to(parts[0].device)]
        columns[field.name] = column.float() if column.is_floating_point() else column
    return Evaluation(**columns)


def alike_together(policy: Policy, samples: Sequence[Sample], rows: Sequence[int]) -> list[int]:
    """Rows in an order whose pieces cost least: turns that begin alike side by side, so that the language model reads
    what they share once; by length where it needs padding."""
    tokens = {i: (*samples[i].prompt_tokens, *samples[i].tokens) for i in rows}
    return sorted(rows, key=lambda i: (tokens[i], i) if packs(policy.lm) else (len(tokens[i]), i))


def _same_width(parts: list[Tensor]) -> list[Tensor]:
    if parts[0].dim() == 1:
        return parts
    width = max(part.shape[1] for part in parts)
    behind = (0, 0) * (parts[0].dim() - 2)
    return [torch.nn.functional.pad(part, (*behind, 0, width - part.shape[1])) for part in parts]


@torch.no_grad()
def state_values(policy: Policy, contexts: Sequence[Dialogue], size: int) -> Tensor:
    """V(s) before the next decision, [len(contexts)]: the value of the first column of any turn begun there."""
    if not contexts:
        return torch.zeros(0, device=policy.device)
    start = (policy.layout.chat,)
    probes = [Sample(tuple(policy.prompt(context)), start, (True,), (0.0,), "") for context in contexts]
    return evaluate_all(policy, contexts, probes, size).values[:, 0]


def build(
    episodes: Sequence[Episode], finals: Sequence[Dialogue], policy: Policy, reference: Policy, size: int
) -> Batch:
    """``finals[c]`` is conversation c with the user's last words in it."""
    turns = [(c, t, scored) for c, episode in enumerate(episodes) for t, scored in enumerate(episode.steps)]
    contexts, samples = [scored.context for _, _, scored in turns], [scored.sample for _, _, scored in turns]
    device = policy.device
    bootstrap = torch.zeros(len(episodes), device=device)
    cut = [c for c, episode in enumerate(episodes) if episode.ended == "cut"]
    bootstrap[cut] = state_values(policy, [finals[c] for c in cut], size).float()
    return Batch(
        contexts,
        samples,
        torch.tensor([c for c, _, _ in turns], device=device),
        torch.tensor([t for _, t, _ in turns], device=device),
        torch.tensor([scored.score for _, _, scored in turns], device=device, dtype=torch.float32),
        torch.tensor([not sample.finished for sample in samples], device=device),
        bootstrap,
        evaluate_all(policy, contexts, samples, size),
        evaluate_all(reference, contexts, samples, size),
    )


def kl_of_turns(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Divergence from the reference: k1 per token [N, T], k3 per token [N, T], exact KL of the slate [N]; nats."""
    old, reference = batch.old, batch.reference
    slate = losses.categorical_kl(old.slate_log_softmax, reference.slate_log_softmax)
    return (
        torch.where(old.token_mask, losses.k1(old.token_logprobs, reference.token_logprobs), 0.0),
        torch.where(old.token_mask, losses.k3(old.token_logprobs, reference.token_logprobs), 0.0),
        torch.where(old.slate_mask[:, 0], slate, 0.0),
    )


def targets(
    batch: Batch, rewards: Tensor, kl_text_coef: float, kl_slate_coef: float, discounts: losses.Discounts
) -> Targets:
    """Rewards [N] → whitened advantages and returns of every step the policy took."""
    old = batch.old
    tokens, _, slate = kl_of_turns(batch)
    mask = _columns(old.token_mask, old.slate_mask[:, 0])
    values = _columns(old.values, old.slate_values)
    step_rewards = _columns(-kl_text_coef * tokens, -kl_slate_coef * slate)
    ends = _last_true(mask)
    step_rewards = step_rewards + torch.where(ends, rewards.unsqueeze(1), 0.0)
    advantages, returns = losses.gae(
        _grid(step_rewards, batch),
        _grid(values, batch),
        _grid(mask, batch),
        _grid(ends, batch),
        batch.bootstrap,
        discounts,
    )
    advantages, returns = _ungrid(advantages, batch, mask), _ungrid(returns, batch, mask)
    white = losses.whiten(advantages, mask)
    without_slate = [i for i in range(mask.shape[1]) if i != 1]
    return Targets(
        white[:, without_slate],
        white[:, 1],
        returns[:, without_slate],
        returns[:, 1],
        rewards,
        losses.explained_variance(values, returns, mask),
    )


def _columns(token: Tensor, slate: Tensor) -> Tensor:
    """[N, T] and [N] → [N, T + 1]: the slate step comes right after the decision."""
    return torch.cat([token[:, :1], slate.unsqueeze(1), token[:, 1:]], dim=1)


def _last_true(mask: Tensor) -> Tensor:
    """[N, S] bool → True at the last True of each row: the step a turn's reward sits on."""
    later = mask.flip(1).cumsum(1).flip(1)
    return mask & (later == 1)


def _grid(x: Tensor, batch: Batch) -> Tensor:
    """[N, S] turns → [C, turns · S] conversations; absent turns are zeros (False)."""
    shape = (len(batch.bootstrap), int(batch.place.max()) + 1, x.shape[1])
    grid = torch.zeros(shape, dtype=x.dtype, device=x.device)
    grid[batch.conversation, batch.place] = x
    return grid.flatten(1)


def _ungrid(grid: Tensor, batch: Batch, like: Tensor) -> Tensor:
    return grid.view(len(grid), -1, like.shape[1])[batch.conversation, batch.place]
