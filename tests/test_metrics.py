"""Metrics against numbers a reader can redo by hand, and against ir_measures, torchmetrics and sacrebleu."""

from __future__ import annotations

import math

import ir_measures
import numpy as np
import pytest
import torch
from ir_measures import RR, R, nDCG
from sacrebleu import sentence_bleu
from torchmetrics.functional.classification import binary_auroc

from tacit import metrics

RANKS = np.array([1, 2, 5, 6, 51])


def test_ranking_metrics_by_hand() -> None:
    assert metrics.hit(RANKS, 5).tolist() == [1, 1, 1, 0, 0]
    assert metrics.ndcg(RANKS, 5).tolist() == pytest.approx([1, 1 / math.log2(3), 1 / math.log2(6), 0, 0])
    assert metrics.mrr(RANKS, 5).tolist() == pytest.approx([1, 0.5, 0.2, 0, 0])
    assert metrics.hit(RANKS, 50)[-1] == 0


def test_ranking_metrics_agree_with_ir_measures() -> None:
    ranks = np.random.default_rng(0).integers(1, 80, size=40)
    qrels = [ir_measures.Qrel(str(q), "gold", 1) for q in range(40)]
    run = []
    for q, rank in enumerate(ranks.tolist()):
        run += [ir_measures.ScoredDoc(str(q), "gold" if r == rank else f"d{r}", 100.0 - r) for r in range(1, 81)]
    for k in (1, 5, 10, 50):
        wanted = ir_measures.calc_aggregate([R @ k, nDCG @ k, RR @ k], qrels, run)
        assert metrics.hit(ranks, k).mean() == pytest.approx(wanted[R @ k])
        assert metrics.ndcg(ranks, k).mean() == pytest.approx(wanted[nDCG @ k])
        assert metrics.mrr(ranks, k).mean() == pytest.approx(wanted[RR @ k])


def test_bootstrap_resamples_groups_not_cases() -> None:
    """Ten copies of each group tell no more than one: the interval must not shrink."""
    generator = np.random.default_rng(1)
    values = generator.random(50)
    alone = metrics.bootstrap_mean(values, np.arange(50), np.random.default_rng(2), draws=4000)
    copied = metrics.bootstrap_mean(np.repeat(values, 10), np.repeat(np.arange(50), 10), np.random.default_rng(2), 4000)
    assert alone.value == pytest.approx(values.mean())
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high))
    assert copied.n == 500
    error = values.std(ddof=1) / math.sqrt(50)
    assert alone.high - alone.low == pytest.approx(2 * 1.96 * error, rel=0.12)


def test_bootstrap_of_nothing_and_of_a_constant() -> None:
    nothing = metrics.bootstrap_mean(np.empty(0), [], np.random.default_rng(0))
    assert nothing.n == 0 and math.isnan(nothing.value)
    constant = metrics.bootstrap_mean(np.ones(4), ["a", "a", "b", "c"], np.random.default_rng(0))
    assert (constant.value, constant.low, constant.high) == (1, 1, 1)


def test_paired_difference_is_tighter_than_its_parts() -> None:
    generator = np.random.default_rng(3)
    hard = generator.normal(size=200)
    before, after = hard, hard + 0.1 + 0.01 * generator.normal(size=200)
    gain = metrics.bootstrap_mean(after - before, np.arange(200), np.random.default_rng(0))
    assert 0.09 < gain.low < gain.value < gain.high < 0.11
    alone = metrics.bootstrap_mean(after, np.arange(200), np.random.default_rng(0))
    assert alone.high - alone.low > 10 * (gain.high - gain.low)


REPLIES = ["You could watch Alien (1979) tonight.", "I do not know that one!", "the the the the"]
WANTED = ["You could watch Aliens (1986) tonight.", "I know that one, it is great.", "the cat sat on the mat"]


def test_bleu_of_sums_is_corpus_bleu() -> None:
    value, signature = metrics.corpus_bleu(REPLIES, WANTED)
    parts = metrics.bleu_parts(REPLIES, WANTED)
    assert metrics.bleu_of_sums(parts.sum(0, keepdims=True))[0] == pytest.approx(value)
    assert "case:lc" in signature and "version" in signature
    assert metrics.corpus_bleu(WANTED, WANTED)[0] == pytest.approx(100)


def test_sentence_bleu_by_hand_and_beside_sacrebleu() -> None:
    assert metrics.sentence_bleu4("a b c d", "a b c d") == pytest.approx(math.exp(1 - 1))
    # unigrams 3/4, bigrams 2/3, trigrams 1/2, four-grams none: 0.1 / 1
    by_hand = (3 / 4 * 2 / 3 * 1 / 2 * 0.1) ** 0.25
    assert metrics.sentence_bleu4("a b c x", "a b c d") == pytest.approx(by_hand)
    assert metrics.sentence_bleu4("", "a b") == 0
    theirs = sentence_bleu("a b c x", ["a b c d"], smooth_method="floor", smooth_value=0.1, tokenize="none").score
    assert metrics.sentence_bleu4("a b c x", "a b c d") == pytest.approx(theirs / 100)
    assert metrics.sentence_bleu4("a b c", "a b c d e f") < metrics.sentence_bleu4("a b c", "a b c")


def test_distinct_is_per_token() -> None:
    assert metrics.distinct(["a a", "a b"], 1) == pytest.approx(2 / 4)
    assert metrics.distinct(["a a", "a b"], 2) == pytest.approx(2 / 4)
    assert math.isnan(metrics.distinct([""], 1))


def test_auc_agrees_with_torchmetrics_ties_included() -> None:
    generator = np.random.default_rng(4)
    scores, positive = generator.integers(0, 6, size=100) / 6.0, generator.random(100) < 0.3
    wanted = binary_auroc(torch.tensor(scores), torch.tensor(positive).long()).item()
    assert metrics.auc(scores, positive) == pytest.approx(wanted, abs=1e-6)
    assert metrics.auc(np.zeros(4), np.array([True, False, True, False])) == 0.5
    assert math.isnan(metrics.auc(np.zeros(2), np.array([True, True])))
