"""Drawing one turn for a batch of dialogues: prefill, decide, draw the slate, write the reply with the KV cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from tacit.dialogue.policy.layout import fill_slots
from tacit.dialogue.policy.network import PolicyNetwork
from tacit.dialogue.policy.plackett_luce import draw_slates, slate_logprobs
from tacit.types import Dialogue, Sample, Slate

Decision = Literal["recommend", "reply"]


@dataclass
class Drawn:
    """The drawn parts of one turn."""

    decision_logprob: float
    slate: Slate | None
    slate_logprobs: tuple[float, ...]
    reply: list[int]
    reply_logprobs: list[float]


class _KVCache:
    """A growing KV cache over ragged chunks: every chunk is left-padded, pads are masked and take no position."""

    def __init__(self, policy: PolicyNetwork, rows: int) -> None:
        self.policy, self.past = policy, None
        self.mask = torch.zeros(rows, 0, dtype=torch.long, device=policy.device)

    def feed(self, chunks: Sequence[Sequence[int]]) -> Tensor:
        """Append one chunk a row; returns the hidden state of each row's last token, [B, width]."""
        width = max(map(len, chunks))
        pad = self.policy.layout.pad
        ids = torch.tensor([[pad] * (width - len(c)) + list(c) for c in chunks], device=self.policy.device)
        real = torch.tensor([[0] * (width - len(c)) + [1] * len(c) for c in chunks], device=self.policy.device)
        self.mask = torch.cat([self.mask, real], dim=1)
        positions = (self.mask.cumsum(1) - 1).clamp(min=0)[:, -width:]
        out: Any = self.policy.lm.base_model(
            input_ids=ids,
            attention_mask=self.mask,
            position_ids=positions,
            past_key_values=self.past,
            use_cache=True,
        )
        self.past = out.past_key_values
        hidden: Tensor = out.last_hidden_state[:, -1]
        return hidden


@torch.no_grad()
def act(
    policy: PolicyNetwork,
    contexts: Sequence[Dialogue],
    generator: torch.Generator,
    greedy: bool = False,
    decide: Decision | None = None,
) -> list[Sample]:
    """One turn for every context, in one batch with a KV cache. ``decide`` forces the decision.

    Draws are made on the CPU generator, so that CPU and CUDA runs draw alike.
    """
    if not contexts:
        return []
    layout = policy.layout
    cache = _KVCache(policy, len(contexts))
    prompts = [policy.prompt(context) for context in contexts]
    choice = policy.decision_logprobs(cache.feed(prompts), contexts)
    if decide is None:
        chat = choice.argmax(-1) if greedy else _draw(choice, generator)
    else:
        chat = torch.full((len(contexts),), int(decide == "reply"), device=policy.device)
    state = cache.feed([[layout.chat if c else layout.recommend] for c in chat.tolist()])
    drawn = _draw_slates(policy, contexts, state, chat, choice, None if greedy else generator)
    state = cache.feed([layout.opening(d.slate)[1:] for d in drawn])
    _write(policy, cache, state, drawn, generator, greedy)
    return [finish(policy, prompt, d) for prompt, d in zip(prompts, drawn, strict=True)]


def finish(policy: PolicyNetwork, prompt: Sequence[int], drawn: Drawn) -> Sample:
    """Tokens and log-probabilities → the Sample that is shown, logged and trained on."""
    text = str(policy.tokenizer.decode([t for t in drawn.reply if t != policy.layout.eos], skip_special_tokens=False))
    opening = policy.layout.opening(drawn.slate)
    return Sample(
        prompt_tokens=tuple(prompt),
        tokens=(*opening, *drawn.reply),
        sampled=(True, *[False] * (len(opening) - 1), *[True] * len(drawn.reply)),
        logprobs=(drawn.decision_logprob, *[0.0] * (len(opening) - 1), *drawn.reply_logprobs),
        text=fill_slots(text, drawn.slate, policy.catalog),
        slate=drawn.slate,
        slate_logprobs=drawn.slate_logprobs,
        finished=bool(drawn.reply) and drawn.reply[-1] == policy.layout.eos,
        version=policy.version,
    )


def _draw_slates(
    policy: PolicyNetwork,
    contexts: Sequence[Dialogue],
    state: Tensor,
    chat: Tensor,
    choice: Tensor,
    generator: torch.Generator | None,
) -> list[Drawn]:
    """A slate for the turns that recommend; the others read no window and no catalogue."""
    decided = choice.gather(1, chat.unsqueeze(1)).squeeze(1).tolist()
    drawn = [Drawn(logprob, None, (), [], []) for logprob in decided]
    rows = (chat == 0).nonzero().squeeze(1)
    if not len(rows):
        return drawn
    asked = [contexts[row] for row in rows.tolist()]
    window = policy.encoder.encode([policy.window_text(context) for context in asked])
    logits = policy.slate_scores(window, state[rows], asked)
    slates = draw_slates(logits, min(policy.config.slate_size, logits.shape[1]), generator)
    factors = slate_logprobs(logits, slates)
    propensities = factors.exp().tolist()
    for place, row in enumerate(rows.tolist()):
        items = tuple(policy.catalog.items[i].id for i in slates[place].tolist())
        drawn[row].slate = Slate(items, tuple(propensities[place]))
        drawn[row].slate_logprobs = tuple(factors[place].tolist())
    return drawn


def _write(
    policy: PolicyNetwork, cache: _KVCache, state: Tensor, drawn: list[Drawn], generator: torch.Generator, greedy: bool
) -> None:
    """Reply tokens until every row said ``<eos>`` or the budget is spent."""
    sayable = policy.sayable([d.slate for d in drawn])
    open_rows = [True] * len(drawn)
    for _ in range(policy.layout.lengths.reply):
        logits = policy.lm.get_output_embeddings()(state).float() + sayable
        distribution = torch.log_softmax(logits, dim=-1)
        token = distribution.argmax(-1) if greedy else _draw(distribution, generator)
        logprob = distribution.gather(1, token.unsqueeze(1)).squeeze(1).tolist()
        for row, t in enumerate(token.tolist()):
            if open_rows[row]:
                drawn[row].reply.append(t)
                drawn[row].reply_logprobs.append(logprob[row])
                open_rows[row] = t != policy.layout.eos
        if not any(open_rows):
            return
        state = cache.feed([[t] for t in token.tolist()])


def _draw(logprobs: Tensor, generator: torch.Generator) -> Tensor:
    return torch.multinomial(logprobs.exp().cpu(), 1, generator=generator).squeeze(1).to(logprobs.device)
