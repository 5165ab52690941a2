"""Drawing one turn for a batch of dialogues: prefill, decide, draw the slate, write the reply with the KV cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from tacit.dialogue.policy.network import PolicyNetwork
from tacit.dialogue.policy.plackett_luce import draw_slates, slate_logprobs
from tacit.text.decode_weights import laid_out
from tacit.text.kv_cache import KVCache, kv_cache
from tacit.text.lm import head_logits
from tacit.types import Dialogue, Sample, Slate

Decision = Literal["recommend", "reply"]
# of words that people read: at 1 a model of this size says what is no language, at 0 the same to everything
# (`benchmarks/words_temperature.py`)
READ_TEMPERATURE = 0.7


@dataclass
class Drawn:
    """The drawn parts of one turn; a reply that is ``given`` (``answering``) is not drawn."""

    decision_logprob: float
    slate: Slate | None
    slate_logprobs: tuple[float, ...]
    reply: list[int]
    reply_logprobs: list[float]
    given: bool = False


@torch.no_grad()
def act(
    policy: PolicyNetwork,
    contexts: Sequence[Dialogue],
    generator: torch.Generator,
    greedy: bool = False,
    decide: Decision | None = None,
    write: bool = True,
    temperature: float = 1.0,
    likeliest: bool = False,
) -> list[Sample]:
    """One turn for every context, in one batch with a KV cache. ``decide`` forces the decision; without ``write`` the
    reply is left empty, which saves most of the time. ``temperature`` is that of the reply's words alone, ``likeliest``
    takes the slate's likeliest items in place of drawn ones; ``greedy`` takes the likeliest of everything. What is not
    drawn, or at another temperature than 1, is no sample of the policy, and not for training.

    Draws are made on the CPU generator, so that CPU and CUDA runs draw alike.
    """
    if temperature <= 0.0:
        raise ValueError(f"temperature={temperature}: give a number above 0; greedy=True says the likeliest words")
    if not contexts:
        return []
    layout = policy.layout
    prompts = [policy.prompt(context) for context in contexts]
    lengths, shown = layout.lengths, policy.config.slate_titles
    room = max(map(len, prompts)) + 2 + shown * (lengths.item + 1) + lengths.reply
    cache = kv_cache(policy.lm, room)
    choice = policy.decision_logprobs(cache.feed(prompts), contexts)
    if decide is None:
        chat = choice.argmax(-1) if greedy else _draw(choice, generator)
    else:
        chat = torch.full((len(contexts),), int(decide == "reply"), device=policy.device)
    state = cache.feed([[layout.chat if c else layout.recommend] for c in chat.tolist()])
    drawn = _draw_slates(policy, contexts, state, chat, choice, None if greedy or likeliest else generator)
    if write:
        for context, turn in zip(contexts, drawn, strict=True):
            turn.reply = policy.answer(context)
            turn.given, turn.reply_logprobs = bool(turn.reply), [0.0] * len(turn.reply)
        state = cache.feed([layout.opening(d.slate)[1:] for d in drawn])
        with laid_out(policy.lm, sum(not turn.given for turn in drawn), lengths.reply):
            _write(policy, cache, state, drawn, generator, None if greedy else temperature)
    return [finish(policy, prompt, d) for prompt, d in zip(prompts, drawn, strict=True)]


def finish(policy: PolicyNetwork, prompt: Sequence[int], drawn: Drawn) -> Sample:
    """Tokens and log-probabilities → the Sample that is shown, logged and trained on."""
    opening = policy.layout.opening(drawn.slate)
    return Sample(
        prompt_tokens=tuple(prompt),
        tokens=(*opening, *drawn.reply),
        sampled=(True, *[False] * (len(opening) - 1), *[not drawn.given] * len(drawn.reply)),
        logprobs=(drawn.decision_logprob, *[0.0] * (len(opening) - 1), *drawn.reply_logprobs),
        text=policy.layout.spoken(drawn.reply, drawn.slate),
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
    policy: PolicyNetwork,
    cache: KVCache,
    state: Tensor,
    drawn: list[Drawn],
    generator: torch.Generator,
    temperature: float | None,
) -> None:
    """Reply tokens, the likeliest where there is no ``temperature``, until every row said ``<eos>`` or the budget is
    spent. Finished rows are dropped once they are a quarter of all."""
    places = [place for place, row in enumerate(drawn) if not row.given]
    rows, eos, budget = [drawn[place] for place in places], policy.layout.eos, policy.layout.lengths.reply
    if len(rows) < len(drawn) and rows:
        kept = torch.tensor(places, device=policy.device)
        cache.keep(kept)
        state = state[kept]
    sayable = policy.sayable([row.slate for row in rows])
    for step in range(budget if rows else 0):
        logits = head_logits(policy.lm, state) + sayable
        distribution = torch.log_softmax(logits if temperature is None else logits / temperature, dim=-1)
        token = distribution.argmax(-1) if temperature is None else _draw(distribution, generator)
        logprob = distribution.gather(1, token.unsqueeze(1)).squeeze(1).tolist()
        policy.say_once(sayable, token.tolist())
        for row, t, p in zip(rows, token.tolist(), logprob, strict=True):
            if not _ended(row, eos):
                row.reply.append(t)
                row.reply_logprobs.append(p)
        going = [place for place, row in enumerate(rows) if not _ended(row, eos)]
        if not going or step == budget - 1:
            return
        if 4 * len(going) <= 3 * len(rows):
            kept = torch.tensor(going, device=policy.device)
            cache.keep(kept)
            rows, sayable, token = [rows[place] for place in going], sayable[kept], token[kept]
        state = cache.feed(token.unsqueeze(1).tolist())


def _ended(row: Drawn, eos: int) -> bool:
    return bool(row.reply) and row.reply[-1] == eos


def _draw(logprobs: Tensor, generator: torch.Generator) -> Tensor:
    return torch.multinomial(logprobs.exp().cpu(), 1, generator=generator).squeeze(1).to(logprobs.device)
