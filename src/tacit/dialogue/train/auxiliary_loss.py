"""A supervised loss on training dialogues, mixed into every step of PPO.

What simulated users reward and what real seekers were recommended are two things; without this loss the policy
gives up the second for the first. Source: PPO-ptx, Ouyang et al. 2022, arXiv 2203.02155, eq. 2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.train.segments import Rejected, segments
from tacit.dialogue.train.sft_losses import losses
from tacit.run.distributed import dealt
from tacit.text.sharding import in_parts
from tacit.types import Dialogue, InputError


class SFTAuxiliaryLoss:
    """Draws ``batch`` training dialogues at a time. ``rewind`` sets the draws, so that an iteration can be repeated."""

    def __init__(
        self, policy: Policy, dialogues: Sequence[Dialogue], batch: int, rejected: Rejected = "positive"
    ) -> None:
        if not dialogues:
            raise InputError("ppo.sft_weight asks for training dialogues and there are none: set ppo.sft_weight=0.")
        self.policy, self.dialogues, self.batch, self.rejected = policy, dialogues, batch, rejected
        self.generator = np.random.default_rng(0)
        self._own = {dialogue.id: dialogue for dialogue in dialogues}

    def rewind(self, generator: np.random.Generator) -> None:
        self.generator = generator

    def loss(self) -> Tensor | None:
        """Mean NLL of the agent's tokens plus that of its items over the next dialogues: nats, a scalar. Of several
        processes each has its part of it; None where that is nothing."""
        drawn = self.generator.choice(len(self.dialogues), size=min(self.batch, len(self.dialogues)), replace=False)
        dialogues = [self.dialogues[i] for i in drawn]
        whole = segments(dialogues, self.policy, self.generator, self.rejected)
        own = dealt(whole, len(whole))
        if not own and not (whole and in_parts(self.policy.lm)):
            return None
        piece, share = (own[0][1], 1.0) if own else (whole[:1], 0.0)  # a pass that adds nothing, beside the others'
        with self.policy.directed.leaving_out(self._own):
            text, slate = losses(self.policy, piece, None if len(piece) == len(whole) else whole)
        return share * (text + slate)
