"""What a user's words after a recommendation say of it: accepted, rejected, criticised, seen, asked about; and how
pleased they are.

One linear model on words, pairs and triples of words for each, learnt from intents that people gave to 1,766 seekers'
turns of ReDial (IARD: Cai and Chen, UMAP 2020), and one on top of them and of VADER's sentiment that tells liked films
from disliked ones on ReDial's training dialogues (``benchmarks/reaction_reader.py`` makes the file and measures it).
What human-to-human talk about films lacks is phrases of ours: complaining, putting right, taking what is offered.
Idioms are read by what they mean (``idioms``). English alone: in other languages hardly a word is known (``says``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tacit.text.idioms import plain_words
from tacit.text.sentiment import GENRE_WORDS, Vader, mask_genres
from tacit.types import Floats64
from tacit.typography import plain_type

REACTIONS = ("accept", "reject", "critique", "seen", "inquire", "request")
LONGEST = 3  # words of an n-gram
# What follows is said to a machine, or where something is booked or bought, and hardly to a person about films: phrases
# of ours, by kind, and what each kind is worth in standard deviations of pleasure. Of taste they say nothing.
COMPLAINT_WEIGHT, REPAIR_WEIGHT, TAKING_WEIGHT = 2.0, 1.0, 1.0
_YOU_ARE = r"(?:you(?:'re| are)|are you)"
COMPLAINTS = re.compile(
    # it was said before
    r"\b(?:i(?:'ve| have)? (?:already|just) (?:said|told|asked|mentioned|ga?ven?|sent|provided|explained|answered)|"
    r"i(?:'ve| have)? told you\b|you(?:'ve| have)? (?:asked|told|said|suggested)\b[^.?!]*\b(?:twice|again|times)|"
    r"already (?:told|said|asked|suggested|recommended|mentioned)|you keep|you just said|repeating yourself|"
    r"same (?:thing|answer|question|one|movie|film)s? (?:again|over|as before|twice)|"
    # it was not heard
    r"(?:not|isn't|wasn't) what i (?:asked|said|meant|wanted|was looking)|"
    r"(?:did ?n[o']t|do(?:es)?n't|not|just) answer(?:ing)?\b(?: (?:me|my|the|it))?|"
    rf"{_YOU_ARE} (?:not|n't|even|still)? ?(?:listening|reading|paying attention|kidding|serious|stupid|dumb|deaf)|"
    r"did you (?:even )?(?:hear|read|listen)|(?:please|can you|just) read (?:my|what)|"
    r"you (?:don't|do not|didn't|did not|never) (?:understand|listen|get it|help)|not understanding|"
    r"you (?:are |keep )?(?:ignor(?:e|ed|ing)|misread)|you (?:can't|cannot|can not|couldn't|won't) help|"
    r"why (?:can't|won't) you|(?:have |has )?misunderstood|what are you talking|wh?at do you mean|nothing to do with|"
    # it is false, or of no use
    r"(?:do(?:es)?n't|not|no|never) (?:make|making|makes) (?:any |much )?sense|mak(?:e|es|ing) no sense|"
    r"(?:that(?:'s| is)|you(?:'re| are)) (?:wrong|incorrect|mistaken|not (?:right|correct|true))|"
    r"(?:useless|unhelpful|nonsense|ridiculous|annoying|rude|frustrating|frustrated|pointless|unacceptable|pathetic)|"
    r"not (?:very |at all )?helpful|(?:no|not any|not much) help|(?:do(?:es)?|did)(?:n't| not) (?:really )?help|"
    r"(?:is|what) a joke|wast(?:e|ed|ing) (?:of |my |our )+time|thanks for nothing|great,? just great|yeah,? right$|"
    r"wtf|ffs|"
    # it is at an end
    r"(?:forget|drop) it|stop (?:it|asking|repeating|recommending|suggesting|that)|i give up|going nowhere|"
    r"(?:look|go|try|shop|book|search|ask) (?:somewhere else|elsewhere)|(?:do|find|book) it myself|"
    r"i quit\b|i(?:'ll| will|'d rather) (?:find|use|try|go to|buy from) (?:another|a different|some other) "
    r"(?:site|website|shop|store|app|service|company|bot|agency|provider)|"
    r"(?:(?:speak|talk|transfer|connect|put)(?: me)?(?: through)? (?:to|with)|get me) (?:an? |the |your )?"
    r"(?:real |actual |live |human )?(?:human|person|being|agent|manager|supervisor|representative|operator))(?!\w)",
    re.IGNORECASE,
)
# Who was misunderstood, or does not understand, says so before complaining. At the beginning: in the middle of a turn
# people put themselves right ("I meant to see it", "like I said").
REPAIRS = re.compile(
    r"^\W*no\W+i (?:meant?\b|said\b|asked\b|(?:want|need)(?:ed)?\b(?! to\b))|"
    r"^\W*(?:(?:but|hey|sorry|hello)\W+)?i (?:said|asked for)\b|\bi said\b[^.?!]*\bnot\b|"
    r"(?:\bnot|n't) (?:what i (?!expect|was expect|thought|usual|normal|typical)\w+|my question|the one i)\b|"
    r"(?<!nothing )(?<!what's )(?<!get me )(?<!not )(?<!go )(?<!goes )(?<!went )(?<!i'm )"
    r"(?<!am )(?<!be )(?<!i was )(?<!if )\bwrong\b(?! with (?:me|it|that)\b)|"
    r"\bstill (?:have|has)(?:n't| not) (?:received|heard|arrived|got\b(?! around))|"
    r"\b(?:waiting|waited) (?:for )?(?:over |more than )?(?:an?|\d+|two|three|several|many) (?:hour|day|week|month)|"
    r"\bas i (?:said|mentioned|told you) (?:before|already|earlier|above)\b|"
    r"^\W*(?:(?:ok|okay|oh|no|well)\W+)?never ?mind\b|^\W*i(?:'m| am) (?:confused|lost)\b|"
    r"^\W*(?:(?:but|sorry|no)\W+)?i (?:still )?(?:don't|do not|didn't) understand\b(?! (?:why|how|what)\b)|"
    r"\b(?:still|it|that) (?:is not|isn't|does(?:n't| not)|did(?:n't| not)) work(?:ing)?\b|"
    r"\bstill (?:nothing|waiting\b(?! (?:to|till|until)\b)|no (?:answer|reply|response))\b|"
    r"^\W*(?:what|huh|hello|again|sorry|pardon|eh)\W*\?+\W*$|^\W*\?+\W*$|"
    r"\b(?:are you|is any(?:body|one)) (?:still )?there\b",
    re.IGNORECASE,
)
# What is offered is taken: said outright, not wished for ("something like that would be perfect").
_IT = r"(?:it|that|this|them|the|one)"
TAKINGS = re.compile(
    rf"(?:\b(?:i(?:'ll| will| would like to|'d like to)|let's|let us|we(?:'ll| will)) "
    rf"(?:take|book|buy|order|reserve|go (?:with|for)|do) {_IT}\b(?! (?:up|back|myself|into|under))|"
    rf"(?:^|[,.!]\s*|\b(?:please|yes|ok|okay|sure|(?:can|could) you)\W+)(?:book|order|reserve) {_IT}\b|"
    r"\b(?:please|yes|sure|ok|okay)\W+go ahead\b|\bworks for me\b|(?:it's a |^)deal(?=\W*$)|"
    r"(?<!if )\b(?:that|this|it) (?:works|will work|'ll work|worked|solved it|fixed it)\b(?! (?:out|against|badly))|"
    r"(?<!if )\bthat(?:'s| is|'ll be| will be) (?:fine|perfect|ideal)\b)",
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
            for ngram in set(ngrams(plain_words(text))):
                for column, weight in self._ngrams.get(ngram, ()):
                    found[row, column] += weight
        return found

    def sentiment(self, texts: Sequence[str]) -> Floats64:
        """[n] in [-1, 1]: VADER's, with genre words masked (asking for horror is no mood)."""
        return np.array(self._vader([mask_genres(plain_words(text), GENRE_WORDS) for text in texts]))

    def says(self, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
        """[n], whether anything in the text is known: a phrase, a word of feeling, an n-gram with a weight. Where
        nothing is, as in another language or a bare number, ``pleased`` is no reading."""
        known = [any(ngram in self._ngrams for ngram in ngrams(plain_words(text))) for text in texts]
        return np.asarray(np.array(known, dtype=bool) | (self.sentiment(texts) != 0) | (self._phrases(texts) != 0))

    def pleased(self, texts: Sequence[str]) -> Floats64:
        """[n] in standard deviations of ReDial's seekers, 0 is their mean: how pleased the words are with what went
        before, within ±3. Not a count of anything: a longer text is no happier one for its length."""
        if not texts:
            return np.zeros(0)
        parts = dict(zip(REACTIONS, self.read(texts).T, strict=True)) | {"sentiment": self.sentiment(texts)}
        score = self._pleased["bias"] + sum(w * parts[name] for name, w in self._pleased.items() if name != "bias")
        return np.asarray(np.clip(score + self._phrases(texts), -3.0, 3.0))

    def _phrases(self, texts: Sequence[str]) -> Floats64:
        """[n] in standard deviations of pleasure. Of a text with several kinds the worst counts, once."""
        plain = [plain_words(text) for text in texts]
        kinds = ((COMPLAINTS, -COMPLAINT_WEIGHT), (REPAIRS, -REPAIR_WEIGHT), (TAKINGS, TAKING_WEIGHT))
        return np.array([next((worth for kind, worth in kinds if kind.search(text)), 0.0) for text in plain])


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
