"""A real policy of a few thousand weights, an encoder without a network, and users who want certain films."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from tacit.catalog import Catalog
from tacit.models.lm import LMConfig, small_lm, train_tokenizer
from tacit.models.policy import Policy, PolicyConfig
from tacit.models.slate import SlateHead, associations
from tacit.prompts import Lengths
from tacit.types import Dialogue, Ended, Feedback, Item, Turn

N_ITEMS = 12
GOOD = frozenset(f"i{k}" for k in range(0, N_ITEMS, 2))
WORDS = ("dream", "storm", "garden", "iron", "lake", "night", "paper", "river", "silver", "tower", "winter", "youth")


class HashEncoder(nn.Module):
    """Texts → fixed pseudo-random unit vectors, [n, 8]."""

    dim = 8

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def encode(self, texts: Sequence[str]) -> Tensor:
        seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") for text in texts]
        rows = [np.random.default_rng(seed).standard_normal(self.dim) for seed in seeds]
        return nn.functional.normalize(torch.tensor(np.array(rows).reshape(-1, self.dim)).float(), dim=-1)

    def forget(self) -> None: ...

    def save_pretrained(self, folder: object) -> None: ...


def catalog() -> Catalog:
    items = [Item(f"i{k}", f"The {word.title()}", f"A film about the {word}.") for k, word in enumerate(WORDS)]
    return Catalog(tuple(items))


def tiny_policy(seed: int = 0, reply: int = 5) -> Policy:
    """A fresh policy; dropout is on in training mode, so that a test notices when it is not switched off."""
    torch.manual_seed(seed)
    films = catalog()
    talk = [Turn("user", "a film please"), Turn("agent", "do you like it?"), Turn("user", "yes I love it")]
    config = PolicyConfig(window=3, slate_size=3, lm=LMConfig(1, 2, 16, 96, 280, 0.1), repeat_items=True)
    tokenizer = train_tokenizer([turn.text for turn in talk], config.lm.vocabulary)
    lm, encoder = small_lm(tokenizer, config.lm), HashEncoder()
    head = SlateHead(encoder.encode([i.text for i in films.items]), films.counts, associations([], films, 2), 16)
    head.scale.data.fill_(1.0)  # a flat start: something to explore
    policy = Policy(lm, tokenizer, encoder, head, films, config)  # type: ignore[arg-type]
    policy.layout.lengths = Lengths(prompt=40, utterance=10, title=4, reply=reply)
    return policy


class FakeCrowd:
    """Users who stay for up to three turns, or leave by their own dice."""

    def __init__(self, n: int, generator: np.random.Generator, prefix: str) -> None:
        self.generator = generator
        first = Turn("user", "a film please")
        self.dialogues = [Dialogue(f"{prefix}{k}", f"u{k}", (first,)) for k in range(n)]
        self.active = np.ones(n, dtype=bool)
        self.ended: list[Ended | None] = [None] * n
        self.hidden: list[list[float]] = [[] for _ in range(n)]

    def step(self, turns: Mapping[int, Turn]) -> list[Feedback | None]:
        feedback: list[Feedback | None] = [None] * len(self.dialogues)
        for i, turn in turns.items():
            self.hidden[i].append(wanted(turn))
            dice = self.generator.random()
            self.ended[i] = "accepted" if dice < 0.2 else "left" if dice < 0.4 else None
            self.active[i] = self.ended[i] is None
            feedback[i] = Feedback(dwell_s=3.0 * dice, accepted=self.ended[i] == "accepted")
            reply = (Turn("user", "yes I love it" if dice < 0.7 else "no"),) if self.active[i] else ()
            self.dialogues[i] = self.dialogues[i].then(turn, *reply)
        return feedback


class FakeWorld:
    def start(self, n: int, generator: np.random.Generator, ids_prefix: str = "") -> FakeCrowd:
        return FakeCrowd(n, generator, ids_prefix)


def wanted(turn: Turn) -> float:
    """Share of the slate that the users want; 0 without a slate."""
    return sum(item in GOOD for item in turn.slate.items) / len(turn.slate.items) if turn.slate else 0.0


class Taste:
    name = "taste"

    def score(self, contexts: Sequence[Dialogue], turns: Sequence[Turn]) -> list[tuple[float, dict[str, float]]]:
        return [(wanted(turn), {"wanted": wanted(turn)}) for turn in turns]
