"""Every number an evaluation prints, from ranks and texts alone: one formula, one pure function.

Ranks are 1-based. A case has exactly one relevant item, so HR@k equals Recall@k and the ideal DCG is 1. Per-case values
come first, means and intervals last: cases of one dialogue are not independent, so dialogues are what is resampled.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sacrebleu.metrics.bleu import BLEU

Array = npt.NDArray[np.float64]
Ranks = npt.NDArray[np.int64]
_TOKEN = re.compile(r"\w+|[^\w\s]")


def hit(ranks: Ranks, k: int) -> Array:
    """HR@k of each case: 1 where rank ≤ k. [n] in {0, 1}."""
    return (ranks <= k).astype(np.float64)


def ndcg(ranks: Ranks, k: int) -> Array:
    """NDCG@k of each case with one relevant item: 1 / log2(rank + 1) where rank ≤ k (Järvelin & Kekäläinen 2002)."""
    return np.where(ranks <= k, 1.0 / np.log2(ranks + 1.0), 0.0)


def mrr(ranks: Ranks, k: int) -> Array:
    """Reciprocal rank cut at k: 1 / rank where rank ≤ k. [n] in [0, 1]."""
    return np.where(ranks <= k, 1.0 / ranks, 0.0)


RANKING: dict[str, Callable[[Ranks, int], Array]] = {"HR": hit, "NDCG": ndcg, "MRR": mrr}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with a 95 % interval; ``n`` counts what was averaged, not what was resampled."""

    value: float
    low: float
    high: float
    n: int


def bootstrap_sums(
    parts: Array,
    groups: Sequence[Hashable] | npt.NDArray[np.generic],
    statistic: Callable[[Array], Array],
    generator: np.random.Generator,
    draws: int = 1000,
) -> Estimate:
    """95 % percentile interval of a statistic of column sums, resampling whole groups with replacement.

    parts [n, m]: one row a case; ``statistic`` maps summed parts [b, m] to values [b] (a mean is sum / count, corpus
    BLEU a function of n-gram counts). Source: Efron & Tibshirani 1993, ch. 13; groups as in Field & Welsh 2007.
    """
    if len(parts) == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    _, rows = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.zeros((int(rows.max()) + 1, parts.shape[1]))
    np.add.at(sums, rows, parts)
    drawn = generator.multinomial(len(sums), np.full(len(sums), 1.0 / len(sums)), size=draws)
    samples = statistic(drawn @ sums)
    low, high = np.nanquantile(samples, [0.025, 0.975])
    return Estimate(float(statistic(sums.sum(0, keepdims=True))[0]), float(low), float(high), len(parts))


def bootstrap_means(
    values: Array,
    groups: Sequence[Hashable] | npt.NDArray[np.generic],
    generator: np.random.Generator,
    draws: int = 1000,
) -> list[Estimate]:
    """Mean of each column of values [n, m] with a 95 % interval over groups [n]; all columns share the resamples."""
    n, m = values.shape
    if n == 0:
        return [Estimate(math.nan, math.nan, math.nan, 0)] * m
    _, rows = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.zeros((int(rows.max()) + 1, m + 1))
    np.add.at(sums, rows, np.concatenate([values, np.ones((n, 1))], axis=1))
    drawn = generator.multinomial(len(sums), np.full(len(sums), 1.0 / len(sums)), size=draws) @ sums
    low, high = np.quantile(drawn[:, :m] / drawn[:, m:], [0.025, 0.975], axis=0)
    means = sums[:, :m].sum(0) / n
    return [Estimate(*triple, n) for triple in zip(means.tolist(), low.tolist(), high.tolist(), strict=True)]


def bootstrap_mean(
    values: Array,
    groups: Sequence[Hashable] | npt.NDArray[np.generic],
    generator: np.random.Generator,
    draws: int = 1000,
) -> Estimate:
    """Mean of values [n] with a 95 % interval over groups [n] (dialogues, or users)."""
    return bootstrap_means(values[:, None], groups, generator, draws)[0]


def corpus_bleu(replies: Sequence[str], references: Sequence[str]) -> tuple[float, str]:
    """(BLEU in [0, 100], signature) of a corpus by sacrebleu, lower-cased; higher is better (Post 2018)."""
    bleu = BLEU(lowercase=True)
    return float(bleu.corpus_score(list(replies), [list(references)]).score), str(bleu.get_signature())


def bleu_parts(replies: Sequence[str], references: Sequence[str]) -> Array:
    """What corpus BLEU sums: matches 1–4, totals 1–4, reply tokens, reference tokens of each pair. [n, 10]."""
    bleu = BLEU(lowercase=True)
    scores = [bleu.corpus_score([reply], [[reference]]) for reply, reference in zip(replies, references, strict=True)]
    rows = [[*score.counts, *score.totals, score.sys_len, score.ref_len] for score in scores]
    return np.array(rows, dtype=np.float64).reshape(-1, 10)


def bleu_of_sums(sums: Array) -> Array:
    """Corpus BLEU [b] in [0, 100] from summed ``bleu_parts`` [b, 10], smoothed as sacrebleu does ("exp")."""
    values = []
    for row in sums:
        counts, totals = row[:4].astype(int).tolist(), row[4:8].astype(int).tolist()
        score = BLEU.compute_bleu(counts, totals, int(row[8]), int(row[9]), smooth_method="exp")
        values.append(float(score.score))
    return np.array(values)


def sentence_bleu4(reply: str, reference: str) -> float:
    """Cumulative BLEU-4 of one sentence in [0, 1]: brevity penalty times the geometric mean of p_1 … p_4.

    Lower-cased words and punctuation; a count of zero is replaced by 0.1 ("method 1" of Chen & Cherry, WMT 2014), the
    commonest reading of an unspecified "BLEU-4". Formulas in use differ by a factor of seventy on one output, so this
    number may be compared with itself only. 0 for a reply that has no words.
    """
    said, wanted = tokens(reply), tokens(reference)
    if not said:
        return 0.0
    logs = 0.0
    for n in (1, 2, 3, 4):
        grams, targets = Counter(ngrams(said, n)), Counter(ngrams(wanted, n))
        matches = sum((grams & targets).values())
        logs += math.log((matches or 0.1) / max(sum(grams.values()), 1)) / 4
    penalty = 1.0 if len(said) > len(wanted) else math.exp(1 - len(wanted) / len(said))
    return penalty * math.exp(logs)


def distinct(replies: Sequence[str], n: int) -> float:
    """Different n-grams over all tokens of all replies, in [0, 1] (Li et al., NAACL 2016); NaN without tokens."""
    grams: set[tuple[str, ...]] = set()
    total = 0
    for reply in replies:
        words = tokens(reply)
        total += len(words)
        grams.update(ngrams(words, n))
    return len(grams) / total if total else math.nan


def tokens(text: str) -> list[str]:
    """Lower-cased words and punctuation marks."""
    return _TOKEN.findall(text.lower())


def ngrams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def auc(scores: Array, positive: npt.NDArray[np.bool_]) -> float:
    """P(a positive scores above a negative), ties count half (Mann & Whitney 1947); NaN without both classes."""
    scores, positive = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return math.nan
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2.0
    wins = float(mean_rank[places][positive].sum()) - n_positive * (n_positive + 1) / 2.0
    return wins / (n_positive * n_negative)
