"""Ratings: who gave which item how many stars, when; the raw material of system B."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from tacit.types import Item

COLUMNS = {
    "user": pl.Int32,  # row of ``Ratings.users``
    "item": pl.Int32,  # row of ``Ratings.items``
    "rating": pl.Float32,
    "time": pl.Int64,  # Unix seconds, null where unknown
    "rank": pl.Int32,  # place in the user's own true order, from 1; null where unknown
}


@dataclass(frozen=True)
class Ratings:
    """Interactions in file order, and what is known of users and items.

    ``frame`` has the columns ``COLUMNS``, one row an interaction, in the order of the file. ``items`` holds every item
    with at least one rating, in the order of the metadata file. ``profiles[u]`` is a sentence about user ``u`` for
    prompts ("" when nothing is known). A rating above ``positive_above`` is a positive label. ``domain`` (movies or
    books) names the factors that prompts ask for. ``descriptions`` maps item ids to longer texts, where there are any.
    """

    name: str
    frame: pl.DataFrame
    users: tuple[str, ...]
    items: tuple[Item, ...]
    profiles: tuple[str, ...]
    positive_above: float
    domain: str = "movies"
    descriptions: Mapping[str, str] = field(default_factory=dict)
