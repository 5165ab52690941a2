"""Sentiment of user turns in [-1, 1]: VADER by default, any transformers classifier by name, any callable.

Which functions a name may load is told in ``sentiment_names``.

Film titles and genre words are feelings to a lexicon ("Terrible Bosses", "a war movie"), so both are masked first.
Rules and lexicons read one plain form of a text (``typography``): "don’t" is "don't".
A backend's ``id`` is written beside every label it made: labels of two backends are never mixed.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, cast

import numpy as np
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from tacit.catalog import Catalog
from tacit.text.label_polarity import label_polarity
from tacit.text.safe_loading import NO_CODE, WEIGHTS, refuse_code
from tacit.text.sentiment_names import function_of
from tacit.types import InputError, ItemId
from tacit.typography import plain_type

MASK = "it"  # a word no lexicon scores
GENRE_WORDS = frozenset(
    re.findall(
        r"\w+",
        "action adventure animated animation comedy comedies crime dark documentary drama dramas dramatic drug "
        "family fantasy gore gory horror kids murder musical mystery romance romantic romcom sad scary scifi "
        "slasher spooky superhero survival suspense thriller thrillers tragedy violent war western zombie zombies",
    )
)

# What VADER does not know about conversations that recommend. Checked in this order; the first hit decides.
REJECTS = re.compile(
    r"\b(something else|anything else|not (?:really )?(?:interested|a fan|my (?:thing|type|style|taste|cup))|"
    r"no\W{1,4}thank(?:s| you)|nope|i(?:'ll| will)? pass|wrong genre|not what i|"
    r"do(?:n't| not) (?:really )?(?:like|care|enjoy)|"
    r"did(?:n't| not) (?:really )?(?:like|care|enjoy)|too (?:old|long|slow|scary|silly|childish))\b",
    re.IGNORECASE,
)
ACCEPTS = re.compile(
    r"\b(i(?:'ll| will| would| am going to| have to) (?:definitely |have to )?(?:watch|check|see|try|look|give)|"
    r"sounds (?:good|great|interesting|perfect|awesome|fun)|check (?:it|that|them|those) out|add (?:it|that|them) to|"
    r"good (?:suggestion|recommendation|idea|one|choice)s?|nailed it|exactly what)\b",
    re.IGNORECASE,
)
PHRASE_WEIGHT = 0.4
_MARKS = re.escape("".join(mark for mark in string.punctuation if mark != "'"))
_SHORT_WORD = re.compile(rf"(?<!\S)(?P<before>[{_MARKS}]*)(?P<word>[A-Za-z]{{1,2}})(?P<after>[{_MARKS}]*)(?!\S)")


class Sentiment(Protocol):
    """``texts`` → one score each in [-1, 1]."""

    id: str

    def __call__(self, texts: Sequence[str]) -> list[float]: ...


class _Nearby:
    """Of a text's words those that VADER looks at beside one: the three before it and the two after."""

    def __init__(self, text: Any, i: int) -> None:
        self.place = min(i, 3)
        self.words_and_emoticons: list[str] = text.words_and_emoticons[i - self.place : i + 3]
        self.is_cap_diff: bool = text.is_cap_diff


class _Analyzer(SentimentIntensityAnalyzer):  # type: ignore[misc]
    """VADER with the same scores: vaderSentiment 3.3.2 puts the whole text into lower case several times for each word
    of feeling, so that time grows with the square of a text's length."""

    def sentiment_valence(
        self, valence: float, sentitext: Any, item: str, i: int, sentiments: list[float]
    ) -> list[float]:
        near = _Nearby(sentitext, i)
        found: list[float] = super().sentiment_valence(valence, near, item, near.place, sentiments)
        return found


class Vader:
    """VADER's compound score plus a few accept and reject phrases (Hutto and Gilbert, ICWSM 2014)."""

    id = "vader-3.3.2+phrases-2"

    def __init__(self) -> None:
        self._analyzer = _Analyzer()

    def __call__(self, texts: Sequence[str]) -> list[float]:
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> float:
        text = plain_type(text)
        score = float(self._analyzer.polarity_scores(self._bare_short_words(text))["compound"])
        if REJECTS.search(text):
            score -= PHRASE_WEIGHT
        elif ACCEPTS.search(text):
            score += PHRASE_WEIGHT
        return max(-1.0, min(1.0, score))

    def _bare_short_words(self, text: str) -> str:
        """``text`` without marks around words of one or two letters: VADER leaves them there (it may be a smiley), so
        that "No," and "ok." are in no lexicon. What VADER counts, ! and ?, moves to the end."""
        counted: list[str] = []

        def bare(match: re.Match[str]) -> str:
            if match.group().lower() in self._analyzer.lexicon:
                return match.group()
            counted.extend(mark for mark in match["before"] + match["after"] if mark in "!?")
            return match["word"]

        return " ".join([_SHORT_WORD.sub(bare, text), *(["".join(counted)] if counted else [])])


class Classifier:
    """Any transformers text classifier, by hub name or folder: expected polarity under its label distribution.

    ``polarity`` maps labels to [-1, 1] where their names do not say it.
    """

    def __init__(self, name: str, polarity: Mapping[str, float] | None = None, batch: int = 32) -> None:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        self.id = f"transformers:{name}" + (f" {sorted(polarity.items())}" if polarity else "")
        self.batch = batch
        refuse_code(name, "signals.sentiment")
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(name, **NO_CODE)
            self._model = AutoModelForSequenceClassification.from_pretrained(name, **WEIGHTS).eval()
        except (OSError, ValueError) as error:
            raise InputError(
                f"signals.sentiment={name}: no text classifier of that name or folder could be loaded "
                f"({str(error).splitlines()[0]}); use vader, a folder, or a hub name that is reachable."
            ) from error
        labels = cast(dict[int, str], self._model.config.id2label)
        self._polarity = np.array(label_polarity([labels[i] for i in range(len(labels))], name, polarity))

    def __call__(self, texts: Sequence[str]) -> list[float]:
        import torch

        scores: list[float] = []
        for start in range(0, len(texts), self.batch):
            part = list(texts[start : start + self.batch])
            tokens = self._tokenizer(part, padding=True, truncation=True, max_length=128, return_tensors="pt")
            with torch.no_grad():
                probabilities = self._model(**tokens).logits.softmax(-1).double().numpy()
            scores.extend(float(s) for s in probabilities @ self._polarity)
        return scores


class _Function:
    def __init__(self, name: str, function: Callable[[Sequence[str]], Iterable[float]]) -> None:
        self.id = f"callable:{name}"
        self._function = function

    def __call__(self, texts: Sequence[str]) -> list[float]:
        scores = [float(s) for s in self._function(texts)]
        if len(scores) != len(texts) or any(not -1.0 <= s <= 1.0 for s in scores):
            raise InputError(f"{self.id} must give one score in [-1, 1] for each text it is handed.")
        return scores


def load_sentiment(
    source: str | Callable[[Sequence[str]], Iterable[float]], polarity: Mapping[str, float] | None = None
) -> Sentiment:
    """``vader``; the name of an entry point; ``package.module:function``, where that is allowed
    (``sentiment_names.imports_allowed``); a hub name or folder of a transformers classifier; or a callable.

    ``polarity`` is of a classifier's labels: see ``label_polarity``.
    """
    if not isinstance(source, str):
        return _Function(getattr(source, "__qualname__", type(source).__name__), source)
    if source == "vader":
        return Vader()
    function = function_of(source)
    if function is not None:
        return _Function(source, function)
    return Classifier(source, polarity)


def mask_spans(text: str, spans: Iterable[tuple[int, int, ItemId]], mask: str = MASK) -> str:
    """``text`` with each (start, end, item) of ``spans``, in order and apart, replaced by one word."""
    parts: list[str] = []
    end = 0
    for start, stop, _ in spans:
        parts += [text[end:start], mask]
        end = stop
    return "".join([*parts, text[end:]])


def mask_titles(text: str, catalog: Catalog) -> str:
    """Every catalogue title replaced, so that a title is no feeling and lends no length."""
    return mask_spans(text, catalog.link(text))


def genre_words(catalog: Catalog) -> frozenset[str]:
    """The built-in genre words and the catalogue's own."""
    own = {
        word
        for item in catalog.items
        for key in ("genre", "genres")
        for genre in item.attributes.get(key, ())
        for word in re.findall(r"[a-z]+", genre.lower())
    }
    return GENRE_WORDS | own


def mask_genres(text: str, words: frozenset[str], mask: str = MASK) -> str:
    """Genre words ("a war movie") replaced: asking for a genre is a request, not a mood."""
    return re.sub(r"[A-Za-z]+", lambda m: mask if m.group().lower() in words else m.group(), text)
