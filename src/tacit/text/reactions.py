"""What a user's words after a recommendation say of it: accepted, rejected, criticised, seen, asked about; and how
pleased they are.

One linear model on words, pairs and triples of words for each, learnt from intents that people gave to 1,766 seekers'
turns of ReDial (IARD: Cai and Chen, UMAP 2020), and one on top of them and of VADER's sentiment that tells liked films
from disliked ones on ReDial's training dialogues (``benchmarks/reaction_reader.py`` makes the file and measures it).
What human-to-human talk lacks, a complaint about being misunderstood, is a list of phrases of ours. English alone: in
other languages every reading is that of a turn that says nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from tacit.text.sentiment import GENRE_WORDS, Vader, mask_genres
from tacit.types import Floats64
from tacit.typography import plain_type

REACTIONS = ("accept", "reject", "critique", "seen", "inquire", "request")
LONGEST = 3  # words of an n-gram
COMPLAINT_WEIGHT = 2.0  # standard deviations of pleasure that a complaint costs
# What people say to a machine that does not follow. Phrases of repair and blame, not of taste.
COMPLAINTS = re.compile(
    r"\b(?:i (?:already|just) (?:said|told|asked|mentioned)|"
    r"already (?:told|said|asked|suggested|recommended|mentioned)|"
    r"(?:not|isn't|wasn't) what i (?:asked|said|meant|wanted|was looking)|(?:did ?n[o']t|do(?:es)?n't) answer|"
    r"(?:you(?:'re| are)|are you) (?:not|n't|even)? ?(?:listening|reading|paying attention)|you keep|you just said|"
    r"did you (?:even )?(?:hear|read|listen)|(?:do(?:es)?n't|not|no|never) (?:make|making|makes) (?:any |much )?sense|"
    r"(?:useless|unhelpful|nonsense|ridiculous|annoying|rude|frustrating|frustrated|pointless)|not (?:very )?helpful|"
    r"(?:no|not any|not much) help|what are you talking|wh?at do you mean|(?:forget|drop) it|waste of (?:my )?time|"
    r"same (?:thing|answer|question|one|movie|film)s? (?:again|over|as before|twice)|nothing to do with|"
    r"stop (?:it|asking|repeating|recommending|suggesting|that)|i give up|that(?:'s| is) wrong|repeating yourself)\b",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"\b\w[\w']*\b|[?!]")


class ReactionReader:
    """Texts, titles masked (``sentiment.MASK``), → log-odds of each of ``REACTIONS``, and pleasure."""

    def __init__(self, file: Path | None = None) -> None:
        record = json.loads((file or Path(__file__).with_name("reactions.json")).read_text(encoding="utf-8"))
        self._intercepts = np.array([record["intercepts"][name] for name in REACTIONS])
        self._ngrams: dict[str, list[tuple[int, float]]] = {}
        for column, name in enumerate(REACTIONS):
            for ngram, weight in record["ngrams"][name].items():
                self._ngrams.setdefault(ngram, []).append((column, weight))
        self._pleased: dict[str, float] = record["pleased"]
        self._vader = Vader()

    def read(self, texts: Sequence[str]) -> Floats64:
        """[n, len(REACTIONS)] log-odds. A text without words says nothing: the intercepts."""
        found = np.tile(self._intercepts, (len(texts), 1))
        for row, text in enumerate(texts):
            for ngram in set(ngrams(text)):
                for column, weight in self._ngrams.get(ngram, ()):
                    found[row, column] += weight
        return found

    def sentiment(self, texts: Sequence[str]) -> Floats64:
        """[n] in [-1, 1]: VADER's, with genre words masked (asking for horror is no mood)."""
        return np.array(self._vader([mask_genres(text, GENRE_WORDS) for text in texts]))

    def pleased(self, texts: Sequence[str]) -> Floats64:
        """[n] in standard deviations of ReDial's seekers, 0 is their mean: how pleased the words are with what went
        before, within ±3. Not a count of anything: a longer text is no happier one for its length."""
        if not texts:
            return np.zeros(0)
        parts = dict(zip(REACTIONS, self.read(texts).T, strict=True)) | {"sentiment": self.sentiment(texts)}
        score = self._pleased["bias"] + sum(w * parts[name] for name, w in self._pleased.items() if name != "bias")
        complaint = np.array([bool(COMPLAINTS.search(plain_type(text))) for text in texts])
        return np.asarray(np.clip(score - COMPLAINT_WEIGHT * complaint, -3.0, 3.0))


def ngrams(text: str) -> Iterator[str]:
    """Words, pairs and triples of words, in lower case; ? and ! are words."""
    tokens = _TOKEN.findall(plain_type(text).lower())
    for n in range(1, LONGEST + 1):
        for start in range(len(tokens) - n + 1):
            yield " ".join(tokens[start : start + n])


@cache
def reaction_reader() -> ReactionReader:
    """The one that is shipped."""
    return ReactionReader()
