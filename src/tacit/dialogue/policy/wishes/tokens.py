"""A user's words in the form that the rules read: lower case, contractions written out, titles as one token each."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from tacit.typography import plain_type_with_places

TITLE = "§"  # §3 stands for the third title of the text
_BARE = "do|does|did|is|are|was|were|have|has|had|would|should|could|ca|wo|ai|need"
_WRITTEN_OUT: list[tuple[re.Pattern[str], str]] = [
    (re.compile(pattern, re.IGNORECASE), written)
    for pattern, written in (
        (r"\b(can)'?t\b|\bcannot\b", "can not"),
        (r"\bwon'?t\b(?! be)", "will not"),
        (r"\bain'?t\b", "is not"),
        (rf"\b({_BARE})n'?t\b(?<!want)", r"\1 not"),
        (r"\b(i)'?m\b", r"\1 am"),
        (r"\b(i|we|they|you)'?ve\b", r"\1 have"),
        (r"\b(i|we|they|you|she|he)'d\b|\b(i)d\b", r"\1\2 would"),
        (r"\b(i|we|they|you|she|he|it|that)'ll\b", r"\1 will"),
        (r"\b(we|they|you)'re\b", r"\1 are"),
        (r"\b(it|that|this|there|what|here|who|he|she|everything|one|which)'s\b", r"\1 is"),
        (r"\b(that|what|there|he|who|where)s\b", r"\1 is"),
        (r"\b(i|we|they|you)ve\b", r"\1 have"),
        (r"\b(they|you)re\b", r"\1 are"),
        (r"\bim\b", "i am"),
        (r"\blet'?s\b", "let us"),
        (r"\b(it|that|this|he|she|there)(?:'?s| is) gotta\b", r"\1 has to"),
        (r"\bgotta\b", "have to"),
        (r"\bgonna\b", "going to"),
        (r"\bwanna\b", "want to"),
        (r"\bgimme\b", "give me"),
        (r"\blemme\b", "let me"),
        (r"\bw/o\b", "without"),
        (r"\bw/|\bw (?=\w)", "with "),
        (r"'?(\d0)(?:'s|ies)\b", r"\1s"),
        (r"'(\d0s)\b", r"\1"),
        (r"(?<!\w)'([2-9]\d)\b", r"19\1"),
        (r"(?<!\w)'([01]\d)\b", r"20\1"),
        (r"(\w)'s\b", r"\1"),
        (r"s'(?=\s)", "s"),
        (r"\b(\d+) ?(?:yo|y/o|yrs? old)\b", r"\1 year old"),
        (r"\b(\d+)\s*[–-]\s*(\d+s?)\b", r"\1 to \2"),
        (r"\b(\d+)(?:st|nd|rd|th)\b", r"\1th"),
        (r"\b(?:a )?half an hour\b|\bhalf hour\b", "30 minutes"),
        (r"\b(?:an|one) hour and a half\b|\bhour and a half\b", "90 minutes"),
        (r"\bthree quarters of an hour\b", "45 minutes"),
        (r"\b(?:a )?quarter of an hour\b", "15 minutes"),
        (r"(\d)(pages?|min(?:ute)?s?|h(?:ou)?rs?)\b", r"\1 \2"),
        (r"\s+[–—-]+\s+|--+", " , "),
        (
            r"\b(kinda|sorta|really|very|quite|super(?! hero)|truly|honestly|definitely|absolutely|totally|"
            r"just a bit)\b ?",
            "",
        ),
    )
]
_DIGITS = ("a", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_HUNDREDS = re.compile(rf"\b({'|'.join(_DIGITS)}) (hundred|thousand)\b(?! and)", re.IGNORECASE)
# Pictures part sentences, and stand for no word at either end.
_PICTURES = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\ufe0f\u200d\u20e3]+")
_PICTURES_AT_ENDS = re.compile(rf"^(?:\s|{_PICTURES.pattern})+|(?:\s|{_PICTURES.pattern})+$")
_TOKEN = re.compile(rf"{TITLE}\d+|\d+[.,]\d+|\w+(?:'\w+)*|[.,;:!?()/&$€£+\n]")


@dataclass(frozen=True, slots=True)
class Token:
    word: str  # lower case, no accents
    capital: bool


def tokens(text: str, titles: Sequence[tuple[int, int]]) -> list[Token]:
    """``titles`` are the places of titles in ``text``, in order and apart."""
    parts, last = [], 0
    for n, (start, end) in enumerate(titles):
        parts += [text[last:start], f" {TITLE}{n} "]
        last = end
    plain, _ = plain_type_with_places("".join([*parts, text[last:]]))
    for pattern, written in _WRITTEN_OUT:
        plain = pattern.sub(written, plain)
    plain = _PICTURES.sub(" . ", _PICTURES_AT_ENDS.sub("", plain))
    plain = _HUNDREDS.sub(_in_digits, plain)
    plain = re.sub(r"(?<=\w)[-'](?=\w)", " ", plain)
    return [Token(_bare(word), word[:1].isupper()) for word in _TOKEN.findall(plain)]


def _in_digits(said: re.Match[str]) -> str:
    return f"{max(_DIGITS.index(said[1].lower()), 1)}{'00' if said[2].lower() == 'hundred' else '000'}"


def _bare(word: str) -> str:
    lower = word.lower()
    if lower.isascii():
        return lower
    return "".join(c for c in unicodedata.normalize("NFKD", lower) if not unicodedata.combining(c))
