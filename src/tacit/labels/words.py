"""What people's words say of a turn: whether it pleased them, and whether it met what they had asked for.

Words are in the log alone, and for as long as they are kept there. Titles and genre words are masked before a sentiment
is read off a text ("Terrible Bosses", "a war movie"); turns whose words are gone have neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl
from torch import Tensor

from tacit.catalog import Catalog
from tacit.events.schema import Exposure
from tacit.events.sessions import exchanges
from tacit.events.store import Record, Store, sessions
from tacit.text.sentiment import Sentiment, genre_words, mask_genres, mask_titles
from tacit.types import Floats64

QUERY = 4  # utterances, the last ones, that make a query
CHUNK = 256  # sessions that are read together


class Encoder(Protocol):
    def encode(self, texts: Sequence[str]) -> Tensor: ...


@dataclass(frozen=True)
class Words:
    """``turns``: exposure_id, sentiment_delta, relevance; ``items``: exposure_id, item_id, relevance. ``source`` names
    what made them, for ``label_fn``."""

    turns: pl.DataFrame
    items: pl.DataFrame
    source: str


@dataclass(frozen=True)
class _Asked:
    exposure: Exposure
    before: tuple[str, ...]  # what the person had said, the last at the end
    after: str  # what they said next; "" where nothing


def read_words(
    store: Store, catalog: Catalog, encoder: Encoder, encoder_id: str, sentiment: Sentiment, as_of: int
) -> Words:
    """Of those who agree to training, up to ``as_of``."""
    genres = genre_words(catalog)
    turns, items = list[tuple[str, float | None, float | None]](), list[tuple[str, str, float]]()
    for part in _chunks(store, as_of):
        texts = list(dict.fromkeys(text for one in part for text in (*one.before, one.after) if text))
        felt = dict(zip(texts, sentiment([mask_genres(mask_titles(t, catalog), genres) for t in texts]), strict=True))
        vectors = dict(zip(texts, _vectors(encoder, texts), strict=True))
        names = list(dict.fromkeys(item for one in part for item in _shown(one, catalog)))
        of_item = dict(zip(names, _vectors(encoder, [catalog[name].text for name in names]), strict=True))
        for one in part:
            name, shown = one.exposure.exposure_id, _shown(one, catalog)
            met = None
            if shown and one.before:
                query = np.mean([vectors[text] for text in one.before[-QUERY:]], axis=0)
                cosines = cosine(query, np.stack([of_item[item] for item in shown]))
                met = float(cosines.mean())
                items += [(name, item, float(c)) for item, c in zip(shown, cosines, strict=True)]
            turns.append((name, shift([felt[text] for text in one.before], felt.get(one.after)), met))
    columns = {"exposure_id": pl.String, "sentiment_delta": pl.Float64, "relevance": pl.Float64}
    of_items = {"exposure_id": pl.String, "item_id": pl.String, "relevance": pl.Float64}
    return Words(
        pl.DataFrame(turns, schema=columns, orient="row"),
        pl.DataFrame(items, schema=of_items, orient="row"),
        f"{sentiment.id}, {encoder_id}",
    )


def _shown(one: _Asked, catalog: Catalog) -> list[str]:
    return [shown.item_id for shown in one.exposure.items if shown.item_id in catalog]


def _vectors(encoder: Encoder, texts: Sequence[str]) -> Floats64:
    return np.asarray(encoder.encode(texts).double().cpu().numpy()) if texts else np.zeros((0, 1))


def shift(before: Sequence[float], after: float | None) -> float | None:
    """Sentiment of what was said next minus the mean of what had been said, [-2, 2]; None where either is missing."""
    return None if after is None or not before else after - sum(before) / len(before)


def cosine(query: Floats64, items: Floats64) -> Floats64:
    """Of [d] with each of [K, d]: [K] in [-1, 1]; 0 for a vector of zeros."""
    norms = np.linalg.norm(query) * np.linalg.norm(items, axis=1)
    return np.asarray(items @ query / np.maximum(norms, 1e-12))


def _chunks(store: Store, as_of: int) -> Iterator[list[_Asked]]:
    part = list[_Asked]()
    for number, session in enumerate(sessions(store, "train"), start=1):
        known = [record for record in session if record.exposure.created_ms <= as_of]
        if all(record.words is not None for record in known):
            part += _of_session(known)
        if number % CHUNK == 0:
            yield part
            part = []
    yield part


def _of_session(session: Sequence[Record]) -> Iterator[_Asked]:
    talk = exchanges(session)
    for place, exchange in enumerate(talk):
        before = tuple(one.asked for one in talk[: place + 1] if one.asked)
        after = talk[place + 1].asked if place + 1 < len(talk) else ""
        for answer in exchange.answers:
            yield _Asked(answer.exposure, before, after)
