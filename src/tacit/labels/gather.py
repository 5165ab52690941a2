"""Rows of the log → what was observed of each turn, and of each item shown: sums and maxima only.

Counters are cumulative, so the largest value is the whole truth: lost, repeated, late and shuffled events change
nothing, or make a time shorter. ``None`` is not observed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import polars as pl

CLICKS, FOR, AGAINST = ("click", "expand", "copy"), ("accept", "more_like_this"), ("dismiss", "not_for_me")
EXPOSURE = ("exposure_id", "session_id", "user", "consent", "turn", "created_ms", "items", "positions")
DELIVERY = ("exposure_id", "session_id", "recv_ms", "state", "words")
EVENT = (
    "exposure_id", "session_id", "recv_ms", "kind", "item_id", "seq", "visible_ms", "scroll_depth", "censored",
    "value", "against", "device",
)  # fmt: skip
COLUMNS = {"exposures": EXPOSURE, "deliveries": DELIVERY, "events": EVENT}
REPORTS = (
    "visible_ms", "last", "scroll_depth", "clicked", "liked", "refused", "known", "replied", "accepted", "ended",
    "opinion", "device",
)  # fmt: skip
LEFT_OUT = ("without consent to training", "not delivered whole", "not mature yet")
_OF_TURN = ("exposure_id", "session_id", "user", "turn", "words", "device", "observed")


@dataclass(frozen=True)
class Log:
    """Some rows of the log, whole sessions of them; of each table at least the columns in ``COLUMNS``."""

    exposures: pl.DataFrame
    deliveries: pl.DataFrame
    events: pl.DataFrame


@dataclass(frozen=True)
class Observed:
    """What was observed, a row a turn and a row an item shown; why other exposures have none."""

    turns: pl.DataFrame
    items: pl.DataFrame
    left_out: Counter[str]


@dataclass(frozen=True)
class Span:
    """Which exposures get labels: made from ``first_ms`` and before ``end_ms``. What is known: rows up to ``as_of``."""

    first_ms: int
    end_ms: int
    as_of: int
    window_ms: int


def gather(log: Log, span: Span) -> Observed:
    """Of exposures that were delivered, are mature, and whose person agreed to training."""
    exposures = (
        log.exposures.lazy()
        .filter(pl.col("created_ms") <= span.as_of)
        .filter(pl.col("exposure_id").is_first_distinct())
    )
    deliveries = (
        log.deliveries.lazy().filter(pl.col("recv_ms") <= span.as_of).filter(pl.col("exposure_id").is_first_distinct())
    )
    events = log.events.lazy().filter(pl.col("recv_ms") <= span.as_of)
    asked = exposures.select("session_id", "turn", moment="created_ms")
    heard = events.select("session_id", pl.lit(None, pl.Int64).alias("turn"), moment="recv_ms")
    of_session = (
        pl.concat([asked, heard])
        .group_by("session_id")
        .agg(last_turn=pl.col("turn").max(), silent_ms=pl.col("moment").max())
    )
    shown = (
        exposures.filter(pl.col("created_ms").is_between(span.first_ms, span.end_ms, closed="left"))
        .join(deliveries.select("exposure_id", "state", "words"), on="exposure_id", how="left")
        .join(of_session, on="session_id", how="left")
    )
    return observed(shown.collect(), by_item(events).collect(), span)


def by_item(events: pl.LazyFrame) -> pl.LazyFrame:
    """What the events told of each (exposure, item), the whole reply under no item. Largest values only.

    ``last`` is twice the ``seq`` of the last report of a time, one more where that was a lower bound; ``opinion`` that
    of the last thumb or vote, one more where it was for it. A vote is one against the exposure beside it, too.
    """
    kind, seq, value = pl.col("kind"), pl.col("seq"), pl.col("value")
    other = events.filter((kind == "vote") & pl.col("against").is_not_null()).with_columns(
        exposure_id="against", value=-value, item_id=pl.lit(None, pl.String)
    )
    opinion = kind.is_in(("thumb", "vote")) & (value != 0)
    return (
        pl.concat([events, other])
        .with_columns(
            last=pl.when(pl.col("visible_ms").is_not_null()).then(2 * seq + pl.col("censored").cast(pl.Int64)),
            clicked=kind.is_in(CLICKS),
            liked=pl.when(kind.is_in(FOR)).then(seq),
            refused=pl.when(kind.is_in(AGAINST)).then(seq),
            known=kind == "seen_it",
            replied=kind == "reply",
            accepted=kind == "accept",
            ended=kind == "session_end",
            opinion=pl.when(opinion).then(2 * seq + (value > 0).cast(pl.Int64)),
        )
        .group_by("exposure_id", "item_id")
        .agg(pl.col(REPORTS).max())
    )


def observed(shown: pl.DataFrame, reports: pl.DataFrame, span: Span) -> Observed:
    """``shown``: exposures with ``state`` and ``words`` of their delivery, ``last_turn`` and ``silent_ms`` of their
    session; ``reports``: of ``by_item``."""
    agreed = pl.col("consent") == "train"
    delivered = pl.col("state").fill_null("undelivered") == "delivered"
    mature = pl.col("silent_ms") + span.window_ms <= span.as_of
    counts = shown.select(consent=(~agreed).sum(), whole=(agreed & ~delivered).sum(),
                          mature=(agreed & delivered & ~mature).sum())  # fmt: skip
    kept = shown.lazy().filter(agreed & delivered & mature).sort("exposure_id")
    turns = _turns(kept, reports.lazy()).collect()
    items = _items(turns.lazy(), reports.lazy()).collect()
    turns = turns.drop("items", "positions")
    return Observed(turns, items, Counter(dict(zip(LEFT_OUT, map(int, counts.row(0)), strict=True))))


def _turns(shown: pl.LazyFrame, reports: pl.LazyFrame) -> pl.LazyFrame:
    """The time of the reply as a whole, else of its longest item."""
    of_whole = pl.col("item_id").is_null()
    parts = reports.group_by("exposure_id").agg(
        pl.col("clicked", "replied", "accepted", "ended").any(),
        pl.col("opinion", "device").max(),
        scroll_depth=pl.col("scroll_depth").filter(of_whole).max(),
        whole_ms=pl.col("visible_ms").filter(of_whole).max(),
        whole_last=pl.col("last").filter(of_whole).max(),
        part_ms=pl.col("visible_ms").max(),
        part_censored=(pl.col("last") % 2 == 1).any(),
        refused_items=(pl.col("refused").is_not_null() & ~of_whole).sum().cast(pl.Int64),
    )
    from_whole = pl.col("whole_ms").is_not_null()
    return (
        shown.join(parts, on="exposure_id", how="left", maintain_order="left")
        .with_columns(
            pl.col("clicked", "replied", "accepted", "ended").fill_null(False),
            size=pl.col("items").list.len().cast(pl.Int64),
            observed=pl.col("part_censored").is_not_null(),
            visible_ms=pl.coalesce("whole_ms", "part_ms"),
            censored=pl.when(from_whole).then(pl.col("whole_last") % 2 == 1).otherwise("part_censored"),
        )
        .with_columns(
            went_on=(pl.col("last_turn") > pl.col("turn")) | pl.col("replied"),
            refused=(pl.col("size") > 0) & (pl.col("refused_items") >= pl.col("size")).fill_null(False),
            opinion=pl.col("opinion") % 2 == 1,
        )
        .select(*_OF_TURN, "size", "visible_ms", "censored", "scroll_depth", "clicked", "went_on", "accepted",
                "refused", "ended", "opinion", "items", "positions")
    )  # fmt: skip


def _items(turns: pl.LazyFrame, reports: pl.LazyFrame) -> pl.LazyFrame:
    """Seen: a time above 0 was reported, or something was done to it. The last word on it counts. A reply of one item
    that was accepted as a whole was accepted for it; of several nobody knows which, and none is."""
    whole = reports.filter(pl.col("item_id").is_null()).select("exposure_id", of_whole="liked")
    spoken = pl.col("liked").is_not_null() | pl.col("refused").is_not_null()
    touched = pl.col("clicked") | pl.col("known") | spoken
    return (
        turns.select(*_OF_TURN, "size", item_id="items", position="positions")
        .filter(pl.col("item_id").list.len() > 0)
        .with_row_index("number")
        .explode("item_id", "position")
        .sort("number", "position")
        .join(reports.drop("device"), on=["exposure_id", "item_id"], how="left", maintain_order="left")
        .join(whole, on="exposure_id", how="left", maintain_order="left")
        .with_columns(liked=pl.max_horizontal("liked", pl.when(pl.col("size") == 1).then("of_whole")))
        .with_columns(
            pl.col("clicked", "known").fill_null(False),
            censored=pl.col("last") % 2 == 1,
            said=pl.when(spoken).then(pl.col("liked").fill_null(-1) > pl.col("refused").fill_null(-1)),
        )
        .with_columns(seen=pl.when("observed").then((pl.col("visible_ms").fill_null(0) > 0) | touched))
        .select(*_OF_TURN, "item_id", "position", "visible_ms", "censored", "clicked", "said", "known", "seen")
    )
