"""Training by epochs that keeps the weights of the best one; every epoch is a checkpoint from which a kill goes on."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.optim import Optimizer

from tacit.run.folder import Checkpoint, Stage, pack_optimizer, unpack_optimizer


@dataclass(frozen=True)
class RankerResult:
    """``curve`` has a row an epoch: epoch (from 1), loss, and both metrics on the selection lists."""

    best_epoch: int
    curve: tuple[dict[str, float], ...]


class BestEpoch:
    """Where the training of a model stands: ``epoch`` are done, and ``best_epoch`` of them (from 1) was the best.

    Begins with the stage's last checkpoint, put into model and optimiser; without one, or a stage, at the beginning.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, stage: Stage | None) -> None:
        self._model, self._optimizer, self._stage = model, optimizer, stage
        self._best = _copy(model)
        self.epoch = self.best_epoch = 0
        self.curve: list[dict[str, float]] = []
        if stage is None:
            return
        found = stage.checkpoints.latest()
        stage.log.truncate(found.step if found is not None else -1)
        if found is not None:
            self._resume(found)

    @property
    def waited(self) -> int:
        """Epochs in a row without a better score."""
        return self.epoch - self.best_epoch

    @property
    def note(self) -> str:
        return f"epoch {self.epoch + 1}" + (f", best {self.best_epoch}" if self.best_epoch else "")

    def add(self, row: dict[str, float], criterion: str) -> None:
        """One more epoch is done: the model's weights are kept if none had a higher ``row[criterion]``."""
        self.epoch += 1
        self.curve.append({"epoch": self.epoch, **row})
        if not self.best_epoch or row[criterion] > self.curve[self.best_epoch - 1][criterion]:
            self.best_epoch, self._best = self.epoch, _copy(self._model)
        if self._stage is not None:
            self._stage.log.append(self.epoch, **row)
            self._save(self._stage)

    def finish(self) -> RankerResult:
        """Leave the model with the best weights, and the stage done."""
        self._model.load_state_dict(self._best)
        if self._stage is not None and not self._stage.done():
            self._stage.finish({"best_epoch": self.best_epoch, **self.curve[self.best_epoch - 1]})
        return RankerResult(self.best_epoch, tuple(self.curve))

    def _resume(self, found: Checkpoint) -> None:
        device, place = next(self._model.parameters()).device, found.state["place"]
        self._model.load_state_dict(_part(found, "weight."))
        self._best = {name: tensor.to(device) for name, tensor in _part(found, "best.").items()}
        unpack_optimizer(self._optimizer, found.tensors, found.state["optimizer"])
        self.epoch, self.best_epoch, self.curve = found.step, place["best_epoch"], place["curve"]

    def _save(self, stage: Stage) -> None:
        moments, rest = pack_optimizer(self._optimizer)
        weights = {f"weight.{name}": tensor for name, tensor in self._model.state_dict().items()}
        best = {f"best.{name}": tensor for name, tensor in self._best.items()}
        place = {"best_epoch": self.best_epoch, "curve": self.curve}
        stage.checkpoints.save(self.epoch, {**weights, **best, **moments}, {"place": place, "optimizer": rest})


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def _part(found: Checkpoint, prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in found.tensors.items() if name.startswith(prefix)}
