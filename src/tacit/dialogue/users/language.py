"""An emulated user's sense of language: is a reply said as people say things, or is it gibberish?

A frozen yardstick of its own, fitted once on the training dialogues and read by no trainer. Four fifths of their
dialogues teach two word trigram models what people here say: one of words, and one of shapes, where every word but the
commonest is its last two letters. The recommenders' replies in the last fifth, and the same replies with their words
shuffled, teach a logistic rule how much likelier than chance the order of words must be. A reply is *no language* when

- the order of its words is likelier by chance (the rule below its limit), or
- too many of its words are in no training dialogue and no text of the catalogue, or
- it says the same two words again and again.

Each limit is set so that a small share of the held-back human replies (``FAIL``) is beyond it. Where people speak by a
few patterns, order tells human from shuffled so well that a gap is left: the limit is then half-way across, since other
language is language, too; and such a world is taught plain English beside (``english.txt``), where it is English.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tacit.catalog import Catalog
from tacit.dialogue.users.ngrams import NGrams
from tacit.languages import language_of
from tacit.types import Bools, Dialogue, Floats64, Turn
from tacit.typography import plain_type

TITLE, NUMBER = "<t>", "<n>"
COMMON = 300  # words that keep their own shape
READ = 20_000  # texts of the catalogue whose words are known
SHORT = 4  # replies with fewer words have hardly an order to judge
FEWEST = 200  # replies of SHORT words or more: fewer teach nothing
FAIL = {"order": 0.011, "strange": 0.002, "again": 0.002}  # shares of held-back human replies beyond each limit
MODELS, RULE, LIMITS = ("words", "shapes"), ("weights", "centre", "spread"), ("order", "strange", "again")
CAUGHT = 0.97  # share of shuffled replies on the far side of the gap
FEW_WORDS = 1500  # a vocabulary with fewer is of a few patterns
ENGLISH = Path(__file__).with_name("english.txt")
WEIGHT = 3  # times that each line of it counts
LENIENT = {"strange": 0.4, "again": 0.25}  # limits that are never stricter
ROUNDS, RIDGE = 30, 1e-3  # of the logistic fit
_CHARACTER = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"  # written without spaces between words
_TOKEN = re.compile(rf"<[tn]>|[{_CHARACTER}]|(?:(?![{_CHARACTER}])\w)+(?:'(?:(?![{_CHARACTER}])\w)+)*|[^\w\s]")


def words_of(turn: Turn, catalog: Catalog) -> list[str]:
    """Lower-case words and marks of a turn; the titles of its items are TITLE, numbers NUMBER."""
    text = plain_type(turn.text)
    items = dict.fromkeys((*turn.mentions, *(turn.slate.items if turn.slate else ())))
    for title in sorted({plain_type(catalog[item].title) for item in items}, key=len, reverse=True):
        text = text.replace(title, f" {TITLE} ")
    return [NUMBER if word.isdigit() else word for word in _TOKEN.findall(text.lower())]


@dataclass(frozen=True)
class LanguageSense:
    """``common`` words keep their shape, ``known`` ones are not strange. ``weights`` are of the features less
    ``centre`` over ``spread``, the constant last; then the limits: ``order`` is the lowest score, ``strange`` and
    ``again`` the highest shares."""

    words: NGrams
    shapes: NGrams
    common: frozenset[str]
    known: frozenset[str]
    weights: tuple[float, ...]
    centre: tuple[float, ...]
    spread: tuple[float, ...]
    order: float
    strange: float
    again: float

    @classmethod
    def fit(cls, catalog: Catalog, train: Sequence[Dialogue], seed: int) -> LanguageSense | None:
        """None where the training dialogues hold too few replies to tell."""
        generator = np.random.default_rng([seed, 29])
        last = set(generator.permutation(len(train))[: len(train) // 5].tolist())
        taught = [dialogue for i, dialogue in enumerate(train) if i not in last]
        said = [words for dialogue in taught for turn in dialogue.turns if (words := words_of(turn, catalog))]
        held = [words for i in sorted(last) for words in replies_of(train[i], catalog)]
        long = [words for words in held if len(words) >= SHORT]
        if len(long) < FEWEST:
            return None
        count = Counter(word for words in said for word in words)
        common = frozenset(sorted(count, key=lambda word: (-count[word], word))[:COMMON])
        if len(count) < FEW_WORDS and language_of(" ".join(words) for words in said).is_english:
            said += WEIGHT * [_TOKEN.findall(line.lower()) for line in ENGLISH.read_text("utf-8").splitlines()]
        spoken = NGrams.count(said)
        shapes = NGrams.count([[shape(word, common) for word in words] for words in said])
        draft = cls(spoken, shapes, common, _known(spoken, catalog), (), (), (), -np.inf, np.inf, np.inf)
        mixed = [other for text in long if (other := shuffled(text, generator)) != text]
        weights, centre, spread = _logistic(*(np.array([draft.features(w) for w in rows]) for rows in (long, mixed)))
        ready = replace(draft, weights=weights, centre=centre, spread=spread)
        order, strange, again = np.array([ready.measure(text) for text in held]).T
        chance = np.array([ready.measure(text)[0] for text in mixed])
        return replace(
            ready,
            order=_limit(order, chance),
            strange=max(float(np.quantile(strange, 1 - FAIL["strange"])), LENIENT["strange"]),
            again=max(float(np.quantile(again, 1 - FAIL["again"])), LENIENT["again"]),
        )

    def features(self, words: Sequence[str]) -> list[float]:
        """How much likelier than by chance each word follows the two before it, of words and of shapes, nats."""
        n = len(words) + 1
        gains = []
        for model, text in ((self.words, words), (self.shapes, [shape(word, self.common) for word in words])):
            given, alone = model.score(text)
            gains.append(given - alone)
        root = float(np.sqrt(n))
        sums = [float(gain.sum()) for gain in gains]
        return [*(total / root for total in sums), *(total / n for total in sums), 1.0 / n, root]

    def measure(self, words: Sequence[str]) -> tuple[float, float, float]:
        """(order: log odds of being said by a person against shuffled; share of strange words; share said again)."""
        z = (np.array(self.features(words)) - self.centre) / self.spread
        order = float(z @ self.weights[:-1] + self.weights[-1])
        strange = sum(word not in self.known for word in words)
        pairs = list(pairwise(words))
        again = len(pairs) - len(set(pairs))
        return order, strange / (len(words) + 2), again / (len(pairs) + 2)  # + 2: one odd word alone is no proof

    def is_language(self, words: Sequence[str]) -> bool:
        """True for no words at all: silence is judged elsewhere."""
        if not words:
            return True
        order, strange, again = self.measure(words)
        return order >= self.order and strange <= self.strange and again <= self.again

    def __call__(self, turns: Sequence[Turn], catalog: Catalog) -> Bools:
        """[n] whether each turn's text is language."""
        return np.array([self.is_language(words_of(turn, catalog)) for turn in turns], dtype=bool)

    def arrays(self) -> dict[str, Any]:
        """For safetensors: counts and keys of both models."""
        return {f"{name}.{key}": array for name in MODELS for key, array in getattr(self, name).arrays().items()}

    def to_json(self) -> dict[str, Any]:
        return {
            "vocabularies": {name: list(getattr(self, name).words) for name in MODELS},
            "common": sorted(self.common),
            **{name: getattr(self, name) for name in (*RULE, *LIMITS)},
        }

    @classmethod
    def from_parts(cls, state: Mapping[str, Any], arrays: Mapping[str, Any], catalog: Catalog) -> LanguageSense:
        """What ``to_json`` and ``arrays`` gave."""
        words, shapes = (NGrams.of(tuple(state["vocabularies"][name]), f"{name}.", arrays) for name in MODELS)
        weights, centre, spread = (tuple(map(float, state[name])) for name in RULE)
        order, strange, again = (float(state[name]) for name in LIMITS)
        known = _known(words, catalog)
        return cls(words, shapes, frozenset(state["common"]), known, weights, centre, spread, order, strange, again)


def _limit(human: Floats64, chance: Floats64) -> float:
    """The lowest order score of language: of people, or half-way down to the highest scores of chance."""
    lowest, highest = float(np.quantile(human, FAIL["order"])), float(np.quantile(chance, CAUGHT))
    return min(lowest, (lowest + highest) / 2)


def _known(words: NGrams, catalog: Catalog) -> frozenset[str]:
    """The models' vocabulary and the words of the catalogue's texts."""
    texts = (plain_type(item.text).lower() for item in catalog.items[:READ])
    return frozenset(words.words).union(*(_TOKEN.findall(text) for text in texts))


def replies_of(dialogue: Dialogue, catalog: Catalog) -> list[list[str]]:
    """The words of each reply of the recommender's, its consecutive messages joined, as a policy writes them."""
    return [w for turn in dialogue.merged().turns if turn.speaker == "agent" and (w := words_of(turn, catalog))]


def shape(word: str, common: frozenset[str]) -> str:
    return word if word in common else f"~{word[-2:]}"


def shuffled(words: Sequence[str], generator: np.random.Generator, tries: int = 20) -> list[str]:
    """The same words in another order, where there is one."""
    for _ in range(tries):
        other = [words[i] for i in generator.permutation(len(words))]
        if other != list(words):
            return other
    return list(words)


def _logistic(yes: Floats64, no: Floats64) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """(weights with the constant last, centre, spread) of a logistic regression, by Newton's method."""
    x = np.concatenate([yes, no])
    y = np.concatenate([np.ones(len(yes)), np.zeros(len(no))])
    centre, spread = x.mean(0), x.std(0) + 1e-9
    z = np.concatenate([(x - centre) / spread, np.ones((len(x), 1))], axis=1)
    weights = np.zeros(z.shape[1])
    for _ in range(ROUNDS):
        p = 1.0 / (1.0 + np.exp(-np.clip(z @ weights, -40.0, 40.0)))
        slope = z.T @ (p - y) + RIDGE * weights
        bend = (z * (p * (1 - p))[:, None]).T @ z + RIDGE * np.eye(len(weights))
        weights = weights - np.linalg.solve(bend, slope)
    return tuple(weights.tolist()), tuple(centre.tolist()), tuple(spread.tolist())
