"""Early stopping: people whom training never meets say when the reward has been climbed beyond what is good for them.

A policy is looked at by the same held-out people before every iteration. The weights of the look at which they were
best off are kept, and so many looks in a row at which they are told to be worse off than there end training: what the
reward still gains is then over-optimisation (Gao, Schulman and Hilton 2023, arXiv 2210.10760). A look that is merely
lower says nothing, since it may be noise: the whole 95 % interval of the paired difference must lie below zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tacit.metrics.results import difference
from tacit.run.shards import held
from tacit.types import Floats64


@dataclass
class Best:
    """The best look so far: after which iteration, ``utility`` [users] of each person, and copies of ``live`` weights.

    ``worse``: looks in a row, up to now, that are told to be below it.
    """

    live: Mapping[str, Tensor]
    weights: dict[str, Tensor] = field(init=False)
    iteration: int = 0
    utility: Floats64 | None = None
    worse: int = 0

    def __post_init__(self) -> None:
        self.weights = {name: weight.detach().clone() for name, weight in self.live.items()}

    def look(self, iteration: int, utility: Floats64) -> dict[str, float]:
        """Take in what the policy after ``iteration`` iterations is worth to the people [users]; returns the log."""
        told = {"held_out_utility": float(utility.mean())}
        if self.utility is None:
            self._keep(iteration, utility)
            return told
        gain = difference(utility, self.utility, np.arange(len(utility)), np.random.default_rng(0))
        if gain.value > 0.0:
            self._keep(iteration, utility)
        self.worse = self.worse + 1 if gain.high < 0.0 else 0
        return {**told, "held_out_gain": gain.value, "held_out_low": gain.low, "held_out_high": gain.high}

    def put_back(self) -> None:
        """The weights of the best look, in place."""
        self._copy(self.weights, self.live)

    def state(self) -> dict[str, Any]:
        """All but the weights, as JSON can hold it."""
        utility = [] if self.utility is None else self.utility.tolist()
        return {"iteration": self.iteration, "utility": utility, "worse": self.worse}

    def load(self, state: Mapping[str, Any]) -> None:
        self.iteration, self.worse = state["iteration"], state["worse"]
        self.utility = np.array(state["utility"]) if state["utility"] else None

    def _keep(self, iteration: int, utility: Floats64) -> None:
        self.iteration, self.utility = iteration, utility
        self._copy(self.live, self.weights)

    @torch.no_grad()
    def _copy(self, source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
        for name, weight in source.items():
            held(target[name]).copy_(held(weight))
