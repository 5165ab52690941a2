"""The hybrid-expert adaptor: its size, its formula by hand, and its stacked experts beside single ones."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tacit.rerank.ranker.adaptor import ITEM, USER, HybridExpertAdaptor


@pytest.mark.parametrize(("specific", "expected"), [(5, 1_241_486), (6, 1_448_144)])
def test_parameters_are_those_of_the_reference(specific: int, expected: int) -> None:
    """Experts 768→128→32: 102,560 each; gates 769 (2 + S) a side."""
    adaptor = HybridExpertAdaptor(specific=specific)
    assert expected == (2 + 2 * specific) * 102_560 + 2 * 769 * (2 + specific)
    assert sum(p.numel() for p in adaptor.parameters()) == expected


def test_by_hand() -> None:
    """One shared and one specific expert of width one; the gate weighs them 1 : e."""
    adaptor = HybridExpertAdaptor(text_dim=1, hidden=1, out=1, shared=1, specific=1)
    with torch.no_grad():
        adaptor.weight_1.copy_(torch.tensor([2.0, 3.0, -1.0]).view(3, 1, 1))  # shared, user's, items'
        adaptor.weight_2.fill_(1.0)
        for gate in adaptor.gates:
            gate.weight.zero_()
            gate.bias.copy_(torch.tensor([0.0, 1.0]))
    user, item = adaptor(torch.tensor([[1.0]]), torch.tensor([[5.0]]))
    share = 1.0 / (1.0 + math.e)
    assert user.item() == pytest.approx(2.0 * share + 3.0 * (1 - share))
    assert item.item() == pytest.approx(10.0 * share)  # the items' own expert gives relu(-5) = 0


def one_by_one(adaptor: HybridExpertAdaptor, x: Tensor, side: int) -> Tensor:
    """Every expert alone, every row alone."""
    own = adaptor.shared + side * adaptor.specific
    experts = [*range(adaptor.shared), *range(own, own + adaptor.specific)]
    rows = []
    for row in x:
        gate = adaptor.gates[side](row).softmax(-1)
        each = [
            torch.relu(
                adaptor.weight_2[e] @ torch.relu(adaptor.weight_1[e] @ row + adaptor.bias_1[e]) + adaptor.bias_2[e]
            )
            for e in experts
        ]
        rows.append(sum((weight * expert for weight, expert in zip(gate, each, strict=True)), torch.zeros(())))
    return torch.stack(rows)


def test_the_stacked_experts_equal_single_ones() -> None:
    torch.manual_seed(0)
    adaptor = HybridExpertAdaptor(text_dim=6, hidden=5, out=4, shared=2, specific=3)
    torch.nn.init.normal_(adaptor.bias_1)
    torch.nn.init.normal_(adaptor.bias_2)
    users, items = torch.randn(3, 6), torch.randn(7, 6)
    for fast, x, side in zip(adaptor(users, items), (users, items), (USER, ITEM), strict=True):
        torch.testing.assert_close(fast, one_by_one(adaptor, x, side))


def test_each_side_trains_the_shared_experts_and_its_own() -> None:
    torch.manual_seed(0)
    adaptor = HybridExpertAdaptor(text_dim=6, hidden=8, out=4, shared=2, specific=3)
    for side, idle in ((USER, slice(5, 8)), (ITEM, slice(2, 5))):
        adaptor.zero_grad()
        adaptor(torch.randn(9, 6), torch.randn(9, 6))[side].sum().backward()
        moved = adaptor.weight_1.grad.abs().sum((1, 2)) > 0  # type: ignore[union-attr]
        expected = torch.ones(8, dtype=torch.bool)
        expected[idle] = False
        assert torch.equal(moved, expected)


def test_weights_are_drawn_expert_by_expert() -> None:
    """Xavier-normal of a 40 → 60 layer has σ = sqrt(2 / 100), however many experts are stacked."""
    torch.manual_seed(0)
    adaptor = HybridExpertAdaptor(text_dim=40, hidden=60, out=40)
    for weight in (adaptor.weight_1, adaptor.weight_2):
        assert weight.std().item() == pytest.approx(math.sqrt(0.02), rel=0.02)
    assert not adaptor.bias_1.any() and not adaptor.bias_2.any()
