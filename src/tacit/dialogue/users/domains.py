"""What items are: what they are called, and what one does with them. The speech rules are written for films."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_WORD = re.compile(r"[^\W\d_]+")
FEWEST = 5  # words that name a domain, in all dialogues; fewer tell none


@dataclass(frozen=True)
class Domain:
    name: str
    nouns: str  # of several items, after a genre: "horror movies"; "" where no noun fits
    signs: frozenset[str]  # words that name an item of this domain and of no other, in lower case
    phrases: tuple[tuple[str, str], ...] = ()  # of the templates' films → of this domain, in order
    words: Mapping[str, str] = field(default_factory=dict)  # of the films' rules → of this domain

    def adapt(self, template: str) -> str:
        """A template that speaks of films, for this domain."""
        for films, ours in self.phrases:
            template = template.replace(films, ours)
        return template

    def adapt_rule(self, pattern: str) -> str:
        """A regular expression about talk of films, for this domain; what is escaped stays."""
        return re.sub(r"(?<!\\)[a-z]+", lambda match: self.words.get(match.group(), match.group()), pattern)

    def is_foreign(self, text: str) -> bool:
        """Whether a text names items of another domain ("I saw the movie" among books). Rules and templates come from
        talk of films, so that nothing is foreign to films."""
        others = frozenset[str]().union(*(domain.signs for domain in DOMAINS if domain is not self))
        return self.name not in ("", "films") and bool(others & set(_WORD.findall(text.lower())))


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.split("=") for pair in text.split())


FILMS = Domain("films", "movies", _words("movie movies film films flick flicks filme filmen cinema kino"))
BOOKS = Domain(
    "books",
    "books",
    _words("book books novel novels buch bücher büchern roman romane romanen livre livres libro libros"),
    (("movies with", "books by"), ("movie", "book"), ("watch", "read"), ("seen", "read")),
    _pairs("movie=book movies=books film=novel flick=title watch=read watched=finished seen=read saw=read see=read"),
)
MUSIC = Domain(
    "music",
    "songs",
    _words("song songs album albums lieder chanson canción"),
    (("movies with", "songs by"), ("movie", "song"), ("watch", "listen to"), ("seen", "heard")),
    _pairs("movie=song movies=songs film=album flick=track watch=listen watched=played seen=heard saw=heard see=hear"),
)
GAMES = Domain(
    "games",
    "games",
    _words("game games spiel spiele jeu jeux juego juegos"),
    (("movies with", "games by"), ("movie", "game"), ("watch", "play"), ("seen", "played")),
    _pairs("movie=game movies=games film=title watch=play watched=finished seen=played saw=played see=play"),
)
DOMAINS = (FILMS, BOOKS, MUSIC, GAMES)
ANYTHING = Domain(
    "",
    "",
    frozenset(),
    (
        ("a movie like", "something like"),
        ("a good movie", "something good"),
        ("movies with", "anything with"),
        ("movie", "thing"),
        ("watch", "try"),
        ("seen", "tried"),
    ),
    _pairs("movie=thing movies=things film=idea watch=try watched=used seen=tried saw=tried see=try rent=buy"),
)


ATTRIBUTES = {
    **dict.fromkeys(("director", "star", "actor", "cast"), FILMS),
    **dict.fromkeys(("author", "authors", "isbn"), BOOKS),
    **dict.fromkeys(("artist", "album"), MUSIC),
    **dict.fromkeys(("developer", "platform"), GAMES),
}


def domain_of(texts: Iterable[str], attributes: Iterable[str] = ()) -> Domain:
    """The domain that texts name most often; where they hardly name one, the one that the items' ``attributes`` (their
    names) belong to; ``ANYTHING`` where those tell nothing either."""
    count = Counter(word for text in texts for word in _WORD.findall(text.lower()))
    named = {domain.name: sum(count[word] for word in domain.signs) for domain in DOMAINS}
    best = max(DOMAINS, key=lambda domain: named[domain.name])
    if named[best.name] >= FEWEST:
        return best
    hints = Counter(ATTRIBUTES[name].name for name in attributes if name in ATTRIBUTES)
    return next((domain for domain in DOMAINS if hints and domain.name == hints.most_common(1)[0][0]), ANYTHING)
