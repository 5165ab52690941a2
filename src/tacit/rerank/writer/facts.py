"""What a preference text may say about an item: genres, people, era, language, themes and moods, read once.

Genres, year and author come from the item's attributes, the rest from its description by rules of form. A name is a
run of capitalised words after "directed by", or in the first sentence that presents a cast. A theme is a word that
mostly stands where plots are told ("follows …", "set in …", "themes of …"). A mood is a word that opens descriptions
("is a gripping crime film"). The rarest come first, as in TF-IDF with every term counted once a description. No rule
reads a rating, save that ``seen`` needs counts of the training users' ratings.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tacit.types import Item
from tacit.typography import without_quoted

Terms = tuple[str, ...]

_GENRES = ("genre", "category")  # attributes, of which the first that an item has is read
_MAKERS = ("director", "author", "brand")
_KEPT_THEMES, _KEPT_MOODS = 6, 3  # for each item
_TOLD_IN_PLOTS = 0.45  # share of a theme's descriptions in which it stands in a plot clause
_THEME_SHARES = (0.002, 0.03)  # of the descriptions: rarer says too little, commoner says nothing
_MOOD_SHARES = (0.001, 0.15)

_CAPITAL = r"(?:[A-ZÀ-ÖØ-Þ][\w'’-]*\w|[A-Z]\.)"
_NAME = rf"{_CAPITAL}(?:\s+(?:(?:de|la|del|di|da|von|van|der|den|du|le)\s+)*{_CAPITAL})+"
_AND = r"(?:,?\s+and\s+|,\s+)"
_NAMES = re.compile(_NAME)
_DIRECTED = re.compile(rf"[Dd]irected by (?:[a-z][\w-]* )*({_NAME}(?:{_AND}{_NAME})*)")
_CAST = re.compile(
    r"(?:\b(?:cast|ensemble|actors|performers)\b[^.]{0,40}?\b(?:including|includes|of|featuring|like|with|as)"
    r"|\b(?:[Ss]tarring|stars|[Ff]eaturing|features|led by|voiced by|portrayed by))\b([^;]*)"
)
_ROLE = re.compile(rf"\bas (?:the )?{_NAME}")
_SENTENCE = re.compile(r"(?<=[a-z0-9)\"”])[.!?]\s+")
_OTHER_TITLES = re.compile(r"[A-Z][^,.;()\"]{0,60}\(\d{4}\)|\([^)]*\)")
_PLOT = re.compile(
    r"\b(?:revolves around|follows|cent(?:er|re)s (?:on|around)|stor(?:y|ies) (?:of|about)|tales? of|delves? into"
    r"|explor(?:es|ing|ation of)|about|chronicles|depicts|themes? (?:of|like|such as)|set (?:in|against|during)"
    r"|as (?:an?|he|she|they) )([^.;]*)"
)
_TOKEN = re.compile(r"[\w'’-]+")
_OPENING = re.compile(r"\b(?:is|remains) an? ([a-z][\w-]*)")
_LANGUAGE = re.compile(r"\b([A-Z][a-z]+)-language\b")
_YEAR = re.compile(r"\((\d{4})\)\s*$")
_NO_THEME = frozenset(
    re.findall(
        r"\w+",
        """aboard actress after all amidst and another any are aspects becomes being between but can caught character
        come condition day deeply determined did does during each embark embarks encounter encounters entangled
        entanglements events example face faced faces facing finds focusing for former from gone grappling has have help
        her herself high himself his humans individuals intertwined into intricacies involving issues its keeps
        landscapes leading lens look man men more must named nature navigate navigates navigating new not one other over
        own past piece placing played plays portrayed process realms resonating search seats she situations small
        surrounding system takes testament that the their them themselves then there these they this those three through
        time too turned turns two typical unexpected unlikely was way were what when where which while who will with
        wrapped years you""",
    )
)
_NO_MOOD = frozenset(
    re.findall(
        r"\w+", "blend book classic critically documentary entry family film movie novel science sequel story tale"
    )
)


@dataclass(frozen=True)
class Facts:
    """What is known of one item; empty where nothing is."""

    title: str
    genres: Terms = ()
    makers: Terms = ()  # directors of a film, authors of a book
    actors: Terms = ()
    year: int | None = None
    language: str = ""  # other than English
    themes: Terms = ()
    moods: Terms = ()
    seen: str = ""  # "widely" or "little", by the counts that were given


def item_facts(
    items: Sequence[Item], descriptions: Mapping[str, str], counts: npt.NDArray[np.int64] | None = None
) -> tuple[Facts, ...]:
    """Facts of every item, in the items' order. ``counts`` [n_items] are ratings by training users only."""
    texts = [_OTHER_TITLES.sub("", without_quoted(descriptions.get(item.id, ""))) for item in items]
    known_genres = {genre for item in items for genre in genres(item)}
    words = [_words(text) for text in texts]
    themes = _rarest_first(words, _theme_words(texts, words) - known_genres, _KEPT_THEMES)
    moods = _rarest_first(words, _mood_words(texts, words, known_genres), _KEPT_MOODS)
    seen = [""] * len(items) if counts is None else _seen(counts)
    titles = {part.strip() for item in items for part in (_YEAR.sub("", item.title), item.title.partition(":")[0])}
    return tuple(
        Facts(
            title=item.title,
            genres=genres(item),
            makers=makers(item) or _people(_directors(text), titles),
            actors=_people(_actors(text), titles),
            year=_year(item),
            language=next((name for name in _LANGUAGE.findall(text) if name != "English"), ""),
            themes=themes[row],
            moods=moods[row],
            seen=seen[row],
        )
        for row, (item, text) in enumerate(zip(items, texts, strict=True))
    )


def genres(item: Item) -> Terms:
    return _attribute(item, _GENRES)


def makers(item: Item) -> Terms:
    return _attribute(item, _MAKERS)


def _attribute(item: Item, names: Sequence[str]) -> Terms:
    """The values of the first of these attributes that the item has; "unknown brand" is none."""
    values = next((values for name in names if (values := item.attributes.get(name, ()))), ())
    return tuple(value for value in values if not value.startswith("unknown"))


def _year(item: Item) -> int | None:
    values = item.attributes.get("year", ()) or _YEAR.findall(item.title)
    return int(values[0]) if values and values[0].isdecimal() else None


def _directors(text: str) -> Sequence[str]:
    found = _DIRECTED.search(text)
    return _NAMES.findall(found[1]) if found else ()


def _actors(text: str) -> Sequence[str]:
    """The names of the first sentence that presents a cast."""
    casts = (_CAST.search(_ROLE.sub("", sentence)) for sentence in _SENTENCE.split(text))
    return next((names for cast in casts if cast and (names := _NAMES.findall(cast[1]))), ())


def _people(names: Sequence[str], titles: set[str]) -> Terms:
    """Without repeats and titles: characters such as Mary Poppins are named like people."""
    return tuple(name for name in dict.fromkeys(names) if name not in titles)


def _words(text: str) -> set[str]:
    """Words of three letters or more that are written small: names and titles stay out."""
    return {token for token in _TOKEN.findall(text) if len(token) > 2 and token.islower() and "'" not in token}


def _theme_words(texts: Sequence[str], words: Sequence[set[str]]) -> set[str]:
    anywhere = _document_counts(words)
    in_plots = _document_counts(set().union(*map(_words, _PLOT.findall(text))) for text in texts)
    in_plots_mostly = {word for word, n in in_plots.items() if n >= _TOLD_IN_PLOTS * anywhere[word]}
    return _of_shares(in_plots_mostly - _NO_THEME, anywhere, texts, _THEME_SHARES)


def _mood_words(texts: Sequence[str], words: Sequence[set[str]], genres: set[str]) -> set[str]:
    """Words that open enough descriptions; "comedy-drama" is made of genres."""
    openings = Counter(found[1] for text in texts if (found := _OPENING.search(text)))
    low, _ = _MOOD_SHARES
    usual = {word for word, n in openings.items() if n >= low * len(texts)}
    moods = {word for word in usual - _NO_MOOD if not genres & set(word.split("-"))}
    return _of_shares(moods, _document_counts(words), texts, _MOOD_SHARES)


def _of_shares(
    terms: set[str], counts: Mapping[str, int], texts: Sequence[str], shares: tuple[float, float]
) -> set[str]:
    """Terms whose share of the descriptions lies within ``shares``; in a handful of texts any share will do."""
    n = sum(map(bool, texts))
    low, high = shares[0] * n, max(shares[1] * n, 10)
    return {term for term in terms if low <= counts[term] <= high}


def _rarest_first(words: Sequence[set[str]], terms: set[str], keep: int) -> list[Terms]:
    """For each text the ``keep`` rarest of its words that are terms."""
    counts = _document_counts(words)
    return [tuple(sorted(of_text & terms, key=lambda term: (counts[term], term))[:keep]) for of_text in words]


def _document_counts(words: Iterable[set[str]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for of_text in words:
        counts.update(of_text)
    return counts


def _seen(counts: npt.NDArray[np.int64]) -> list[str]:
    """ "widely" for the most rated tenth of the items, "little" for the lower half."""
    rank = np.argsort(np.argsort(-counts, kind="stable"), kind="stable") / max(len(counts), 1)
    return ["widely" if share < 0.1 else "little" if share >= 0.5 else "" for share in rank]
