"""The settings of supervised fine-tuning, and those that follow from what is trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.train.segments import Rejected
from tacit.run.limits import at_least, between, learning_rate
from tacit.text.lm import rows_a_pass

# of the small model, which starts from nothing; of all weights of a pretrained one; of its adapters
FRESH_LM_LR, PRETRAINED_LM_LR, ADAPTER_LM_LR = 1e-3, 5e-5, 2e-4
# whose windows go through the encoder with gradients: 16 of the longest take .5 GB more than 4, and no less time
SEGMENTS_A_PASS, SEGMENTS_A_PASS_ON_GPU = 4, 16


@dataclass
class SFTConfig:
    epochs: int = at_least(1, default=2)
    batch: int = at_least(1, default=16)  # segments an optimiser step
    # segments a forward pass: memory only, never the result's definition (but for dropout, which each pass draws anew);
    # 0 = what the model's size allows
    microbatch: int = at_least(0, default=0)
    # null: 1e-3 for the small model, which starts from nothing, 5e-5 for a pretrained base, 2e-4 for its adapters
    lm_lr: float | None = learning_rate(default=None)
    encoder_lr: float = learning_rate(default=5e-5)
    head_lr: float = learning_rate(default=5e-4)
    encoder_trainable: bool = True
    encoder_frozen: int = at_least(0, default=0)  # its lowest layers, with the embeddings, that stay as they are
    slate_weight: float = at_least(0.0, default=1.0)
    warmup: float = between(0.0, 0.9, default=0.1)  # share of all steps
    grad_clip: float = at_least(0.0, default=1.0)  # of the gradient's norm; 0 = not
    patience: int = at_least(0, default=1)  # epochs without a better validation NDCG before stopping
    checkpoint_every: int = at_least(1, default=200)  # steps
    validation_picks: int = at_least(1, default=1500)
    # items that the person disliked or did not take: auto is negative in your own logs, positive in published data sets
    rejected: Literal["auto", "negative", "ignore", "positive"] = "auto"

    def rejected_as(self, own_logs: bool) -> Rejected:
        """What rejected items are, ``auto`` resolved."""
        if self.rejected != "auto":
            return self.rejected
        return "negative" if own_logs else "positive"

    def settled(self, base: str) -> SFTConfig:
        """The same with what follows from ``policy.base`` alone; a pretrained model is asked when it is there."""
        return replace(self, lm_lr=FRESH_LM_LR) if self.lm_lr is None and base == "small" else self

    def settled_for(self, policy: Policy) -> SFTConfig:
        """The same with the step size of the language model, and how many segments go through it at once."""
        lm_lr = self.settled(policy.config.base).lm_lr
        if lm_lr is None:
            adapters = any("lora_" in name for name, _ in policy.lm.named_parameters())
            lm_lr = ADAPTER_LM_LR if adapters else PRETRAINED_LM_LR
        most = SEGMENTS_A_PASS if policy.device.type == "cpu" else SEGMENTS_A_PASS_ON_GPU
        at_once = self.microbatch or min(rows_a_pass(policy.lm), most)
        return replace(self, lm_lr=lm_lr, microbatch=min(at_once, self.batch))
