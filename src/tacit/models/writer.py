"""Paper A's literal baseline: the same language model without a slate head, which writes titles as text.

It is fine-tuned on dialogues whose slates are taken away, so that titles stay in the replies, and it is asked for
several replies a context; ``tacit.literal`` links what it wrote back to the catalogue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from tacit.models.policy import Policy
from tacit.types import Dialogue, Split


def as_text(dialogue: Dialogue) -> Dialogue:
    """The dialogue with titles in the agent's words only."""
    return replace(dialogue, turns=tuple(replace(turn, slate=None) for turn in dialogue.turns))


def split_as_text(split: Split) -> Split:
    return Split(tuple(map(as_text, split.train)), tuple(map(as_text, split.valid)))


class TitleWriter:
    """Samples replies of a policy that was fine-tuned on ``split_as_text``: n for each context."""

    def __init__(self, policy: Policy, seed: int) -> None:
        self.policy = policy
        self.generator = torch.Generator().manual_seed(seed)

    def generate(self, contexts: Sequence[Dialogue], n: int) -> list[list[str]]:
        plain = [as_text(context) for context in contexts for _ in range(n)]
        texts = [sample.text for sample in self.policy.act(plain, self.generator, decide="reply")]
        return [texts[start : start + n] for start in range(0, len(texts), n)]
