"""Dwell without what is not interest: length, place, turn and device, taken out by a ridge on log times.

Longer texts are looked at for longer whatever they say, so that a raw dwell is a reward for length (D2Q; "Beyond
Clicks", RecSys 2014). Everything is done in whole columns: numbers as float64, NaN = not observed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from tacit.labels.constants import Dwell
from tacit.types import Floats64

Columns = Mapping[str, Floats64]
LEAST = 20  # times to fit a regression to
UNKNOWN = "unknown"


def columns(rows: pl.DataFrame) -> dict[str, Floats64]:
    """Every column that is a number or a flag, [n] each."""
    kinds = {name: kind for name, kind in rows.schema.items() if kind.is_numeric() or kind == pl.Boolean}
    table = rows.select(pl.col(name).cast(pl.Float64).fill_null(np.nan) for name in kinds)
    return {name: np.array(table[name].to_numpy()) for name in kinds}


def coded(rows: pl.DataFrame, model: Dwell) -> dict[str, Floats64]:
    """``columns`` and ``device``, its number in ``model.devices``; one not met before is read as the first."""
    codes = {name: float(number) for number, name in enumerate(model.devices)}
    device = pl.col("device").fill_null(UNKNOWN).replace_strict(codes, default=0.0, return_dtype=pl.Float64)
    return columns(rows.with_columns(device=device))


def fit(rows: pl.DataFrame, place: str, ridge: float) -> Dwell | None:
    """From rows whose time was observed to the end; None where they are few. ``place`` is a column."""
    if rows.height < LEAST:
        return None
    names = rows.select(pl.col("device").fill_null(UNKNOWN).unique().sort()).to_series().to_list()
    given = coded(rows, Dwell([], names, [], 0.0, []))
    words = given["words"][np.isfinite(given["words"])]
    caps = [float(np.quantile(given["visible_ms"][given["device"] == k], 0.99)) for k in range(len(names))]
    start = Dwell([], names, caps, float(f"{words.mean():.12g}") if len(words) else 0.0, [])
    x, y = design(given, place, start), log_ms(given, start)
    penalty = ridge * np.eye(x.shape[1])
    penalty[0, 0] = 0.0
    coefficients: Floats64 = np.asarray(np.linalg.solve(x.T @ x + penalty, x.T @ y), dtype=np.float64)
    rest = y - weighed(x, coefficients)
    quantiles: Floats64 = np.asarray(np.quantile(rest, np.linspace(0.0, 1.0, 101)), dtype=np.float64)
    return Dwell(short(coefficients), names, caps, start.words, short(quantiles))


def quantile(given: Columns, place: str, model: Dwell) -> Floats64:
    """Each time's place among the log's, once the context is taken out: [n] in [0, 1]; NaN where there is none."""
    residual = log_ms(given, model) - weighed(design(given, place, model), np.array(model.coefficients))
    return np.interp(residual, model.quantiles, np.linspace(0.0, 1.0, len(model.quantiles)))


def design(given: Columns, place: str, model: Dwell) -> Floats64:
    """[n, 4 + devices beyond the first]."""
    words = np.where(np.isfinite(given["words"]), given["words"], model.words)
    context = [np.ones(len(words)), np.log1p(words), np.log1p(given[place]), np.log1p(given["turn"])]
    return np.stack(context + [(given["device"] == k) * 1.0 for k in range(1, len(model.devices))], axis=1)


def log_ms(given: Columns, model: Dwell) -> Floats64:
    """log(1 + ms), of times cut at their device's cap."""
    caps = np.array(model.caps_ms)[given["device"].astype(np.int64)] if model.caps_ms else np.inf
    return np.asarray(np.log1p(np.minimum(given["visible_ms"], caps)))


def weighed(x: Floats64, coefficients: Floats64) -> Floats64:
    """x · c, a column after another: the same for a row alone as among others, which a matrix product is not."""
    total = np.zeros(len(x))
    for column, coefficient in zip(x.T, coefficients, strict=True):
        total += coefficient * column
    return total


def short(numbers: Floats64) -> list[float]:
    """Twelve digits: what may differ between two machines stands behind them."""
    return [float(f"{number:.12g}") for number in numbers]
