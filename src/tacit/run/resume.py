"""Going on where a kill left a training: weights, optimiser, generators and a dict, in one checkpoint.

Who trains says once what changes; ``save`` writes all of it and ``restore`` puts it back in place, so that the next
step cannot tell that the process was another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from tacit.run.checkpoint import Generator, pack_optimizer, pack_rng, unpack_optimizer, unpack_rng
from tacit.run.folder import Stage


@dataclass(frozen=True)
class Resumable:
    """What the next step of a training depends on.

    ``weights`` are the live tensors by their names in the checkpoint: training changes them in place, and so does
    ``restore``. ``generators`` are those that training draws from; their number is part of the format.
    """

    stage: Stage
    weights: Mapping[str, Tensor]
    optimizer: Optimizer
    generators: Sequence[Generator] = ()

    def save(self, step: int, place: Mapping[str, Any] | None = None) -> None:
        """One checkpoint after ``step``; ``place`` is whatever else is needed, as JSON can hold it."""
        moments, optimizer = pack_optimizer(self.optimizer)
        state = {**(place or {}), "optimizer": optimizer}
        if self.generators:
            state["rng"] = pack_rng(*self.generators)
        self.stage.checkpoints.save(step, {**self.weights, **moments}, state)

    def restore(self) -> tuple[int, dict[str, Any]]:
        """(steps that are done, the dict of ``save``) of the newest whole checkpoint; (0, {}) where there is none.

        The log is cut to those steps: what comes after them will be logged again.
        """
        checkpoint = self.stage.checkpoints.latest()
        self.stage.log.truncate(checkpoint.step if checkpoint else -1)
        if checkpoint is None:
            return 0, {}
        checkpoint.into(self.weights)
        unpack_optimizer(self.optimizer, checkpoint.tensors, checkpoint.state["optimizer"])
        if self.generators:
            unpack_rng(checkpoint.state["rng"], *self.generators)
        return checkpoint.step, {k: v for k, v in checkpoint.state.items() if k not in ("optimizer", "rng")}
