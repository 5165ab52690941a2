"""Text metrics by hand and against sacrebleu."""

from __future__ import annotations

import math

import pytest
from sacrebleu import sentence_bleu

from tacit.metrics import texts

REPLIES = ["You could watch Alien (1979) tonight.", "I do not know that one!", "the the the the"]
WANTED = ["You could watch Aliens (1986) tonight.", "I know that one, it is great.", "the cat sat on the mat"]


def test_bleu_of_sums_is_corpus_bleu() -> None:
    value, signature = texts.corpus_bleu(REPLIES, WANTED)
    parts = texts.bleu_parts(REPLIES, WANTED)
    assert texts.bleu_of_sums(parts.sum(0, keepdims=True))[0] == pytest.approx(value)
    assert "case:lc" in signature and "version" in signature
    assert texts.corpus_bleu(WANTED, WANTED)[0] == pytest.approx(100)


def test_sentence_bleu_by_hand_and_beside_sacrebleu() -> None:
    assert texts.sentence_bleu4("a b c d", "a b c d") == pytest.approx(math.exp(1 - 1))
    # unigrams 3/4, bigrams 2/3, trigrams 1/2, four-grams none: 0.1 / 1
    by_hand = (3 / 4 * 2 / 3 * 1 / 2 * 0.1) ** 0.25
    assert texts.sentence_bleu4("a b c x", "a b c d") == pytest.approx(by_hand)
    assert texts.sentence_bleu4("", "a b") == 0
    theirs = sentence_bleu("a b c x", ["a b c d"], smooth_method="floor", smooth_value=0.1, tokenize="none").score
    assert texts.sentence_bleu4("a b c x", "a b c d") == pytest.approx(theirs / 100)
    assert texts.sentence_bleu4("a b c", "a b c d e f") < texts.sentence_bleu4("a b c", "a b c")


def test_distinct_is_per_token() -> None:
    assert texts.distinct(["a a", "a b"], 1) == pytest.approx(2 / 4)
    assert texts.distinct(["a a", "a b"], 2) == pytest.approx(2 / 4)
    assert math.isnan(texts.distinct([""], 1))


def test_marks_are_part_of_their_word() -> None:
    assert texts.tokens("यह अच्छा है।") == ["यह", "अच्छा", "है", "।"]
    assert texts.tokens("Cafe\u0301, ne\u0300?") == ["cafe\u0301", ",", "ne\u0300", "?"]
    assert texts.tokens("It's 9/10!") == ["it", "'", "s", "9", "/", "10", "!"]
