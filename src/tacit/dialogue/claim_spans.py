"""Times and titles in the text of a reply: which words are a year, a decade or years from one to another, and whether
what stands before a year in parentheses reads as a title."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from tacit.dialogue.claim_words import EVERYDAY, NOUNS, word_set
from tacit.languages import ENGLISH, GERMAN

Span = tuple[int, int]  # in characters

_YEAR = r"(?:1[89]\d\d|20\d\d)"
DATED = re.compile(rf"\s*\(({_YEAR})\)")
_DECADES = {
    **{"twenties": 1920, "thirties": 1930, "forties": 1940, "fifties": 1950},
    **{"sixties": 1960, "seventies": 1970, "eighties": 1980, "nineties": 1990},
}
_TIME = re.compile(
    rf"(?<![\w$€£#])(?P<first>{_YEAR})\s?[-–—]\s?(?P<last>{_YEAR}|\d\d)(?!\w)"
    rf"|(?<![\w$€£#])(?P<year>{_YEAR})(?P<plural>'?s)?(?!\w)"
    r"|(?<!\w)'?(?P<short>[2-9]0)'?s(?!\w)"
    rf"|(?<!\w)(?P<word>{'|'.join(_DECADES)})(?!\w)",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+(?:[-'.&]\w+)*")
_BREAK = re.compile(r"[.!?…;)\]]\s*$|\n")  # between two words: no title goes over it
_QUOTED = re.compile(r"[\"“]([^\"“”]+)[\"”]\s*$")
# Inside titles; nothing that a title begins or ends with in lower case.
_LINKS = word_set("of the and in on to for with from at a an by or vs von der die das und im in mit de la le du et el")
# Words that begin a sentence about a title, or praise one, and are no title by themselves before a year.
_OPENING = word_set(
    "also another maybe really try see watch watched seen check rent loved liked recommend recommended consider like "
    "sure definitely absolutely great good best new old awesome amazing favorite favourite released made out ok okay "
    "yeah hi hello thanks please cool nice wow oh from since circa year years set then now here there"
)
_NO_TITLE = ENGLISH.function_words | GERMAN.function_words | NOUNS | EVERYDAY | _OPENING


def times(text: str) -> Iterator[tuple[str, int, int]]:
    """("1990-1999", start, end) of every year, decade and span of years."""
    for match in _TIME.finditer(text):
        if match["first"]:
            last = match["last"] if len(match["last"]) == 4 else match["first"][:2] + match["last"]
            first, last = sorted((match["first"], last))
        elif match["year"] and not match["plural"]:
            first = last = match["year"]
        else:
            start = int(match["year"] or 0) // 10 * 10 or int(f"19{match['short'] or 0}") // 10 * 10
            start = _DECADES[match["word"].lower()] if match["word"] else start
            first, last = str(start), str(start + 9)
        yield f"{first}-{last}", match.start(), match.end()


def surely_title(said: str) -> bool:
    """Whether a linked title of an item that was neither shown nor named is meant as one: two words or more, one of
    them with a capital. "G-rated", "King" and "out of sight" are rather no titles."""
    return " " in said.strip() and _capital(said)


def title_before(text: str, no_titles: Collection[tuple[str, ...]]) -> int | None:
    """Where the title begins that ``text``, which a year in parentheses follows, ends with; None where it has none.

    A title is in quotes, or a run of words with capitals (or figures, or of a script without them) and small words
    between them. It is none where it is one of ``no_titles`` (lower-case words), or holds everyday words alone with no
    more than two capitals, as a sentence may begin.
    """
    quoted = _QUOTED.search(text)
    if quoted is not None:
        said = _WORD.findall(quoted[1])
        return quoted.start() if _capital(quoted[1]) and not _is_none(said, no_titles) else None
    run = _run(text)
    while run and not _capital(run[0].group()):
        run = run[1:]
    said = [match.group() for match in run]
    while len(said) > 1 and _is_none(said[:1], ()) and tuple(word.lower() for word in said[1:]) in no_titles:
        run, said = run[1:], said[1:]  # "With Al Pacino"
    return run[0].start() if said and not _is_none(said, no_titles) else None


def _run(text: str) -> list[re.Match[str]]:
    """The last words of ``text`` that may be a title; none where it does not end in one."""
    run: list[re.Match[str]] = []
    end = len(text)
    for match in reversed(list(_WORD.finditer(text))):
        said = match.group()
        if _BREAK.search(text[match.end() : end]) or not (_capital(said) or (run and said in _LINKS)):
            break
        run.insert(0, match)
        end = match.start()
    return run


def _capital(said: str) -> bool:
    """Whether it has a capital, a figure, or a letter of a script without capitals."""
    return any(c.isdigit() or (c.isalpha() and (c.isupper() or c.lower() == c.upper())) for c in said)


def _is_none(said: Sequence[str], no_titles: Collection[tuple[str, ...]]) -> bool:
    words = tuple(word.lower() for word in said)
    everyday = all(word in _NO_TITLE or (word.isdigit() and len(word) == 4) for word in words)
    return (everyday and sum(map(_capital, said)) <= 2) or words in no_titles
