"""A policy's slate head as what an off-policy step trains: everything before it is read once, and stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.train.ppo_batch import frozen_copy
from tacit.run.progress import progress
from tacit.types import Dialogue

CHUNK = 64


@dataclass(frozen=True)
class Context:
    """``read`` is what the language model reads, ``wanted`` what wishes and named items are taken from."""

    read: Dialogue
    wanted: Dialogue


class HeadOnLog:
    """Trains the head and what is added to it, so that decisions and words stay those of the logging policy."""

    def __init__(self, policy: Policy, contexts: Sequence[Context]) -> None:
        policy.requires_grad_(False).eval()
        self.policy, self._wanted = policy, [context.wanted for context in contexts]
        self._window, self._state = _read(policy, [context.read for context in contexts])
        policy.head.requires_grad_(True)
        policy.wish.weights.requires_grad_(True)
        policy.directed.weight.requires_grad_(bool(policy.directed.counts.features))
        self._first = frozen_copy(policy)

    @property
    def item_bias(self) -> nn.Parameter:
        return self.policy.head.item_bias

    def logits(self, rows: Tensor) -> Tensor:
        return self._scores(self.policy, rows)

    @torch.no_grad()
    def first_logits(self, rows: Tensor) -> Tensor:
        return self._scores(self._first, rows)

    def trained(self) -> dict[str, nn.Parameter]:
        return {name: value for name, value in self.policy.named_parameters() if value.requires_grad}

    def _scores(self, policy: Policy, rows: Tensor) -> Tensor:
        wanted = [self._wanted[row] for row in rows.tolist()]
        return policy.slate_scores(self._window[rows], self._state[rows], wanted).cpu()


@torch.no_grad()
def _read(policy: Policy, contexts: Sequence[Dialogue]) -> tuple[Tensor, Tensor]:
    """The window's embedding and the language model's state after the decision to recommend, [N, …] each."""
    windows, states = [], []
    with progress(len(contexts), "learn: reading contexts") as bar:
        for start in range(0, len(contexts), CHUNK):
            part = contexts[start : start + CHUNK]
            prompts = [[*policy.prompt(context), policy.layout.recommend] for context in part]
            hidden = policy.trunk(prompts)
            last = torch.tensor([len(prompt) - 1 for prompt in prompts], device=policy.device)
            states.append(hidden[torch.arange(len(part), device=policy.device), last])
            windows.append(policy.encoder.encode([policy.window_text(context) for context in part]))
            bar.advance(len(part))
    return torch.cat(windows), torch.cat(states)
