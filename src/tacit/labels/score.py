"""What was observed, and the constants → label rows. One row's label depends on that row and the constants alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from tacit.labels.constants import Constants, Dwell
from tacit.labels.dwell import Columns, coded, columns, quantile
from tacit.labels.visibility import stands_for
from tacit.types import Bools, Floats64

COLUMNS: dict[str, pl.DataType] = {
    "exposure_id": pl.String(), "item_id": pl.String(), "position": pl.Int64(), "session_id": pl.String(),
    "user": pl.String(), "label_fn": pl.String(), "as_of": pl.Int64(), "window_s": pl.Float64(),
    "engagement": pl.Float64(), "sentiment_delta": pl.Float64(), "relevance": pl.Float64(), "reward": pl.Float64(),
    "weight": pl.Float64(), "censored": pl.Boolean(), "flags": pl.String(),
}  # fmt: skip
DIGITS = 6  # of every number of a label: what may differ between processors stands behind them
FLAGS = (
    "no_events", "not_seen", "skipped", "short_dwell", "not_clicked", "refused", "already_seen", "opinion_against",
    "left", "words_worse", "censored", "capped",
)  # fmt: skip


def label_items(items: pl.DataFrame, constants: Constants, accounts: pl.DataFrame, as_of: int) -> pl.DataFrame:
    """Of ``gather.Observed.items``: a row each. What was not seen has no engagement and the weight 0.

    ``accounts``: (user, sessions) of ``accounts.above_cap``. A time that is a lower bound counts as that bound, so that
    the engagement is one too, and ``censored`` says so.
    """
    settings = constants.settings
    rows, given = _with_share(items, accounts, settings.sessions_per_account, constants.item_dwell)
    seen, observed, clicked = given["seen"] == 1.0, given["observed"] == 1.0, given["clicked"] == 1.0
    dwell, exact, censored = _dwell(given, "position", constants.item_dwell)
    short = given["visible_ms"] < (constants.skip_ms or 0.0)
    dwell = np.where(short & np.isfinite(dwell), 0.0, dwell)  # of a lower bound, too: it may have been a skip
    engagement = mean_of_observed([dwell, clicked * 1.0, given["said"]], settings.item_parts)
    flags = {
        "no_events": ~observed,
        "not_seen": observed & ~seen,
        "skipped": seen & exact & short,
        "short_dwell": seen & exact & (dwell < 0.5),
        "not_clicked": seen & ~clicked,
        "refused": given["said"] == 0.0,
        "already_seen": given["known"] == 1.0,
        "censored": censored & seen,
        "capped": given["share"] < 1.0,
    }
    numbers = {
        "engagement": np.where(seen, engagement, np.nan),
        "sentiment_delta": np.full(len(seen), np.nan),  # a shift of sentiment is the turn's, not an item's
        "relevance": given.get("relevance", np.full(len(seen), np.nan)),
        "weight": given["share"] * stands_for(given, constants.visibility, settings.visibility_cap),
    }
    return _rows(rows, numbers, flags, constants, as_of)


def label_turns(turns: pl.DataFrame, constants: Constants, accounts: pl.DataFrame, as_of: int) -> pl.DataFrame:
    """Of ``gather.Observed.turns``: a row each, without item and position."""
    settings = constants.settings
    rows, given = _with_share(turns, accounts, settings.sessions_per_account, constants.turn_dwell)
    observed, opinion = given["observed"] == 1.0, given["opinion"]
    dwell, exact, censored = _dwell(given, "size", constants.turn_dwell)
    clicked = np.where(observed & (given["size"] > 0), given["clicked"], np.nan)
    accepted, refused = given["accepted"] == 1.0, given["refused"] == 1.0
    stayed = np.where((given["went_on"] == 1.0) | accepted, 1.0, np.where(given["ended"] == 1.0, 0.0, np.nan))
    said = np.where(accepted, 1.0, np.where(np.isfinite(opinion), opinion, np.where(refused, 0.0, np.nan)))
    engagement = mean_of_observed([dwell, given["scroll_depth"], clicked, stayed, said], settings.turn_parts)
    shift = given.get("sentiment_delta", np.full(len(observed), np.nan))
    flags = {
        "no_events": ~observed,
        "short_dwell": exact & (dwell < 0.5),
        "not_clicked": clicked == 0.0,
        "refused": refused & (said == 0.0),
        "opinion_against": opinion == 0.0,
        "left": stayed == 0.0,
        "words_worse": shift < 0.0,
        "censored": censored,
        "capped": given["share"] < 1.0,
    }
    numbers = {
        "engagement": np.where(observed, engagement, np.nan),
        "sentiment_delta": shift,
        "relevance": given.get("relevance", np.full(len(observed), np.nan)),
        "weight": given["share"],
    }
    no_item = rows.with_columns(item_id=pl.lit(None, pl.String), position=pl.lit(None, pl.Int64))
    return _rows(no_item, numbers, flags, constants, as_of)


def mean_of_observed(parts: Sequence[Floats64], shares: Sequence[float]) -> Floats64:
    """Σ share · part / Σ share over the parts that are not NaN: [n]; NaN where none is. It rises with every part."""
    total, weight = np.zeros(len(parts[0])), np.zeros(len(parts[0]))
    for part, share in zip(parts, shares, strict=True):
        seen = np.isfinite(part)
        total += np.where(seen, part, 0.0) * share
        weight += seen * share
    return np.asarray(np.where(weight > 0.0, total / np.where(weight > 0.0, weight, 1.0), np.nan))


def reward(engagement: Floats64, relevance: Floats64, shift: Floats64, shares: Sequence[float]) -> Floats64:
    """α(2E − 1) + βR + γS/2 over the sum of the shares that were observed: [n] in [-1, 1].

    NaN where neither engagement [0, 1] nor the shift [-2, 2] was: relevance alone is no feedback.
    """
    mean = mean_of_observed([2.0 * engagement - 1.0, relevance, shift / 2.0], shares)
    return np.asarray(np.where(np.isfinite(engagement) | np.isfinite(shift), mean, np.nan))


def _with_share(
    rows: pl.DataFrame, accounts: pl.DataFrame, cap: int, model: Dwell | None
) -> tuple[pl.DataFrame, dict[str, Floats64]]:
    """The rows, and their numbers with ``share``: so much a row counts that its account's sessions count as ``cap``."""
    known = rows.join(accounts, on="user", how="left", maintain_order="left")
    known = known.with_columns(share=cap / pl.col("sessions").fill_null(cap))
    return rows, columns(known) if model is None else coded(known, model)


def _dwell(given: Columns, place: str, model: Dwell | None) -> tuple[Floats64, Bools, Bools]:
    """(its quantile, NaN where there is none; a time was observed to the end; only a lower bound was)."""
    timed = np.isfinite(given["visible_ms"])
    censored = timed & (given["censored"] == 1.0)
    found = np.full(len(timed), np.nan) if model is None else quantile(given, place, model)
    return found, timed & ~censored, censored


def _rows(
    rows: pl.DataFrame, numbers: dict[str, Floats64], flags: dict[str, Bools], constants: Constants, as_of: int
) -> pl.DataFrame:
    settings = constants.settings
    worth = reward(
        numbers["engagement"],
        numbers["relevance"],
        numbers["sentiment_delta"],
        (settings.alpha, settings.beta, settings.gamma),
    )
    numbers = {**numbers, "reward": worth, "weight": np.where(np.isfinite(worth), numbers["weight"], 0.0)}
    rounded = {name: np.round(values, DIGITS) for name, values in numbers.items()}
    told = [name for name in FLAGS if name in flags]
    words = [pl.when(pl.col(f"is_{name}")).then(pl.lit(name)) for name in told]
    label = {
        "label_fn": pl.lit(constants.label_fn),
        "as_of": pl.lit(as_of, pl.Int64),
        "window_s": pl.lit(settings.window_s, pl.Float64),
        "censored": pl.col("is_censored"),
        "flags": pl.concat_str(words, separator=" ", ignore_nulls=True),
        **{name: pl.col(f"is_{name}").fill_nan(None) for name in rounded},
    }
    given = pl.DataFrame({f"is_{name}": values for name, values in {**flags, **rounded}.items()})
    names = rows.select("exposure_id", "item_id", "position", "session_id", "user")
    whole = pl.concat([names, given], how="horizontal").lazy().with_columns(**label)
    return whole.select(pl.col(name).cast(kind) for name, kind in COLUMNS.items()).collect()
