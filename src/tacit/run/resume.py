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
from tacit.run.distributed import from_writer, is_writer
from tacit.run.folder import Stage
from tacit.run.shards import all_whole
from tacit.run.stopped import require_finite, stopped_folder
from tacit.types import InputError


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
        """One checkpoint after ``step``; ``place`` is whatever else is needed, as JSON can hold it.

        Weights that are no longer finite are no checkpoint: ``InputError``, and the earlier ones stay.
        """
        self.require_finite(step, f"after step {step}", "lower the learning rate")
        moments, optimizer = pack_optimizer(self.optimizer)
        tensors = all_whole({**self.weights, **moments}, keep=is_writer())
        if not is_writer():
            return
        state = {**(place or {}), "optimizer": optimizer}
        if self.generators:
            state["rng"] = pack_rng(*self.generators)
        self.stage.checkpoints.save(step, tensors, state)

    def restore(self) -> tuple[int, dict[str, Any]]:
        """(steps that are done, the dict of ``save``) of the newest whole checkpoint; (0, {}) where there is none.

        The log is cut to those steps: what comes after them will be logged again. ``InputError`` where the weights
        that training would begin with are not finite.
        """
        checkpoint = self.stage.checkpoints.latest()
        step = checkpoint.step if checkpoint else 0
        if from_writer(lambda: step) != step:
            raise InputError(
                f"the processes of this run find different checkpoints in {self.stage.checkpoints.folder}: all "
                "machines must see the run folder under the same path."
            )
        self.stage.log.truncate(checkpoint.step if checkpoint else -1)
        if checkpoint is None:
            self.require_finite(0, "before the first step", "do the stage before it again")
            return 0, {}
        if missing := [name for name in self.weights if name not in checkpoint.tensors]:
            raise self._of_another(missing[0])
        checkpoint.into(self.weights)
        self.require_finite(checkpoint.step, "in the checkpoint", f"delete {self.stage.checkpoints.folder}")
        try:
            unpack_optimizer(self.optimizer, checkpoint.tensors, checkpoint.state["optimizer"])
        except (ValueError, IndexError) as error:  # other groups, or fewer weights in them
            raise self._of_another("the optimiser's groups") from error
        if self.generators:
            unpack_rng(checkpoint.state["rng"], *self.generators)
        return checkpoint.step, {k: v for k, v in checkpoint.state.items() if k not in ("optimizer", "rng")}

    def _of_another(self, what: str) -> InputError:
        return InputError(
            f"{self.stage.name}: the checkpoints in {self.stage.checkpoints.folder} do not hold what is trained now "
            f"({what}): they are of other settings or of another version. Go on with those, or delete the folder "
            f"{self.stage.folder} to begin the stage anew."
        )

    def require_finite(self, step: int, when: str, advice: str) -> None:
        """``InputError`` where a weight holds NaN or infinity; it is kept in the stage's ``stopped-…`` folder."""
        require_finite(self.weights, stopped_folder(self.stage.folder, step), self.stage.name, when, advice)
