"""A training that is killed goes on as if nothing had happened, from checkpoints in their own old form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tacit.run.folder import Stage, pack_optimizer, pack_rng
from tacit.run.resume import Resumable
from tacit.types import InputError


class Training:
    """A linear layer under AdamW, on batches from two generators, one step a call."""

    def __init__(self, stage: Stage) -> None:
        torch.manual_seed(0)
        self.model, self.stage = nn.Linear(3, 1), stage
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.1)
        self.draws, self.noise = np.random.default_rng(1), torch.Generator().manual_seed(2)
        weights = {f"weight.{name}": p for name, p in self.model.named_parameters()}
        self.resumable = Resumable(stage, weights, self.optimizer, [self.draws, self.noise])

    def step(self, number: int) -> None:
        x = torch.from_numpy(self.draws.normal(size=(4, 3))).float() + torch.randn(4, 3, generator=self.noise)
        loss = (self.model(x) - 1.0).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.stage.log.append(number, loss=loss.item())


def test_nothing_saved_is_the_beginning(tmp_path: Path) -> None:
    stage = Stage("t", tmp_path)
    stage.log.append(1, loss=9.0)  # of a process that was killed before its first checkpoint
    assert Training(stage).resumable.restore() == (0, {})
    assert stage.log.rows() == []


def test_the_next_step_is_the_same_to_the_bit(tmp_path: Path) -> None:
    whole = Training(Stage("whole", tmp_path / "whole"))
    for number in range(1, 6):
        whole.step(number)
    killed = Training(Stage("killed", tmp_path / "killed"))
    for number in range(1, 5):
        killed.step(number)
        if number == 3:
            killed.resumable.save(number, {"curve": [1.5]})
    again = Training(Stage("killed", tmp_path / "killed"))
    assert again.resumable.restore() == (3, {"curve": [1.5]})
    assert [row["step"] for row in again.stage.log.rows()] == [1, 2, 3]
    for number in (4, 5):
        again.step(number)
    for a, b in zip(whole.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(a, b)
    assert again.stage.log.path.read_bytes() == whole.stage.log.path.read_bytes()


def test_a_checkpoint_put_together_by_hand_is_read(tmp_path: Path) -> None:
    """The form that older run folders hold: tensors side by side, ``optimizer`` and ``rng`` beside the rest."""
    training = Training(Stage("old", tmp_path))
    training.step(1)
    moments, optimizer = pack_optimizer(training.optimizer)
    weights = {f"weight.{name}": p for name, p in training.model.named_parameters()}
    state = {"moments": [1.0, 2.0], "optimizer": optimizer, "rng": pack_rng(training.draws, training.noise)}
    training.stage.checkpoints.save(1, {**weights, **moments}, state)
    again = Training(Stage("old", tmp_path))
    assert again.resumable.restore() == (1, {"moments": [1.0, 2.0]})
    assert torch.equal(again.model.weight, training.model.weight)


def test_another_number_of_generators_is_another_training(tmp_path: Path) -> None:
    training = Training(Stage("t", tmp_path))
    training.resumable.save(1)
    fewer = Resumable(training.stage, training.resumable.weights, training.optimizer, [training.draws])
    with pytest.raises(ValueError, match="2 generator states were saved, 1 generators were given"):
        fewer.restore()


def test_a_checkpoint_of_other_weights_says_so_and_what_to_do(tmp_path: Path) -> None:
    training = Training(Stage("t", tmp_path))
    training.step(1)
    training.resumable.save(1)
    more = nn.Parameter(torch.zeros(2))
    wider = Resumable(training.stage, {**training.resumable.weights, "weight.more": more}, training.optimizer)
    with pytest.raises(InputError, match=r"do not hold what is trained now \(weight\.more\).*delete the folder"):
        wider.restore()
    groups = torch.optim.AdamW([{"params": training.model.parameters()}, {"params": [more]}], lr=0.1)
    regrouped = Resumable(training.stage, training.resumable.weights, groups)
    with pytest.raises(InputError, match=r"\(the optimiser's groups\)"):
        regrouped.restore()
