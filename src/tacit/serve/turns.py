"""Turns of one policy that are written together: opened in a batch, then a token each at every step.

What ``policy.act`` does in one call is here taken apart, since the slate must be logged before the first word is said,
and since people come and go at any step. The decision and the slate are drawn in float64 from the very numbers that
are logged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.policy.wishes.state import Wish
from tacit.serve.prefixes import Prefixes
from tacit.slates import OUT_OF_REACH, Draw, Mixture, draw
from tacit.text.kv_cache import KVCache, Prefix, kv_cache
from tacit.text.lm import head_logits
from tacit.types import Bools, Dialogue, Slate

HALF_A_CHARACTER = "\ufffd"


@dataclass(frozen=True)
class Asked:
    """``read`` is what the language model reads: the past, and this conversation. ``wanted`` is what wishes and named
    items are taken from. ``allowed`` [n_items] is False for items that must not be shown to this person."""

    read: Dialogue
    wanted: Dialogue
    allowed: Bools | None = None


@dataclass
class Answer:
    """One turn. ``p_recommend`` is the probability of recommending that was drawn from, whatever was decided."""

    asked: Asked
    policy: Policy
    mixture: Mixture
    p_recommend: float
    recommends: bool
    prompt: list[int]
    spared: int = 0  # tokens of the prompt that were read in an earlier turn
    since: int = 0  # of ``Prefixes.forgotten``
    wanted: tuple[Wish, ...] = ()  # what was understood of what the person asks for
    draw: Draw | None = None
    slate: Slate | None = None
    candidates: int = 0  # items that could be drawn
    reply: list[int] = field(default_factory=list)
    given: list[int] = field(default_factory=list)  # the reply where the catalogue gives it (``policy.answering``)
    said: str = ""  # what the person was given so far
    gone: bool = False  # nobody waits for it

    @property
    def prompt_tokens(self) -> int:
        return len(self.prompt)

    def tokens(self) -> list[int]:
        """What the language model has read when the turn ends: all but the last one written."""
        return [*self.prompt, *self.policy.layout.opening(self.slate), *self.reply[:-1]]

    def begins_next(self) -> bool:
        """Can the next turn's prompt begin with this one? Not once the oldest utterance leaves the window."""
        turns, layout = self.asked.read.turns, self.policy.layout
        return len(turns) + 2 <= self.policy.config.window and len(self.tokens()) < layout.lengths.prompt

    @property
    def explored(self) -> bool:
        """Was a place of the slate drawn by epsilon?"""
        return self.draw is not None and any(self.draw.explored)

    def ended(self) -> bool:
        return bool(self.reply) and self.reply[-1] == self.policy.layout.eos

    def full(self) -> bool:
        return self.ended() or len(self.reply) >= self.policy.layout.lengths.reply

    def next_piece(self) -> str:
        """What can be said beyond ``said``: whole characters only. With it, ``said`` has grown."""
        text = self.policy.layout.spoken(self.reply, self.slate)
        if not text.startswith(self.said) or (text.endswith(HALF_A_CHARACTER) and not self.full()):
            return ""
        piece, self.said = text[len(self.said) :], text
        return piece


class Writing:
    """Answers that grow together, in one cache."""

    def __init__(
        self,
        policy: Policy,
        answers: list[Answer],
        cache: KVCache,
        state: Tensor,
        prefixes: Prefixes | None = None,
    ) -> None:
        self.policy, self.answers, self._cache, self._state, self._prefixes = policy, answers, cache, state, prefixes
        self._sayable = policy.sayable([answer.slate for answer in answers])

    def join(self, other: Writing) -> bool:
        """Take in the answers of another one; False where the model's cache cannot."""
        if other.policy is not self.policy or not self._cache.join(other._cache):
            return False
        self.answers += other.answers
        self._state = torch.cat([self._state, other._state])
        self._sayable = torch.cat([self._sayable, other._sayable])
        return True

    @torch.no_grad()
    def step(self, generator: torch.Generator, temperature: float = 1.0) -> list[Answer]:
        """A token more for each answer; those that got one. Full ones, and those whose people are gone, leave."""
        self._leave()
        written = list(self.answers)
        if not written:
            return []
        logits = head_logits(self.policy.lm, self._state) + self._sayable
        odds = torch.softmax(logits / temperature, dim=-1).cpu()
        drawn = torch.multinomial(odds, 1, generator=generator).squeeze(1).tolist()
        best = logits.argmax(-1).tolist()
        for answer, token, likeliest in zip(written, drawn, best, strict=True):
            own = likeliest if answer.mixture.deterministic else token
            answer.reply.append(answer.given[len(answer.reply)] if answer.given else own)
        self.policy.say_once(self._sayable, [answer.reply[-1] for answer in written])
        self._leave()
        if self.answers:
            self._state = self._cache.feed([[answer.reply[-1]] for answer in self.answers])
        return written

    def _leave(self) -> None:
        kept = [place for place, answer in enumerate(self.answers) if not answer.full() and not answer.gone]
        if len(kept) == len(self.answers):
            return
        for place, answer in enumerate(self.answers):
            if self._prefixes is not None and answer.full() and answer.begins_next():
                read = self._cache.prefix(place)
                self._prefixes.keep(self.policy.lm, answer.asked.read, answer.tokens(), read, answer.since)
        self.answers = [self.answers[place] for place in kept]
        if kept:
            rows = torch.tensor(kept, device=self.policy.device)
            self._cache.keep(rows)
            self._state, self._sayable = self._state[rows], self._sayable[rows]


@torch.no_grad()
def open_turns(
    policy: Policy,
    asked: Sequence[Asked],
    mixtures: Sequence[Mixture],
    chance: np.random.Generator,
    prefixes: Prefixes | None = None,
) -> Writing:
    """Read, decide and draw the slates, for several conversations at once. A deterministic mixture decides so, too.

    ``prefixes``: of conversations whose earlier turns were read before; what is read of these is kept there.
    """
    layout, lengths = policy.layout, policy.layout.lengths
    wanted = [one.wanted for one in asked]
    prompts = [policy.prompt(one.read) for one in asked]
    room = max(map(len, prompts)) + 2 + policy.config.slate_titles * (lengths.item + 1) + lengths.reply
    since = prefixes.forgotten if prefixes is not None else 0
    cache, state, spared = _read(policy, asked, prompts, room, prefixes)
    shares = policy.decision_logprobs(state, wanted)[:, 0].double().exp().tolist()
    answers, understood = [], policy.wishes(wanted)
    for one, mixture, prompt, p, wishes, n in zip(asked, mixtures, prompts, shares, understood, spared, strict=True):
        p_recommend = _p_recommend(p, mixture, any_left=_some_left(policy, one))
        recommends = bool(chance.random() < p_recommend)
        told = policy.answer(one.read)
        answers.append(
            Answer(one, policy, mixture, p_recommend, recommends, prompt, n, since, wishes.current, given=told)
        )
    state = cache.feed([[layout.recommend if answer.recommends else layout.chat] for answer in answers])
    if not _draw_slates(policy, answers, state, chance):
        nobody = np.zeros(len(policy.catalog), dtype=np.bool_)  # somebody has nothing left to be shown: it only talks
        again = [
            Asked(a.asked.read, a.asked.wanted, nobody if a.recommends and not a.candidates else a.asked.allowed)
            for a in answers
        ]
        return open_turns(policy, again, mixtures, chance, prefixes)
    state = cache.feed([layout.opening(answer.slate)[1:] for answer in answers])
    return Writing(policy, answers, cache, state, prefixes)


def _read(
    policy: Policy, asked: Sequence[Asked], prompts: Sequence[list[int]], room: int, prefixes: Prefixes | None
) -> tuple[KVCache, Tensor, list[int]]:
    """(the prompts' cache, the state behind each [B, width], how many tokens of each had been read before)."""
    if prefixes is None:
        begun: list[Prefix | None] = []
    else:
        begun = [prefixes.find(policy.lm, one.read, prompt) for one, prompt in zip(asked, prompts, strict=True)]
    spared = [len(prefix) if prefix else 0 for prefix in begun] or [0] * len(prompts)
    cache = kv_cache(policy.lm, room, begun)
    return cache, cache.feed([prompt[n:] for prompt, n in zip(prompts, spared, strict=True)]), spared


def _p_recommend(p: float, mixture: Mixture, any_left: bool) -> float:
    if not any_left:
        return 0.0
    return float(p >= 0.5) if mixture.deterministic else min(p, 1.0)


def _some_left(policy: Policy, asked: Asked) -> bool:
    """Is an item allowed that was not named yet?"""
    allowed = len(policy.catalog) if asked.allowed is None else int(np.count_nonzero(asked.allowed))
    named = [policy.catalog.index(item) for item in asked.wanted.mentioned()]
    return allowed > (len(named) if asked.allowed is None else int(np.count_nonzero(asked.allowed[named])))


def _draw_slates(policy: Policy, answers: Sequence[Answer], state: Tensor, chance: np.random.Generator) -> bool:
    """The slates of the answers that recommend; False, with nothing drawn, where one of them has no item left."""
    rows = [row for row, answer in enumerate(answers) if answer.recommends]
    if not rows:
        return True
    recommending = [answers[row] for row in rows]
    window = policy.encoder.encode([policy.window_text(answer.asked.read) for answer in recommending])
    kept = torch.tensor(rows, device=policy.device)
    scores = policy.slate_scores(window, state[kept], [answer.asked.wanted for answer in recommending])
    logits = scores.double().cpu().numpy()
    for answer, row in zip(recommending, logits, strict=True):
        if answer.asked.allowed is not None:
            row[~answer.asked.allowed] = -np.inf
        answer.candidates = int(np.count_nonzero(row > OUT_OF_REACH))
    if not all(answer.candidates for answer in recommending):
        return False
    for answer, row in zip(recommending, logits, strict=True):
        answer.draw = draw(row, min(policy.config.slate_size, answer.candidates), chance, answer.mixture)
        answer.slate = Slate(tuple(policy.catalog.items[i].id for i in answer.draw.rows), answer.draw.probabilities)
    return True
