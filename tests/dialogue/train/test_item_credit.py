"""One number an item: by hand, without credit where items are alike, and a step that stays within its limit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tacit.dialogue.train.item_credit import credible, run_items
from tacit.dialogue.train.logged_slates import Logged
from tacit.dialogue.train.offpolicy import OffPolicyConfig, mean_kl
from tacit.slates import Mixture
from tacit.types import InputError


def test_credibility_by_hand() -> None:
    """Items seen twice each: 0, 0 | 1, 1 | 1, 0. Within (0 + 0 + ½) / 3 = 1/6; Σ W (mean_i − ½)² = 1;
    between (1 − 2/6) / (6 − 12/6) = 1/6; strength 1; so that two observations count 2/3."""
    value, item = np.array([0.0, 0.0, 1.0, 1.0, 1.0, 0.0]), np.array([0, 0, 1, 1, 2, 2])
    found = credible(value, np.ones(6), item, 4)
    assert found.strength == pytest.approx(1.0)
    assert found.item == pytest.approx([-1 / 3, 1 / 3, 0.0, 0.0])


def test_items_that_are_alike_get_no_credit() -> None:
    value, item = np.array([0.0, 1.0, 0.0, 1.0]), np.array([0, 0, 1, 1])
    assert not credible(value, np.ones(4), item, 2).item.any()
    assert not credible(np.array([1.0, 0.0]), np.ones(2), np.array([0, 1]), 2).item.any()  # nothing seen twice


class Biases:
    """One context: n logits, all from the bias."""

    def __init__(self, n: int) -> None:
        self.item_bias = nn.Parameter(torch.zeros(n))
        self._n = n

    def logits(self, rows: Tensor) -> Tensor:
        return self.item_bias.expand(len(rows), -1)

    def first_logits(self, rows: Tensor) -> Tensor:
        return torch.zeros(len(rows), self._n)

    def trained(self) -> dict[str, nn.Parameter]:
        return {"item_bias": self.item_bias}


def log_of(n: int, items: int, good: frozenset[int], seen: int = 2) -> Logged:
    chance = np.random.default_rng(0)
    slates = torch.tensor(np.array([chance.permutation(items)[:2] for _ in range(n)]))
    reward = torch.tensor([[float(i in good) for i in row] for row in slates.tolist()]).double()
    reward[:, seen:] = torch.nan
    one = torch.ones(n, dtype=torch.float64)
    logprob = -one * float(np.log(items * (items - 1)))
    mask, no = torch.ones(n, 2, dtype=torch.bool), torch.zeros(n, 2, dtype=torch.bool)
    return Logged(
        slates, mask, logprob, torch.zeros(n, dtype=torch.long), one, one, no[:, 0], reward, no, (Mixture(epsilon=0.1),)
    )


def test_a_step_raises_what_was_liked_up_to_its_limit_and_not_beyond() -> None:
    policy, logged = Biases(8), log_of(200, 8, frozenset({3, 5}))
    config = OffPolicyConfig(kl_limit=0.3)
    told = run_items(policy, logged, config)
    best = set(policy.item_bias.topk(2).indices.tolist())
    assert best == {3, 5} and told["eta"] > 0.0
    assert 0.25 < told["kl"] <= 0.3 and told["kl"] == pytest.approx(mean_kl(policy, logged, 256))
    assert told["exposures"] == 200.0 and told["items_told"] == 8.0


def test_where_no_item_was_seen_there_is_nothing_to_learn() -> None:
    with pytest.raises(InputError, match="method=items"):
        run_items(Biases(8), log_of(200, 8, frozenset({3}), seen=0), OffPolicyConfig())


def test_without_differences_the_policy_stays() -> None:
    policy = Biases(8)
    assert run_items(policy, log_of(200, 8, frozenset(range(8))), OffPolicyConfig())["kl"] == 0.0
    assert not policy.item_bias.detach().any()
