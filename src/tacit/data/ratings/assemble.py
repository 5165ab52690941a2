"""From interactions whose users and items are still ids to ``Ratings``, whose users and items are rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from tacit.data.ratings.table import COLUMNS, Ratings
from tacit.types import InputError, Item, ItemId


def assemble(
    name: str,
    events: pl.DataFrame,
    users: Sequence[str],
    items: Sequence[Item],
    positive_above: float,
    *,
    profiles: Mapping[str, str] | None = None,
    domain: str = "movies",
    descriptions: Mapping[ItemId, str] | None = None,
) -> Ratings:
    """Number users and items in the order given here, and leave out those without a rating.

    ``events`` has the String columns ``user`` and ``item``, the column ``rating``, and ``time`` and ``rank`` where they
    are known, one row an interaction in file order. Events of items that ``items`` lacks are left out. ``profiles``
    and ``descriptions`` are by user and item id.
    """
    known = events.filter(pl.col("item").is_in([item.id for item in items]))
    if known.is_empty():
        raise InputError(f"{name}: no rating is of a known item: give the ratings and the items of one data set.")
    rated, active = set(known["item"].unique()), set(known["user"].unique())
    kept_items = tuple(item for item in items if item.id in rated)
    kept_users = tuple(user for user in users if user in active)
    unknown = [pl.lit(None).alias(column) for column in ("time", "rank") if column not in known.columns]
    frame = known.with_columns(
        pl.col("user").cast(pl.Enum(kept_users)).to_physical(),
        pl.col("item").cast(pl.Enum([item.id for item in kept_items])).to_physical(),
        *unknown,
    )
    texts, told = profiles or {}, descriptions or {}
    return Ratings(
        name=name,
        frame=frame.select(pl.col(column).cast(kind) for column, kind in COLUMNS.items()),
        users=kept_users,
        items=kept_items,
        profiles=tuple(texts.get(user, "") for user in kept_users),
        positive_above=positive_above,
        domain=domain,
        descriptions={item.id: told[item.id] for item in kept_items if item.id in told},
    )
