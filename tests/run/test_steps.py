"""A step in pieces and PPO's epochs, by hand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from tacit.run.steps import Stats, _shuffled, accumulate, clipped_epochs, clipped_step


@dataclass
class Settings:
    epochs: int = 2
    minibatch: int = 4
    kl_stop: float = 0.5
    grad_clip: float = 0.0


class Broken(Exception):
    pass


def never(rows: Sequence[int]) -> None:
    raise Broken(sorted(rows))


def weight(*values: float) -> tuple[nn.Parameter, torch.optim.SGD]:
    parameter = nn.Parameter(torch.tensor(values))
    return parameter, torch.optim.SGD([parameter], lr=1.0)


@pytest.mark.parametrize("pieces", [[[0, 1, 2]], [[2], [0, 1]], [[0], [1], [2]]])
def test_pieces_add_up_to_the_mean_of_all(pieces: list[list[int]]) -> None:
    """Mean of ½ (w - x)² over x = 1, 2, 6 at w = 0: loss 41/6, gradient -3."""
    w, optimizer = weight(0.0)
    x = torch.tensor([1.0, 2.0, 6.0])

    def objective(rows: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
        loss = 0.5 * (w - x[rows]).square().sum() / 3
        return loss, {"loss": loss, "log_ratio": x[rows].max()}

    w.grad = torch.tensor([99.0])  # of an earlier step
    assert accumulate(optimizer, objective, pieces, largest=("log_ratio",)) == pytest.approx(
        {"loss": 41 / 6, "log_ratio": 6.0}
    )
    assert w.grad is not None and w.grad.item() == pytest.approx(-3.0)


@pytest.mark.parametrize(("clip", "moved"), [(1.0, (0.6, 0.8)), (10.0, (3.0, 4.0)), (0.0, (3.0, 4.0))])
def test_a_gradient_longer_than_the_clip_is_shortened(clip: float, moved: tuple[float, float]) -> None:
    w, optimizer = weight(0.0, 0.0)
    w.grad = torch.tensor([-3.0, -4.0])
    assert clipped_step(optimizer, [w], clip) == pytest.approx(5.0)
    assert w.tolist() == pytest.approx(moved, abs=1e-5)


def test_a_gradient_that_is_not_finite_moves_nothing() -> None:
    w, optimizer = weight(1.0, 2.0)
    w.grad = torch.tensor([math.nan, 0.0])
    assert math.isnan(clipped_step(optimizer, [w], 1.0)) and w.tolist() == [1.0, 2.0]


def test_every_epoch_steps_over_every_row_once_and_the_log_is_the_mean_of_minibatches() -> None:
    w, optimizer = weight(0.0)
    seen: list[list[int]] = []

    def gradients(rows: list[int]) -> Stats:
        seen.append(rows)
        w.grad = torch.tensor([float(len(seen))])
        return {"loss": float(len(seen)), "kl_old": 0.0, "log_ratio": 0.25 * len(seen)}

    stats = clipped_epochs(6, gradients, optimizer, [w], Settings(), torch.Generator().manual_seed(0), never)
    assert [len(rows) for rows in seen] == [4, 2, 4, 2]
    assert sorted(seen[0] + seen[1]) == sorted(seen[2] + seen[3]) == list(range(6)) and seen[:2] != seen[2:]
    assert stats == {"loss": 2.5, "kl_old": 0.0, "first_log_ratio": 0.25, "grad_norm": 2.5, "steps": 4.0}
    assert w.item() == -10.0


def test_whichever_divergence_is_too_large_ends_the_epochs_before_its_step() -> None:
    """The third minibatch has moved too far: two steps, and its row still counts in the means."""
    w, optimizer = weight(0.0)
    calls: list[int] = []

    def gradients(rows: list[int]) -> Stats:
        calls.append(1)
        w.grad = torch.ones(1)
        return {"kl_old_text": 0.1, "kl_old_slate": 0.6 if len(calls) == 3 else 0.0}

    stats = clipped_epochs(6, gradients, optimizer, [w], Settings(), torch.Generator(), never)
    assert len(calls) == 3 and w.item() == -2.0
    assert stats == pytest.approx({"kl_old_text": 0.1, "kl_old_slate": 0.2, "grad_norm": 1.0, "steps": 2.0})


def test_a_broken_gradient_names_its_rows() -> None:
    w, optimizer = weight(0.0)

    def gradients(rows: list[int]) -> Stats:
        w.grad = torch.tensor([math.inf])
        return {"kl_old": 0.0}

    with pytest.raises(Broken, match=r"\[0, 1, 2\]"):
        clipped_epochs(3, gradients, optimizer, [w], Settings(), torch.Generator(), never)


def test_rows_of_a_group_stay_side_by_side() -> None:
    """Groups 7 7 3 3 3 5 in another order, each whole and in its own order, and not always the same one."""
    together = torch.tensor([7, 7, 3, 3, 3, 5])
    orders = {tuple(_shuffled(6, torch.Generator().manual_seed(seed), together).tolist()) for seed in range(40)}
    parts = {3: (2, 3, 4), 5: (5,), 7: (0, 1)}
    assert orders == {sum((parts[g] for g in groups), ()) for groups in itertools.permutations(parts)}
    assert sorted(_shuffled(6, torch.Generator(), None).tolist()) == list(range(6))
