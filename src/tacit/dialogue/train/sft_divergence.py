"""What PPO's words have moved away from SFT's on training dialogues: a loss mixed into every step.

PPO talks to simulated users alone, and what it does to words that real people are answered with nothing else tells it.
The divergence is 0 at the supervised policy and so pulls only as far as PPO has gone, where more supervised steps
(PPO-ptx, Ouyang et al. 2022, arXiv 2203.02155, eq. 2) go on learning the training dialogues by heart, with a gradient
several times PPO's own. Source: learning without forgetting, Li & Hoiem 2016, arXiv 1606.09282, eq. 2 and 3, at
temperature 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tacit import losses
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.train.segments import Segment, segments
from tacit.dialogue.train.sft_losses import own_tokens
from tacit.run.distributed import dealt
from tacit.text.lm import head_logits, over_vocabulary
from tacit.text.sharding import in_parts, whole_inside
from tacit.types import Dialogue, InputError


class SFTDivergence:
    """Draws ``batch`` training dialogues at a time. ``rewind`` sets the draws, so that an iteration can be repeated."""

    def __init__(self, policy: Policy, reference: Policy, dialogues: Sequence[Dialogue], batch: int) -> None:
        if not dialogues:
            raise InputError("ppo.sft_kl_weight asks for training dialogues and there are none: set it to 0.")
        self.policy, self.reference, self.dialogues, self.batch = policy, reference, dialogues, batch
        self.generator = np.random.default_rng(0)

    def rewind(self, generator: np.random.Generator) -> None:
        self.generator = generator

    def backward(self, weight: float) -> float:
        """Adds ``weight`` times the gradient of the mean KL(SFT‖policy) of the agent's own tokens in the next
        dialogues, over the vocabulary, and returns that mean: nats a token, exact. Of several processes each has its
        part of both."""
        drawn = self.generator.choice(len(self.dialogues), size=min(self.batch, len(self.dialogues)), replace=False)
        whole = segments([self.dialogues[i] for i in drawn], self.policy, self.generator)
        own = dealt(whole, len(whole))
        if not own and not (whole and in_parts(self.policy.lm)):
            return 0.0
        piece, share = (own[0][1], 1.0) if own else (whole[:1], 0.0)  # a pass that adds nothing, beside the others'
        tokens = sum(sum(segment.targets) for segment in whole)
        with whole_inside(self.reference.lm):
            mean = divergence(self.policy, self.reference, piece).sum() * (share / tokens)
            if mean.requires_grad:  # not where the language model is left as it is
                torch.autograd.backward(weight * mean)
        return float(mean.detach())


def divergence(policy: Policy, reference: Policy, batch: Sequence[Segment]) -> Tensor:
    """[N], nats: KL(reference‖policy) of what comes next, before each of the N tokens that are the agent's own."""
    sequences, (rows, places, _) = [segment.tokens for segment in batch], own_tokens(batch)
    with torch.no_grad():
        before = reference.trunk(sequences)[rows, places]
    return _of_next_tokens(policy.lm, policy.trunk(sequences)[rows, places], reference.lm, before)


def _of_next_tokens(lm: Any, states: Tensor, reference: Any, before: Tensor) -> Tensor:
    def measure(logits: Tensor, part: slice) -> Tensor:
        with torch.no_grad():
            old = torch.log_softmax(head_logits(reference, before[part]), dim=-1)
        return losses.categorical_kl(old, torch.log_softmax(logits, dim=-1))

    return over_vocabulary(lm, states, measure)
