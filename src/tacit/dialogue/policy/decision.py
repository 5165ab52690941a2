"""What PPO adds to the decision to recommend: a line over the language model's state, our own term.

    log-odds += w · h / ‖h‖ + b,   all 0 before PPO

h [width] is the state before the decision. Supervised fine-tuning leaves it alone: people's rate is in the language
model's two tokens, whose step is small so that words stay words. How often to recommend is a matter of few weights,
which may take longer ones. The state's length is divided out so that one step means the same for every model.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

NEW = ("decision.weight", "decision.bias")  # what policies of before this term had no weights for


class DecisionTerm(nn.Module):
    """width + 1 weights."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))
        self.bias = nn.Parameter(torch.zeros(()))

    def log_odds(self, state: Tensor) -> Tensor:
        """[B], added to the log-odds of recommending; ``state`` [B, width], in float32 whatever it comes in."""
        with torch.autocast(state.device.type, enabled=False):
            return nn.functional.normalize(state.float(), dim=-1) @ self.weight + self.bias
