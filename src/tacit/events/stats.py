"""What the log holds, counted: from the store, or, for a large log, from its Parquet export (``duck``, or here)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from tacit.events.export import scan
from tacit.events.rows import STREAMS, batches
from tacit.events.store import Store

ROWS = 100_000  # read from a store at a time
# What counting needs: a store's rows are all held in memory.
_NEEDED = {
    "exposures": [
        "exposure_id", "session_id", "user", "created_ms", "policy_version", "bucket", "deterministic", "decision",
        "items",
    ],
    "deliveries": ["exposure_id", "state"],
    "events": ["row", "exposure_id", "session_id", "item_id", "kind", "seq", "visible_ms", "censored"],
}  # fmt: skip

Tables = dict[str, pl.LazyFrame]


def of_store(store: Store) -> Tables:
    return {name: _collected(store, name, columns).lazy() for name, columns in _NEEDED.items()}


def of_export(folder: Path) -> Tables:
    return {name: scan(folder, name) for name in STREAMS}


@dataclass(frozen=True)
class Stats:
    """Counts; shares from 0 to 1, None of nothing. Medians are over what was observed to its end."""

    exposures: int
    sessions: int
    users: int
    first_day: str | None
    last_day: str | None
    policies: dict[str, int]  # exposures by policy version
    delivered: int
    undelivered: int  # partly, not, or not known
    recommending: int
    explored: int  # exposures in the explore bucket
    deterministic: int  # of which off-policy evaluation can learn nothing
    items_shown: int
    observed: int  # exposures with any event
    events: int
    kinds: dict[str, int]
    lost: int  # numbers that a session's events skipped
    items_seen: int  # items of an exposure that were visible for some time
    median_visible_s: float | None  # of them, where the time is not censored
    censored: int

    def lines(self) -> Iterator[str]:
        """Sentences for a person."""
        span = f", {self.first_day} to {self.last_day}" if self.first_day else ""
        yield f"{self.exposures:,} exposures in {self.sessions:,} sessions of {self.users:,} users{span}"
        yield f"delivered: {_of(self.delivered, self.exposures)}; not, in part, or not known: {self.undelivered:,}"
        yield f"that recommend: {_of(self.recommending, self.exposures)}, {self.items_shown:,} items shown"
        yield f"in the explore bucket: {_of(self.explored, self.exposures)}"
        yield f"deterministic, of no use to off-policy evaluation: {_of(self.deterministic, self.exposures)}"
        for version, count in self.policies.items():
            yield f"policy {version}: {_of(count, self.exposures)}"
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in self.kinds.items()) or "none"
        yield f"{self.events:,} events: {kinds}"
        yield f"exposures with any event: {_of(self.observed, self.exposures)}; events lost on the way: {self.lost:,}"
        median = "none" if self.median_visible_s is None else f"{self.median_visible_s:.1f} s"
        censored = _of(self.censored, self.items_seen)
        yield f"items seen: {self.items_seen:,}, median time in view {median}, censored {censored}"


def stats(tables: Tables) -> Stats:
    shown, delivered, events = (tables[name].select(columns) for name, columns in _NEEDED.items())
    one = shown.select(
        pl.len().alias("exposures"),
        pl.col("session_id").n_unique().alias("sessions"),
        pl.col("user").n_unique().alias("users"),
        pl.col("created_ms").min().alias("first"),
        pl.col("created_ms").max().alias("last"),
        (pl.col("decision") == "recommend").sum().alias("recommending"),
        (pl.col("bucket") == "explore").sum().alias("explored"),
        pl.col("deterministic").sum(),
        pl.col("items").list.len().sum().alias("items_shown"),
    ).collect()
    row = one.row(0, named=True)
    arrived = delivered.filter(pl.col("state") == "delivered").select(pl.col("exposure_id").n_unique()).collect().item()
    kinds = _counts(events, "kind")
    seqs = events.group_by("session_id").agg(pl.col("seq").max() - pl.col("seq").min() + 1 - pl.col("seq").n_unique())
    seen = _seen(events)
    exact = seen.filter(~pl.col("censored"))["visible_ms"]
    return Stats(
        exposures=row["exposures"],
        sessions=row["sessions"],
        users=row["users"],
        first_day=day(row["first"]),
        last_day=day(row["last"]),
        policies=_counts(shown, "policy_version"),
        delivered=arrived,
        undelivered=row["exposures"] - arrived,
        recommending=row["recommending"],
        explored=row["explored"],
        deterministic=row["deterministic"],
        items_shown=int(row["items_shown"]),
        observed=events.select(pl.col("exposure_id").n_unique()).collect().item(),
        events=sum(kinds.values()),
        kinds=kinds,
        lost=int(seqs.select(pl.col("seq").sum()).collect().item()),
        items_seen=seen.height,
        median_visible_s=float(exact.median()) / 1000 if exact.len() else None,  # type: ignore[arg-type]
        censored=int(seen["censored"].sum()),
    )


def _seen(events: pl.LazyFrame) -> pl.DataFrame:
    """A row an item of an exposure with time in view: the largest time, and what the last report says of its end."""
    timed = events.filter(pl.col("item_id").is_not_null() & pl.col("visible_ms").is_not_null())
    by_item = timed.sort("seq", "row").group_by("exposure_id", "item_id")
    largest = by_item.agg(pl.col("visible_ms").max(), pl.col("censored").last().fill_null(True))
    return largest.filter(pl.col("visible_ms") > 0).collect()


def _counts(frame: pl.LazyFrame, column: str) -> dict[str, int]:
    """By value, the most frequent first."""
    counts = frame.group_by(column).len().sort("len", column, descending=[True, False]).collect()
    return dict(zip(counts[column].to_list(), counts["len"].to_list(), strict=True))


def _collected(store: Store, name: str, columns: list[str]) -> pl.DataFrame:
    frames = [frame.select(columns) for frame in batches(store, name, 0, ROWS)]
    return pl.concat(frames) if frames else pl.DataFrame(schema=STREAMS[name].columns).select(columns)


def day(moment_ms: int | None) -> str | None:
    return None if moment_ms is None else datetime.fromtimestamp(moment_ms / 1000, UTC).date().isoformat()


def _of(part: int, whole: int) -> str:
    return f"{part:,} ({part / whole:.1%})" if whole else f"{part:,}"
