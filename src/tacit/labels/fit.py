"""The constants of the label function, from a sample of what was observed over the whole log."""

from __future__ import annotations

import polars as pl

from tacit.labels import dwell, visibility
from tacit.labels.constants import Constants
from tacit.labels.settings import LabelSettings
from tacit.labels.valley import valley


def fit(items: pl.DataFrame, turns: pl.DataFrame, accounts: str, settings: LabelSettings, words: str = "") -> Constants:
    """``items`` and ``turns`` as in ``gather.Observed``; ``accounts``: the hash of ``accounts.above_cap``'s table."""
    items, turns = items.sort("exposure_id", "position"), turns.sort("exposure_id")
    exact = items.filter(pl.col("seen") & ~pl.col("censored") & (pl.col("visible_ms") > 0))
    timed = turns.filter(~pl.col("censored") & pl.col("visible_ms").is_not_null())
    skip_ms, remark = valley(dwell.columns(exact)["visible_ms"], settings.valley_rows)
    return Constants(
        settings=settings,
        item_dwell=dwell.fit(exact, "position", settings.ridge),
        turn_dwell=dwell.fit(timed, "size", settings.ridge),
        visibility=visibility.fit(items.filter(pl.col("observed"))),
        skip_ms=skip_ms,
        skip_remark=remark,
        accounts=accounts,
        rows=items.height,
        words=words,
    )
