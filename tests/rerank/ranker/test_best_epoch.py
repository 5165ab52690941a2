"""Which epoch's weights are kept, and what a checkpoint holds. A kill is tested with the rankers."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from tacit.rerank.ranker.best_epoch import BestEpoch
from tacit.run.folder import Stage

SCORES = [0.3, 0.5, 0.4, 0.5]


def begin(stage: Stage | None) -> tuple[nn.Linear, BestEpoch]:
    model = nn.Linear(1, 1)
    return model, BestEpoch(model, torch.optim.AdamW(model.parameters()), stage)


def train(model: nn.Linear, state: BestEpoch, scores: list[float]) -> None:
    """An epoch's weights are its number."""
    for score in scores:
        nn.init.constant_(model.weight, state.epoch + 1)
        state.add({"loss": 1.0, "score": score}, "score")


def test_the_first_of_the_best_is_kept() -> None:
    model, state = begin(None)
    assert (state.epoch, state.waited, state.note) == (0, 0, "epoch 1")
    train(model, state, SCORES)
    assert (state.epoch, state.best_epoch, state.waited, state.note) == (4, 2, 2, "epoch 5, best 2")
    result = state.finish()
    assert model.weight.item() == 2.0 and result.best_epoch == 2
    assert [row["score"] for row in result.curve] == SCORES and result.curve[1]["epoch"] == 2


def test_a_checkpoint_holds_the_last_and_the_best_weights(tmp_path: Path) -> None:
    model, state = begin(Stage("ranker", tmp_path))
    train(model, state, SCORES[:3])
    found = Stage("ranker", tmp_path).checkpoints.latest()
    assert found is not None and set(found.state) == {"place", "optimizer"}
    assert (found.tensors["weight.weight"].item(), found.tensors["best.weight"].item()) == (3.0, 2.0)

    again, resumed = begin(Stage("ranker", tmp_path))
    assert again.weight.item() == 3.0 and (resumed.epoch, resumed.best_epoch) == (3, 2)
    train(again, resumed, SCORES[3:])
    resumed.finish()
    stage = Stage("ranker", tmp_path)
    assert again.weight.item() == 2.0 and [row["step"] for row in stage.log.rows()] == [1, 2, 3, 4]
    assert stage.summary() == {"best_epoch": 2, "epoch": 2, "loss": 1.0, "score": 0.5}
