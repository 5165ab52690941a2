"""What replies are worth beside reference replies, and how varied they are, from texts alone."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cache

import numpy as np
from sacrebleu.metrics.bleu import BLEU

from tacit.types import Floats64

_PLANE = range(0x300, 0x10000)  # where scripts keep their combining marks


def corpus_bleu(replies: Sequence[str], references: Sequence[str]) -> tuple[float, str]:
    """(BLEU in [0, 100], signature) of a corpus by sacrebleu, lower-cased; higher is better (Post 2018)."""
    bleu = BLEU(lowercase=True)
    return float(bleu.corpus_score(list(replies), [list(references)]).score), str(bleu.get_signature())


def bleu_parts(replies: Sequence[str], references: Sequence[str]) -> Floats64:
    """What corpus BLEU sums: matches 1–4, totals 1–4, reply tokens, reference tokens of each pair. [n, 10]."""
    bleu = BLEU(lowercase=True)
    scores = [bleu.corpus_score([reply], [[reference]]) for reply, reference in zip(replies, references, strict=True)]
    rows = [[*score.counts, *score.totals, score.sys_len, score.ref_len] for score in scores]
    return np.array(rows, dtype=np.float64).reshape(-1, 10)


def bleu_of_sums(sums: Floats64) -> Floats64:
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
    """Lower-cased words and punctuation marks. Vowel signs and accents that stand as characters of their own are of the
    word before them (``\\w`` leaves them out). Scripts without spaces (Chinese, Japanese, Thai) give whole phrases.
    """
    found: list[str] = _token().findall(text.lower())
    return found


@cache
def _token() -> re.Pattern[str]:
    marks = "".join(chr(code) for code in _PLANE if unicodedata.category(chr(code)).startswith("M"))
    return re.compile(rf"[\w{marks}]+|[^\w\s]")


def ngrams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
