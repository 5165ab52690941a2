"""Sentiment backends, and what is masked before they read."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from tacit.catalog import Catalog
from tacit.text.sentiment import (
    GENRE_WORDS,
    Vader,
    genre_words,
    load_sentiment,
    mask_genres,
    mask_titles,
)
from tacit.text.sentiment_names import imports_allowed
from tacit.types import InputError, Item

CATALOG = Catalog(
    [
        Item("1", "Horrible Bosses (2011)", "a comedy", {"genres": ("comedy", "heist")}),
        Item("2", "The Terrible Twins", "two of them"),
    ]
)


def test_titles_are_masked() -> None:
    text = "I watched Horrible Bosses (2011) and The Terrible Twins yesterday."
    assert mask_titles(text, CATALOG) == "I watched it and it yesterday."


def test_a_title_is_no_feeling() -> None:
    vader = Vader()
    raw, masked = vader(
        ["I watched Horrible Bosses (2011).", mask_titles("I watched Horrible Bosses (2011).", CATALOG)]
    )
    assert raw < -0.3 and masked == 0.0


def test_genre_words_are_requests_not_moods() -> None:
    words = genre_words(CATALOG)
    assert "heist" in words and words > GENRE_WORDS
    assert mask_genres("A War movie, or a sad heist one", words) == "A it movie, or a it it one"
    assert Vader()([mask_genres("I want a horror movie about war", words)])[0] > -0.1


def test_accepting_and_rejecting_phrases() -> None:
    yes, no, seen = Vader()(["I'll check it out", "nope, something else", "It is 90 minutes long"])
    assert yes > 0.3 and no < -0.3 and seen == 0.0
    assert all(-1 <= s <= 1 for s in Vader()(["I love love love it, sounds great!!!", "I hate it, nope", ""]))


@pytest.mark.parametrize(
    "text", ["I don't like it", "it wasn't funny", "I'll watch it", "I won't enjoy that", "no, thanks", "it's great"]
)
def test_any_apostrophe_says_the_same(text: str) -> None:
    (plain,) = Vader()([text])
    assert plain != 0
    assert (
        Vader()([text.replace("'", mark).replace(" ", space) for mark in "’ʼ´`＇′‘" for space in " \u00a0\u3000"])
        == [plain] * 21
    )
    assert Vader()([text.replace("n", "\u200bn")]) == [plain]


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("ok.", "ok"),
        ("ok, nice", "ok nice"),
        ("No, thanks", "No thanks"),
        ("no... thanks", "no thanks"),
        ("(no)", "no"),
        ("ok!", "ok !"),
        ("so, it is good", "so it is good"),
    ],
)
def test_marks_do_not_hide_short_words(marked: str, plain: str) -> None:
    assert Vader()([marked]) == Vader()([plain]) != [0.0]


def test_long_texts_cost_no_more_a_word_and_say_the_same() -> None:
    """vaderSentiment itself takes a minute for 18,000 words, most of them lower-casing."""
    plain, said = SentimentIntensityAnalyzer(), [
        "At least it isn't a very good film, but I never so loved the worst of it, no, not GOOD",
        "never so good", "no or bad", "without doubt great", "yeah right, the bomb, kind of bad", "good", "bus stop",
    ]  # fmt: skip
    texts = [*said, " ".join(said * 5), *(text.upper() for text in said), "\U0001f60a GREAT"]
    assert [Vader()._analyzer.polarity_scores(text) for text in texts] == [
        plain.polarity_scores(text) for text in texts
    ]
    started = time.process_time()
    Vader()(["I want a film with many things that I like. " * 1000])
    assert time.process_time() - started < 2.5


@pytest.mark.parametrize("smiley", [":D", "D:", ":p", "xD", "<3", "o.O", ":/"])
def test_smileys_stay(smiley: str) -> None:
    vader = Vader()
    assert vader._bare_short_words(f"it {smiley} is") == f"it {smiley} is"


@pytest.mark.parametrize(
    "text", ["No, thanks", "no thanks", "No thank you.", "no - thanks", "No… thanks", "No, thank you"]
)
def test_declining_is_negative(text: str) -> None:
    assert Vader()([text])[0] < 0


def shout(texts: Sequence[str]) -> list[float]:
    return [1.0 if text.isupper() else -1.0 for text in texts]


def wrong(texts: Sequence[str]) -> list[float]:
    return [2.0 for _ in texts]


def test_any_callable() -> None:
    backend = load_sentiment(shout)
    assert backend(["HI", "hi"]) == [1.0, -1.0] and backend.id == "callable:shout"
    with imports_allowed():
        assert load_sentiment(f"{__name__}:shout")(["HI"]) == [1.0]
    assert load_sentiment("vader").id.startswith("vader")
    with pytest.raises(InputError, match=r"\[-1, 1\]"):
        load_sentiment(wrong)(["hi"])
    with imports_allowed(), pytest.raises(InputError, match="no_such_module"):
        load_sentiment("no_such_module:shout")


def test_a_transformers_classifier_from_a_folder(tmp_path: Path) -> None:
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad"]))
    BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    shape = BertConfig(vocab_size=7, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    shape.id2label = {0: "negative", 1: "neutral", 2: "positive"}
    shape.label2id = {name: k for k, name in shape.id2label.items()}
    BertForSequenceClassification(shape).save_pretrained(tmp_path)
    backend = load_sentiment(str(tmp_path))
    scores = backend(["good", "bad bad", ""])
    assert len(scores) == 3 and all(-1 <= s <= 1 for s in scores)
    assert scores == pytest.approx([backend([text])[0] for text in ("good", "bad bad", "")], abs=1e-6)


def test_a_classifier_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"signals\.sentiment="):
        load_sentiment(str(tmp_path / "nothing"))
