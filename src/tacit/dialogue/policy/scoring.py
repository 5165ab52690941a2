"""Scoring finished turns: exact log-probabilities, entropies and values of what was drawn, in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tacit.dialogue.policy.network import PolicyNetwork, pad_right
from tacit.dialogue.policy.plackett_luce import NEG, slate_logprobs
from tacit.text.lm import over_vocabulary
from tacit.types import Dialogue, Sample


@dataclass(frozen=True)
class Evaluation:
    """Log-probabilities, entropies and values of finished samples: B turns, T tokens (right padded), K slate places."""

    token_logprobs: Tensor  # [B, T], nats, 0 where not sampled
    token_mask: Tensor  # [B, T] bool, True where the policy drew the token
    token_entropy: Tensor  # [B, T], nats
    states: Tensor  # [B, T, W], what the critic knows before each token; no gradient flows through it
    values: Tensor  # [B, T], value of the state before each token
    slate_logprobs: Tensor  # [B, K], nats, 0 where there is no slate
    slate_mask: Tensor  # [B, K] bool
    slate_log_softmax: Tensor  # [B, n_items], the distribution of the first place
    slate_states: Tensor  # [B, W], what the critic knows after the decision
    slate_values: Tensor  # [B], value of it


def evaluate(policy: PolicyNetwork, contexts: Sequence[Dialogue], samples: Sequence[Sample]) -> Evaluation:
    """One differentiable pass over finished turns.

    The value heads read detached states, and no gradient reaches them here: the critic is fitted apart
    (``train.ppo_update.fit_critic``), so it does not pull at the policy's trunk (shared-trunk interference is one way
    PPO on language models fails).
    """
    hidden = policy.trunk([[*s.prompt_tokens, *s.tokens] for s in samples])
    window = policy.encoder.encode([policy.window_text(context) for context in contexts])
    start = torch.tensor([len(s.prompt_tokens) for s in samples], device=policy.device)
    length = max(len(s.tokens) for s in samples)
    places = (start[:, None] - 1 + torch.arange(length, device=policy.device)).clamp(max=hidden.shape[1] - 1)
    before = hidden.gather(1, places.unsqueeze(-1).expand(-1, -1, hidden.shape[-1]))  # state before token i
    mask = pad_right([s.sampled for s in samples], False, policy.device)[0]
    logprobs, entropy = _token_logprobs(policy, contexts, before, mask, samples)
    decided = hidden[torch.arange(len(samples), device=policy.device), start]
    slate = _slate_factors(policy, contexts, samples, window, decided)
    with torch.no_grad():
        states, slate_states = _critic_states(policy.head_state(before), policy.head_state(decided), window)
        values, slate_values = policy.text_value(states).squeeze(-1), policy.slate_value(slate_states).squeeze(-1)
    return Evaluation(logprobs, mask, entropy, states, values, *slate, slate_states, slate_values)


def _critic_states(before: Tensor, decided: Tensor, window: Tensor) -> tuple[Tensor, Tensor]:
    """LM states beside the window's embedding, whose unit length is stretched to the scale of a normalised state."""
    window = window.float() * window.shape[-1] ** 0.5
    at_tokens = torch.cat([before, window.unsqueeze(1).expand(-1, before.shape[1], -1)], dim=-1)
    return at_tokens, torch.cat([decided, window], dim=-1)


def _token_logprobs(
    policy: PolicyNetwork, contexts: Sequence[Dialogue], before: Tensor, mask: Tensor, samples: Sequence[Sample]
) -> tuple[Tensor, Tensor]:
    tokens = pad_right([s.tokens for s in samples], policy.layout.pad, policy.device)[0]
    logprobs, entropy = torch.zeros(mask.shape, device=policy.device), torch.zeros(mask.shape, device=policy.device)
    choice = policy.decision_logprobs(before[:, 0], contexts)
    chat = (tokens[:, 0] == policy.layout.chat).long()
    decided = mask[:, 0]  # a turn of people has a decision that nobody drew
    logprobs[:, 0] = torch.where(decided, choice.gather(1, chat.unsqueeze(1)).squeeze(1), 0.0)
    entropy[:, 0] = torch.where(decided, -(choice.exp() * choice).sum(-1), 0.0)
    in_reply = mask.clone()
    in_reply[:, 0] = False
    rows = in_reply.nonzero()[:, 0]  # logits on reply tokens only: [B, T, V] would be the largest tensor
    said = tokens[in_reply].unsqueeze(1)
    sayable, slots = policy.sayable([s.slate for s in samples]), torch.tensor(policy.layout.slots, device=policy.device)
    named = said_before(tokens.masked_fill(~in_reply, policy.layout.pad), slots)[in_reply]

    def measure(logits: Tensor, part: slice) -> Tensor:
        open_to = sayable[rows[part]]
        open_to[:, slots] = open_to[:, slots].masked_fill(named[part], NEG)
        distribution = torch.log_softmax(logits + open_to, dim=-1)
        own = distribution.gather(1, said[part]).squeeze(1)
        return torch.stack([own, -(distribution.exp() * distribution).sum(-1)], dim=-1)

    found = over_vocabulary(policy.lm, before[in_reply], measure)
    return logprobs.masked_scatter(in_reply, found[:, 0]), entropy.masked_scatter(in_reply, found[:, 1])


def said_before(tokens: Tensor, slots: Tensor) -> Tensor:
    """[B, T] tokens, [S] slots → [B, T, S]: True where the row had the slot before the token."""
    here = tokens.unsqueeze(-1) == slots
    return here.cumsum(1) - here.long() > 0


def _slate_factors(
    policy: PolicyNetwork, contexts: Sequence[Dialogue], samples: Sequence[Sample], window: Tensor, state: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    logits = policy.slate_scores(window, state, contexts)
    size = max([1, *(len(s.slate.items) for s in samples if s.slate)])
    rows = [[policy.catalog.index(i) for i in s.slate.items] if s.slate else [] for s in samples]
    slates = torch.tensor([r + (r or [0])[:1] * (size - len(r)) for r in rows], device=policy.device)
    mask = torch.tensor([[True] * len(r) + [False] * (size - len(r)) for r in rows], device=policy.device)
    factors = torch.where(mask, slate_logprobs(logits, slates, mask), 0.0)
    return factors, mask, torch.log_softmax(logits, dim=-1)
