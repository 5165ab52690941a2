"""BLEU and distinct as published code for conversational recommenders computes them, each under its own name.

One output scores 0.12, 0.23, 1.7, 1.9 or 8.5 by the formula (docs/referee.md), so none of these may be compared with
another one or with sacrebleu's. Words in lists come in; what counts as a word is the caller's choice. Written from the
formulas of Chen & Cherry (WMT 2014) as nltk.translate.bleu_score has them, and held to numbers of it in the tests.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from tacit.metrics.texts import ngrams

Words = Sequence[str]
Counts = list[tuple[float, float]]  # (matches, n-grams) for n = 1 …
_TINY = 2.2250738585072014e-308  # what nltk takes for a precision of 0 where nothing is smoothed
_K = 5.0  # of smoothing method 4


def ngram_bleu(reply: Words, reference: Words, n: int) -> float:
    """ "bleu@n" of CRSLab, KGSF and UniCRS: all weight on n-grams, nothing smoothed. [0, 1].

    A reply shorter than n words scores 0, an exact one too.
    """
    return _bleu(reply, reference, [0.0] * (n - 1) + [1.0], _plain(_counts(reply, reference, n)))


def cumulative_bleu(reply: Words, reference: Words) -> float:
    """nltk's sentence_bleu as it stands: geometric mean of p_1 … p_4, 0 (to 77 places) where one of them is 0."""
    return _bleu(reply, reference, [0.25] * 4, _plain(_counts(reply, reference, 4)))


def method1_bleu(reply: Words, reference: Words) -> float:
    """nltk's smoothing method 1: 0.1 in place of a count of 0."""
    precisions = [(hits or 0.1) / total for hits, total in _counts(reply, reference, 4)]
    return _bleu(reply, reference, [0.25] * 4, precisions)


def method7_bleu(reply: Words, reference: Words) -> float:
    """nltk's smoothing method 7, which MESE's and PECRS's "BLEU-4" is: method 4, then the means of method 5.

    Method 4: the j-th p_n without a match is log(words) / (2^j · 5) / its n-grams. Method 5: p_n ← the mean of the one
    before (as changed), itself, and the one after (as it was). It can exceed 1.
    """
    counts = _counts(reply, reference, 5)
    precisions, misses = [], 0
    for hits, total in counts[:4]:
        if hits == 0 and len(reply) > 1:
            misses += 1
            hits = math.log(len(reply)) / (2.0**misses * _K)
        precisions.append(hits / total)
    after = [*precisions, counts[4][0] / counts[4][1]]
    before = precisions[0] + 1.0
    for n in range(4):
        precisions[n] = before = (before + precisions[n] + after[n + 1]) / 3.0
    return _bleu(reply, reference, [0.25] * 4, precisions)


def distinct_per_sentence(replies: Sequence[Words], n: int) -> float:
    """ "distinct-n" of KGSF, UniCRS and MESE: different n-grams over the number of replies; above 1 is usual."""
    return len({gram for reply in replies for gram in ngrams(reply, n)}) / len(replies) if replies else math.nan


def distinct_characters(replies: Sequence[str], n: int) -> float:
    """ "dist@n" of CRSLab's StandardEvaluator: its n-grams are of characters, as it hands a string to them (#42, #67).

    Different n-grams over the number of replies that say something (its ``dist_cnt``); above 1 is usual.
    """
    said = [reply for reply in replies if reply]
    grams = {reply[i : i + n] for reply in said for i in range(len(reply) - n + 1)}
    return len(grams) / len(said) if said else math.nan


def _counts(reply: Words, reference: Words, most: int) -> Counts:
    """(clipped matches, n-grams of the reply, at least 1) for n = 1 … ``most``."""
    counts: Counts = []
    for n in range(1, most + 1):
        said, wanted = Counter(ngrams(reply, n)), Counter(ngrams(reference, n))
        counts.append((float((said & wanted).total()), float(max(1, said.total()))))
    return counts


def _plain(counts: Counts) -> list[float]:
    return [hits / total if hits else _TINY for hits, total in counts]


def _bleu(reply: Words, reference: Words, weights: Sequence[float], precisions: Sequence[float]) -> float:
    """Brevity penalty · exp Σ w_n log p_n; 0 where no word of the reply stands in the reference."""
    if not set(reply) & set(reference):
        return 0.0
    penalty = 1.0 if len(reply) > len(reference) else math.exp(1.0 - len(reference) / len(reply))
    logs = [weight * math.log(p) for weight, p in zip(weights, precisions, strict=True) if p > 0]
    return penalty * math.exp(math.fsum(logs))
