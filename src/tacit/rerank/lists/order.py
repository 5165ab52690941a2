"""Which of a user's interactions came first: the rules a data set allows, and what each leaves to the file's order.

The rule is part of the protocol. KAR sorts MovieLens by local calendar day (preprocess_ml-1m.py, lines 35 and 138), so
that the interactions of one evening stand in the order of the file, which is not the order of watching.
"""

from __future__ import annotations

from typing import Literal, get_args

import polars as pl

from tacit.types import InputError

Rule = Literal["rank", "second", "day", "file"]
Sort = Literal["auto", Rule]
RULES: tuple[Rule, ...] = get_args(Rule)  # the best first


def possible_rules(frame: pl.DataFrame) -> tuple[Rule, ...]:
    """The rules that the columns of ``Ratings.frame`` allow: ``rank`` if ranks are known, the others need every time.

    An interaction without a rank among others that have one comes last, in the order of the file.
    """
    timed = frame["time"].null_count() == 0
    allowed = {"rank": frame["rank"].null_count() < len(frame), "second": timed, "day": timed, "file": True}
    return tuple(rule for rule in RULES if allowed[rule])


def choose_rule(frame: pl.DataFrame, sort: Sort) -> Rule:
    """``auto`` takes the true order, by rank or by second; any other rule is taken if the data allow it."""
    allowed = possible_rules(frame)
    if sort == "auto":
        if allowed[0] in ("rank", "second"):
            return allowed[0]
        raise InputError("The ratings have neither ranks nor a time each: add one, or set lists.sort=file.")
    if sort not in RULES:
        raise InputError(f"lists.sort is {sort!r}: choose one of auto, {', '.join(RULES)}.")
    if sort not in allowed:
        raise InputError(f"lists.sort={sort} needs what these ratings lack: choose one of auto, {', '.join(allowed)}.")
    return sort


def in_order(frame: pl.DataFrame, rule: str, timezone: str) -> pl.DataFrame:
    """The interactions by user, oldest first, equal ones in file order; column ``key`` is what they are sorted by."""
    try:
        keyed = frame.with_columns(_key(rule, timezone).alias("key"))
    except pl.exceptions.ComputeError as error:
        raise InputError(f"lists.timezone is {timezone!r}: give a name such as Asia/Shanghai or UTC.") from error
    return keyed.sort("user", "key", nulls_last=True, maintain_order=True)


def _key(rule: str, timezone: str) -> pl.Expr:
    if rule == "rank":
        return pl.col("rank")
    if rule == "second":
        return pl.col("time")
    if rule == "day":
        moment = pl.from_epoch("time", time_unit="s").dt.replace_time_zone("UTC")
        return moment.dt.convert_time_zone(timezone).dt.date()
    return pl.lit(0)


def tied_share(ordered: pl.DataFrame) -> float:
    """Share in [0, 1] of interactions with an equal neighbour in their user's order: the file decided their place."""
    same = (pl.col("key").eq_missing(pl.col("key").shift())) & (pl.col("user") == pl.col("user").shift())
    with_last = ordered.select(same.fill_null(False)).to_series()
    with_next = with_last.shift(-1, fill_value=False)
    return float((with_last | with_next).cast(pl.Int64).sum()) / max(len(ordered), 1)
