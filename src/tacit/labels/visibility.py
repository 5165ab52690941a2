"""How likely an item is seen at its place: counted from what pages reported, not assumed."""

from __future__ import annotations

import numpy as np
import polars as pl

from tacit.labels.constants import Visibility
from tacit.labels.dwell import Columns, columns, short
from tacit.types import Floats64, Ints64

TURNS, PLACES = 4, 20  # cells: the last of each is for all that come later
PRIOR_ROWS = 20.0  # that each cell begins with, of the overall share


def fit(items: pl.DataFrame) -> Visibility:
    """``items``: of exposures that some event came in for."""
    given = columns(items)
    turn, place = _cells(given, TURNS, PLACES)
    seen = given["seen"]
    overall = float(seen.mean()) if len(seen) else 1.0
    counts, sums = np.zeros((2, TURNS, PLACES))
    np.add.at(counts, (turn, place), 1.0)
    np.add.at(sums, (turn, place), seen)
    shares = (sums + PRIOR_ROWS * overall) / (counts + PRIOR_ROWS)
    return Visibility(overall, [short(row) for row in shares])


def stands_for(given: Columns, model: Visibility, cap: float) -> Floats64:
    """1 / P(seen | turn, place), at most ``cap``: a seen item stands for those of its place that were not. [n]"""
    shares = np.array(model.seen)
    at_place = shares[_cells(given, *shares.shape)]
    return np.asarray(np.minimum(1.0 / np.maximum(at_place, 1e-9), cap))


def _cells(given: Columns, turns: int, places: int) -> tuple[Ints64, Ints64]:
    turn = np.minimum(given["turn"].astype(np.int64), turns - 1)
    return turn, np.minimum(given["position"].astype(np.int64) - 1, places - 1)
