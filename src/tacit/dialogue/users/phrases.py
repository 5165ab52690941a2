"""How the users of some data talk: their language, what they talk of, and how their sentences are sorted by intent.

English talk of films is built in, and adapted where items are books, songs or games. In another language sentences are
sorted by what happened around them (``events``), unless a file (``users.phrases``; ``german.yaml`` is one) says by
which words:

    language: German
    domain: books                 # films | books | music | games
    intents:                      # regular expressions, case ignored; the first that matches names the intent
      accept: '\\b(lese ich|nehme ich|bestell)'
    templates:                    # said where the data has fewer than three sentences of a kind
      open: ["Ich suche ein Buch wie {title}.", "Können Sie mir ein Buch empfehlen?"]
    genres: {krimi: Krimis}       # a genre → its plural
    unsure: Ich weiß nicht.       # said where every other sentence would give a hidden item away
    puzzled: Das verstehe ich nicht.  # said to a reply that is no language
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from tacit.catalog import Catalog
from tacit.dialogue.users.domains import ANYTHING, DOMAINS, FILMS, Domain, domain_of
from tacit.dialogue.users.speech import (
    FILM_GENRES,
    FILM_RULES,
    GENRE_KEYS,
    SLOTS,
    TEMPLATES,
    GenreWords,
    Rules,
    Voice,
    slots_of,
)
from tacit.languages import Detected, language_of
from tacit.types import Dialogue, InputError

INTENTS = tuple(TEMPLATES)
INTENT_MOOD = {
    **dict.fromkeys(("open", "seen", "ask", "more", "bye"), "neutral"),
    **dict.fromkeys(("prefer", "praise", "accept", "thanks"), "positive"),
    **dict.fromkeys(("dislike", "critique"), "negative"),
}
# For a language that nothing is known of.
SIGNS: Mapping[str, tuple[str, ...]] = {
    "open": ("{title}?", "{genre}?", "{genres}?", "…?"),
    "prefer": ("{title}!", "{genre}!", "{genres}!", "{person}!", "…"),
    "dislike": ("{title} :-(", "{genre} :-(", "{genres} :-(", ":-("),
    "critique": ("{title} :-(", "{genre} :-(", "{genres} :-(", ":-("),
    "seen": ("{title} …", "…"),
    "ask": ("{title}?", "?"),
    "more": ("{genre}?", "{genres}?", "…?"),
    "praise": ("{title} :-)", ":-)"),
    "accept": ("{title}! :-)", "OK! :-)"),
    "thanks": (":-)",),
    "bye": ("…",),
}
_KEYS = ("language", "domain", "intents", "templates", "genres", "unsure", "puzzled")
_EXAMPLE = "docs/data.md has an example"
BUILT_IN = {"german": Path(__file__).with_name("german.yaml")}  # of books


@dataclass(frozen=True)
class Phrases:
    """``rules`` None: sentences are sorted by events. ``detected`` is the language of the users' messages."""

    detected: Detected
    language: str
    domain: Domain
    rules: Rules | None
    templates: Mapping[str, tuple[str, ...]]
    genres: GenreWords
    voice: Voice
    from_file: bool = False

    @property
    def english(self) -> bool:
        return self.language == "English"

    @classmethod
    def of(cls, catalog: Catalog, train: Sequence[Dialogue], file: str = "") -> Phrases:
        """From the training dialogues, and the ``file`` where one is given."""
        given = _read(BUILT_IN.get(file, Path(file))) if file else {}
        detected = language_of(turn.text for dialogue in train for turn in dialogue.turns if turn.speaker == "user")
        language = given.get("language", detected.name)
        named = {domain.name: domain for domain in DOMAINS}.get(given.get("domain", ""))
        domain = named or domain_of(
            (turn.text for dialogue in train for turn in dialogue.turns),
            (name for item in catalog.items for name in item.attributes),
        )
        if language == "English":
            rules, templates = _film_rules(domain), {k: tuple(map(domain.adapt, v)) for k, v in TEMPLATES.items()}
            voice = Voice(nouns=domain.nouns)
        else:
            rules, templates = None, dict(SIGNS)
            voice = Voice(nouns="", unsure="…", plurals={}, puzzled="???", capital_genres=language == "German")
        plurals = {genre.lower(): form for genre, form in given.get("genres", {}).items()}
        voice = replace(
            voice,
            unsure=given.get("unsure", voice.unsure),
            puzzled=given.get("puzzled", voice.puzzled),
            plurals={**voice.plurals, **plurals},
        )
        builtin = language == "English" and domain is FILMS and not plurals
        return cls(
            detected,
            language,
            domain,
            _compiled(given["intents"]) if "intents" in given else rules,
            {**templates, **_with_plain_line(given.get("templates", {}), templates)},
            FILM_GENRES if builtin else _catalogue_genres(catalog, domain, language, plurals),
            voice,
            bool(file),
        )

    def remarks(self, sentiment: str) -> list[str]:
        """What the user of this data should know before anything is trained, a sentence each."""
        said = []
        if not self.detected.is_english:
            name = self.detected.name or "neither English nor another language known here"
            found = f"{self.detected.share:.0%} of their words are function words of it, " if self.detected.name else ""
            said.append(
                f"The users' messages look {name} ({found}{self.detected.english:.0%} English ones): "
                + ("simulated users speak by users.phrases." if self.from_file else _BY_EVENTS)
            )
            if sentiment == "vader":
                said.append(
                    "signals.sentiment=vader reads English alone, so the sentiment of these messages means little: set "
                    "signals.sentiment=<classifier> to a hub name or folder that reads them, or signals.gamma=0."
                )
        elif self.domain is ANYTHING and not self.from_file:
            said.append(
                "The dialogues name neither films nor books, songs or games: simulated users speak of their items as "
                f"things, beside the lines of your data; users.phrases=FILE gives them words ({_EXAMPLE})."
            )
        return said


_BY_EVENTS = (
    "simulated users speak lines of your data, sorted by what happened around them, and bare titles, genres and signs "
    f"where it has too few; users.phrases=FILE sorts them by words and adds templates ({_EXAMPLE})."
)


def _film_rules(domain: Domain) -> Rules:
    if domain is FILMS:
        return FILM_RULES
    return tuple((intent, re.compile(domain.adapt_rule(rule.pattern), rule.flags)) for intent, rule in FILM_RULES)


def _compiled(intents: Mapping[str, str]) -> Rules:
    return tuple((intent, re.compile(pattern, re.I)) for intent, pattern in intents.items())


def _with_plain_line(
    given: Mapping[str, Sequence[str]], usual: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """The given templates; an intent must have a line without slots, else it takes the usual one."""
    whole = {}
    for intent, lines in given.items():
        plain = () if any(not slots_of(line) for line in lines) else [t for t in usual[intent] if not slots_of(t)]
        whole[intent] = (*lines, *plain)
    return whole


def _catalogue_genres(catalog: Catalog, domain: Domain, language: str, plurals: Mapping[str, str]) -> GenreWords:
    """Genre words as the catalogue's attributes name them, and their plurals."""
    genres = {g for item in catalog.items for key in GENRE_KEYS for g in item.attributes.get(key, ())} - {""}
    many = {form.lower() for form in plurals.values()}
    if language == "English":
        many |= {f"{genre[:-1]}ies" if genre.endswith("y") else f"{genre}s" for genre in genres}
    nouns = domain.signs if language == "English" else frozenset[str]()
    return GenreWords.of(genres | set(plurals) | many, many - genres, nouns)


def _read(path: Path) -> dict[str, Any]:
    """A phrase file, checked; ``InputError`` names the file, the key and the remedy."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"users.phrases: {path} cannot be read ({error.strerror}): give a YAML file, or {' or '.join(BUILT_IN)}."
        ) from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"users.phrases: {path} is no YAML in UTF-8 ({reason}): {_EXAMPLE}.") from None
    if not isinstance(content, dict) or not set(content) <= set(_KEYS):
        wrong = "" if not isinstance(content, dict) else f" not {sorted(map(str, set(content) - set(_KEYS)))[0]!r}"
        raise InputError(f"users.phrases: {path} must hold the keys {', '.join(_KEYS)},{wrong}: {_EXAMPLE}.")
    for key, check in (("intents", _check_intent), ("templates", _check_templates), ("genres", _check_genre)):
        section = content.get(key, {})
        if not isinstance(section, dict):
            raise InputError(f"users.phrases: {path}: {key} must be a mapping: {_EXAMPLE}.")
        for name, value in section.items():
            reason = check(name, value)
            if reason:
                raise InputError(f"users.phrases: {path}: {key}.{name} {reason}.")
    for key in ("language", "unsure", "puzzled", "domain"):
        if key in content and (not isinstance(content[key], str) or not content[key].strip()):
            raise InputError(f"users.phrases: {path}: {key} must be a text.")
    names = [domain.name for domain in DOMAINS]
    if "domain" in content and content["domain"] not in names:
        raise InputError(f"users.phrases: {path}: domain must be one of {', '.join(names)}, or be left out.")
    return content


def _check_intent(name: object, pattern: object) -> str:
    if name not in INTENTS:
        return f"is no intent: choose among {', '.join(INTENTS)}"
    if not isinstance(pattern, str):
        return "must be a regular expression in quotes"
    try:
        re.compile(pattern)
    except re.error as error:
        return f"is no regular expression ({error}): mend the pattern"
    return ""


def _check_templates(name: object, lines: object) -> str:
    if name not in INTENTS:
        return f"is no intent: choose among {', '.join(INTENTS)}"
    if not isinstance(lines, list) or not lines or not all(isinstance(line, str) and line.strip() for line in lines):
        return "must be a list of sentences"
    slots = {slot for line in lines for slot in re.findall(r"\{(.*?)\}", line)} - set(SLOTS)
    return f"has the slot {{{min(slots)}}}: choose among {', '.join(SLOTS)}" if slots else ""


def _check_genre(name: object, form: object) -> str:
    return "" if isinstance(name, str) and isinstance(form, str) else "must be a genre and its plural, both text"
