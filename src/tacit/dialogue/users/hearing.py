"""What an emulated user makes of a reply's words: is it language, does it contradict the catalogue, was the user heard?

The three cost utility and patience, and gibberish is not bought from. Their judges are frozen and none of them is the
reward model: a trigram model of the training dialogues (``language``), and the catalogue's own facts (``tacit.dialogue
.claims`` and ``.answers``). Sizes are choices of ours: *emulated*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tacit.catalog import Catalog
from tacit.dialogue.answers import ignored
from tacit.dialogue.claims import claims
from tacit.dialogue.fact_index import fact_index
from tacit.dialogue.users.language import LanguageSense, words_of
from tacit.run.limits import at_least, share
from tacit.types import Bools, Dialogue, Floats64, Ints64, Turn


@dataclass
class HearingConfig:
    """Costs are in units of utility."""

    judged: bool = True  # whether users hear what is said at all; without it they look at the cards alone
    no_language: float = share(default=0.3)  # cost of a reply that is no language
    accepts_gibberish: float = share(default=0.0)  # chance to take a card shown with such a reply, beside a clear one
    contradiction: float = share(default=0.1)  # cost of a claim that the catalogue contradicts
    most_contradictions: int = at_least(1, default=3)  # of one reply that count
    ignored: float = share(default=0.1)  # cost of a question or a wish that the reply does not take up


@dataclass(frozen=True)
class Heard:
    """[n] each, for the users in the order asked about."""

    no_language: Bools
    contradictions: Ints64
    ignored: Bools

    @classmethod
    def nothing(cls, n: int) -> Heard:
        """Of users who hear nothing to complain of."""
        return cls(np.zeros(n, dtype=bool), np.zeros(n, dtype=np.int64), np.zeros(n, dtype=bool))

    def cost(self, config: HearingConfig) -> Floats64:
        """no_language · a + min(contradictions, most) · b + ignored · c, the last two only of what is language."""
        clear = ~self.no_language
        wrong = np.minimum(self.contradictions, config.most_contradictions) * config.contradiction
        return np.asarray(
            self.no_language * config.no_language + clear * wrong + (clear & self.ignored) * config.ignored
        )

    def willing(self, config: HearingConfig) -> Floats64:
        """Factor on the chance to accept a card."""
        return np.where(self.no_language, config.accepts_gibberish, 1.0)


def hear(turns: Sequence[Turn], contexts: Sequence[Dialogue], catalog: Catalog, sense: LanguageSense | None) -> Heard:
    """What users make of the agent's ``turns`` after ``contexts``; without a sense everything is language."""
    index = fact_index(catalog)
    heard = Heard.nothing(len(turns))
    for i, (turn, context) in enumerate(zip(turns, contexts, strict=True)):
        found = claims(turn, context, index)
        heard.no_language[i] = sense is not None and not sense.is_language(words_of(turn, catalog))
        heard.contradictions[i] = sum(claim.verdict == "contradicted" for claim in found)
        heard.ignored[i] = ignored(turn, context, found, index)
    return heard
