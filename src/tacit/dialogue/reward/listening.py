"""What people did after a turn, read from their own next words: the part of satisfaction that was observed."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from tacit.catalog import Catalog
from tacit.dialogue.reward.features import mask_list
from tacit.text.idioms import without_declining
from tacit.text.reactions import REACTIONS, reaction_reader
from tacit.text.sentiment import mask_spans
from tacit.types import Dialogue, Floats64, Turn

ASKED_AGAIN = 1.5  # standard deviations of pleasure that it costs to be asked the same thing again
OPENING = 1.0  # standard deviations of pleasure from no sentiment to the most, in what opens a conversation
ALIKE, LEAST_WORDS = 0.6, 4  # words two requests share, of those in either; fewer words are no request
FORGETS = 0.5  # how much of an earlier turn's mood is left a user turn later
KEPT = 50_000
_WORD = re.compile(r"\w+")


class Listener:
    """Reads users' turns, each text once. Titles are one word, so that a title is no feeling."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._masked: dict[str, str] = {}
        self._pleased: dict[str, float] = {}
        self._says: dict[str, bool] = {}
        self._intents: dict[str, Floats64] = {}
        self._sentiment: dict[str, float] = {}

    def masked(self, text: str) -> str:
        if text not in self._masked:
            if len(self._masked) > KEPT:
                self._masked.clear()
            self._masked[text] = mask_list(mask_spans(text, self.catalog.link(text)))
        return self._masked[text]

    def pleasures(self, turns: Sequence[Turn]) -> Floats64:
        """[turns] in standard deviations, 0 is usual: how pleased each user turn is with what went before it, NaN at
        the agent's turns and at turns without words or with none that the reader knows. One that asks again what was
        asked before is less pleased, in whatever language. Of a user's first words the sentiment alone counts, unless
        the agent has shown something: the request that answers a greeting is no reaction to it."""
        texts = [self.masked(turn.text) for turn in turns]
        spoken = [turn.speaker == "user" and bool(text) for turn, text in zip(turns, texts, strict=True)]
        for t in range(1, len(turns)):
            if spoken[t] and turns[t - 1].speaker == "agent":
                texts[t] = without_declining(texts[t], turns[t - 1].text)
        self._read([text for text, said in zip(texts, spoken, strict=True) if said])
        found = np.full(len(turns), math.nan)
        asked: list[frozenset[str]] = []
        for t in (t for t, said in enumerate(spoken) if said):
            words = frozenset(_WORD.findall(texts[t].lower()))
            if asked or any(turn.speaker == "agent" and turn.slate for turn in turns[:t]):
                again = _asked_before(words, asked)
                if again or self._says[texts[t]]:
                    found[t] = self._pleased[texts[t]] - ASKED_AGAIN * again
            else:
                found[t] = OPENING * self.sentiment(turns[t].text)
            asked.append(words)
        return np.asarray(np.clip(found, -3.0, 3.0))

    def intents(self, text: str) -> Floats64:
        """Log-odds of each of ``REACTIONS`` in one utterance."""
        masked = self.masked(text)
        self._read([masked])
        return self._intents[masked]

    def sentiment(self, text: str) -> float:
        """VADER's, in [-1, 1], of anybody's words."""
        masked = self.masked(text)
        if masked not in self._sentiment:
            if len(self._sentiment) > KEPT:
                self._sentiment.clear()
            self._sentiment[masked] = float(reaction_reader().sentiment([masked])[0])
        return self._sentiment[masked]

    def observed(self, dialogue: Dialogue) -> Floats64:
        """[turns] the pleasure of the user's words right after each agent turn; NaN where nothing was said, and at the
        user's own turns. Messages of one speaker in a row should be merged."""
        pleased = self.pleasures(dialogue.turns)
        found = np.full(len(pleased), math.nan)
        for t, turn in enumerate(dialogue.turns[:-1]):
            if turn.speaker == "agent":
                found[t] = pleased[t + 1]
        return found

    def _read(self, texts: Sequence[str]) -> None:
        new = list(dict.fromkeys(text for text in texts if text not in self._pleased))
        if len(self._pleased) > KEPT:
            self._pleased.clear()
            self._says.clear()
            self._intents.clear()
            new = list(dict.fromkeys(texts))
        reader = reaction_reader()
        self._pleased.update(zip(new, reader.pleased(new).tolist(), strict=True))
        self._says.update(zip(new, reader.says(new).tolist(), strict=True))
        self._intents.update(zip(new, reader.read(new), strict=True))


def mood(pleased: Floats64) -> float:
    """Of a user who was as ``pleased`` in each turn so far [turns] (NaN: not the user's), the last one weighing most;
    0 where there is none."""
    heard = pleased[np.isfinite(pleased)]
    weights = FORGETS ** np.arange(len(heard))[::-1]
    return float(weights @ heard / weights.sum()) if len(heard) else 0.0


def _asked_before(words: frozenset[str], asked: Sequence[frozenset[str]]) -> bool:
    if len(words) < LEAST_WORDS:
        return False
    return any(len(words & before) >= ALIKE * len(words | before) for before in asked)


def accepted(intents: Floats64) -> bool:
    return bool(intents[REACTIONS.index("accept")] > 0)


def refused(intents: Floats64) -> bool:
    """Rejected or criticised."""
    return bool(max(intents[REACTIONS.index("reject")], intents[REACTIONS.index("critique")]) > 0)


def requested(intents: Floats64) -> bool:
    return bool(intents[REACTIONS.index("request")] > 0)
