"""Training by epochs that keeps the weights of the best one; every epoch is a checkpoint from which a kill goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tacit.rerank.lists.lists import Lists
from tacit.run.folder import Stage
from tacit.run.resume import Resumable
from tacit.run.stopped import first_not_finite, require_finite, stop, stopped_folder


@dataclass(frozen=True)
class RankerResult:
    """``curve`` has a row an epoch: epoch (from 1), loss, and both metrics on the selection lists."""

    best_epoch: int
    curve: tuple[dict[str, float], ...]


class BestEpoch:
    """Where the training of a model stands: ``epoch`` are done, and ``best_epoch`` of them (from 1) was the best.

    Begins with the stage's last checkpoint, put into model and optimiser; without one, or a stage, at the beginning.
    ``advice`` is what to do where losses or weights are no longer finite, which ends the training.
    """

    def __init__(
        self, model: nn.Module, optimizer: Optimizer, stage: Stage | None, advice: str = "lower the learning rate"
    ) -> None:
        self._advice = advice
        self._weights: dict[str, Tensor] = model.state_dict()
        self._best = {name: tensor.clone() for name, tensor in self._weights.items()}
        self._stage = stage
        self._resumable = self._everything(optimizer, stage) if stage is not None else None
        done, state = self._resumable.restore() if self._resumable is not None else (0, {})
        place: dict[str, Any] = state.get("place", {"best_epoch": 0, "curve": []})
        self.epoch, self.best_epoch = done, int(place["best_epoch"])
        self.curve: list[dict[str, float]] = place["curve"]

    @property
    def waited(self) -> int:
        """Epochs in a row without a better score."""
        return self.epoch - self.best_epoch

    @property
    def note(self) -> str:
        return f"epoch {self.epoch + 1}" + (f", best {self.best_epoch}" if self.best_epoch else "")

    def add(self, row: dict[str, float], criterion: str) -> None:
        """One more epoch is done: the model's weights are kept if none had a higher ``row[criterion]``."""
        where = self._stopped(self.epoch + 1)
        require_finite(self._weights, where, self._name, f"after epoch {self.epoch + 1}", self._advice)
        self.epoch += 1
        self.curve.append({"epoch": self.epoch, **row})
        if not self.best_epoch or row[criterion] > self.curve[self.best_epoch - 1][criterion]:
            self.best_epoch = self.epoch
            _copy(self._weights, self._best)
        if self._stage is not None and self._resumable is not None:
            self._stage.log.append(self.epoch, **row)
            self._resumable.save(self.epoch, {"place": {"best_epoch": self.best_epoch, "curve": self.curve}})

    def require_finite(self, losses: Sequence[Tensor], batch: Callable[[int], Lists]) -> None:
        """``InputError`` where the loss of a batch in this epoch was not finite; that ``batch`` is kept in a folder."""
        number = first_not_finite(losses)
        if number is not None:
            reason = f"the loss of batch {number + 1} in epoch {self.epoch + 1} is not finite"
            lists = batch(number)
            kept = {name: getattr(lists, name).tolist() for name in ("users", "items", "labels")}
            stop(self._stopped(self.epoch + 1), self._name, reason, self._advice, kept)

    @property
    def _name(self) -> str:
        return self._stage.name if self._stage is not None else "training"

    def _stopped(self, step: int) -> Path | None:
        return stopped_folder(self._stage.folder, step) if self._stage is not None else None

    def finish(self) -> RankerResult:
        """Leave the model with the best weights, and the stage done."""
        _copy(self._best, self._weights)
        if self._stage is not None and not self._stage.done():
            self._stage.finish({"best_epoch": self.best_epoch, **self.curve[self.best_epoch - 1]})
        return RankerResult(self.best_epoch, tuple(self.curve))

    def _everything(self, optimizer: Optimizer, stage: Stage) -> Resumable:
        last = {f"weight.{name}": tensor for name, tensor in self._weights.items()}
        best = {f"best.{name}": tensor for name, tensor in self._best.items()}
        return Resumable(stage, {**last, **best}, optimizer)


@torch.no_grad()
def _copy(source: dict[str, Tensor], target: dict[str, Tensor]) -> None:
    """In place: the model, or what a checkpoint holds, is the same tensors before and after."""
    for name, tensor in target.items():
        tensor.copy_(source[name])
