"""Ranking metrics by hand and against ir_measures."""

from __future__ import annotations

import math

import ir_measures
import numpy as np
import pytest
import torch
from ir_measures import RR, R, nDCG
from torchmetrics.functional.classification import binary_auroc

from tacit.metrics import ranks

RANKS = np.array([1, 2, 5, 6, 51])


def test_ranking_metrics_by_hand() -> None:
    assert ranks.hit(RANKS, 5).tolist() == [1, 1, 1, 0, 0]
    assert ranks.ndcg(RANKS, 5).tolist() == pytest.approx([1, 1 / math.log2(3), 1 / math.log2(6), 0, 0])
    assert ranks.mrr(RANKS, 5).tolist() == pytest.approx([1, 0.5, 0.2, 0, 0])
    assert ranks.hit(RANKS, 50)[-1] == 0


def test_ranking_metrics_agree_with_ir_measures() -> None:
    places = np.random.default_rng(0).integers(1, 80, size=40)
    qrels = [ir_measures.Qrel(str(q), "gold", 1) for q in range(40)]
    run = []
    for q, rank in enumerate(places.tolist()):
        run += [ir_measures.ScoredDoc(str(q), "gold" if r == rank else f"d{r}", 100.0 - r) for r in range(1, 81)]
    for k in (1, 5, 10, 50):
        wanted = ir_measures.calc_aggregate([R @ k, nDCG @ k, RR @ k], qrels, run)
        assert ranks.hit(places, k).mean() == pytest.approx(wanted[R @ k])
        assert ranks.ndcg(places, k).mean() == pytest.approx(wanted[nDCG @ k])
        assert ranks.mrr(places, k).mean() == pytest.approx(wanted[RR @ k])


def test_auc_agrees_with_torchmetrics_ties_included() -> None:
    generator = np.random.default_rng(4)
    scores, positive = generator.integers(0, 6, size=100) / 6.0, generator.random(100) < 0.3
    wanted = binary_auroc(torch.tensor(scores), torch.tensor(positive).long()).item()
    assert ranks.auc(scores, positive) == pytest.approx(wanted, abs=1e-6)
    assert ranks.auc(np.zeros(4), np.array([True, False, True, False])) == 0.5
    assert math.isnan(ranks.auc(np.zeros(2), np.array([True, True])))
