"""From a title and facts to a catalogue item: one wording for every source."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

from tacit.types import Item, ItemId

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<!--.*?-->", re.DOTALL)
_SCRIPT = re.compile(r"getTime\(|<script\b|<style\b", re.IGNORECASE)
_YEAR = re.compile(r"\((\d{4})\)\s*$")


def make_item(id: ItemId, title: str, facts: Mapping[str, Any] | None = None) -> Item:
    """The text an encoder reads: ``Title (year). Genres. Directed by. Starring. Plot``, parts absent when unknown.

    ``facts`` may hold lists ``genre``, ``director``, ``star`` (or ``actor``), ``writer`` and strings ``year``,
    ``plot``, ``name``. Attributes are the same lists in lower case.
    """
    facts = facts or {}
    named = {key: _names(facts.get(key)) for key in ("genre", "director", "star", "writer")}
    named["star"] = named["star"] or _names(facts.get("actor"))
    found = _YEAR.search(title)
    year = found.group(1) if found else str(facts.get("year") or "")
    if not year and (other := _YEAR.search(str(facts.get("name") or ""))):
        year = other.group(1)
    heading = f"{title} ({year})" if year and not found else title
    people = [
        f"{verb} {', '.join(named[key])}"
        for key, verb in (("director", "Directed by"), ("star", "Starring"), ("writer", "Written by"))
        if named[key] and (key != "writer" or not named["director"])
    ]
    parts = [heading, _sentence(", ".join(named["genre"])), *people]
    text = ". ".join(part.rstrip(".") for part in parts if part) + "."
    attributes = {key: tuple(value.lower() for value in values) for key, values in named.items() if values}
    if year:
        attributes["year"] = (year,)
    return Item(id, title, f"{text} {str(facts.get('plot') or '').strip()}".strip(), attributes)


def without_markup(title: str) -> str:
    """A title as people read it: entities such as ``&amp;`` resolved, tags left out; "" where a script stands."""
    if "&" not in title and "<" not in title and "getTime" not in title:
        return title
    for _ in range(2):  # some were escaped twice
        title = _ENTITY.sub(lambda entity: html.unescape(entity.group()), title)
    if _SCRIPT.search(title):
        return ""
    return " ".join(_TAG.sub(" ", title).split())


def _names(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else []
    return tuple(dict.fromkeys(str(name).strip() for name in values if str(name).strip()))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
