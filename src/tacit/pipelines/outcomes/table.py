"""Ranks of one or several runs → the table: each measure, and each learner's paired difference to the control.

Over several runs (seeds) a case's value is its mean over the runs, and the interval is over persons: it tells whether
the method's mean gain is told from zero, not whether each seed's is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from tacit.dialogue.evaluate.outcomes import MEASURES, values_of
from tacit.dialogue.train.outcomes.learn import CONTROL, LEARNERS
from tacit.metrics.intervals import Estimate, bootstrap_means
from tacit.metrics.persons import persons
from tacit.metrics.results import Row, blank, make_row, save_rows
from tacit.run.files import read_parquet
from tacit.types import Floats64, InputError

MODELS = ("A", CONTROL, *LEARNERS)
PAIRS = ((CONTROL, "A"), *((learner, CONTROL) for learner in LEARNERS))
KEY = ["dialogue", "turn", "item"]


def write_results(folders: Sequence[Path], dataset: str, draws: int, path: Path | None = None) -> list[Row]:
    """Rows of the runs in ``folders``, which must have been judged on the same cases."""
    tables = [read_parquet(folder / "evaluate" / "ranks.parquet", "evaluate the run again.") for folder in folders]
    first = tables[0]
    for folder, table in zip(folders, tables, strict=True):
        if not table.select(KEY).equals(first.select(KEY)):
            raise InputError(f"{folder} was judged on other cases than {folders[0]}: give runs on the same data.")
    rows = list[Row]()
    for measure in MEASURES:
        values = {model: np.mean([_of(table, model)[measure] for table in tables], axis=0) for model in MODELS}
        kept = ~np.isnan(values[CONTROL])
        group = persons([first], dataset).of(kept)
        base = blank(dataset, f"{dataset}-standard", measure, measure, len(folders), unit=group.unit)
        named = [(model, "") for model in MODELS] + list(PAIRS)
        columns = [values[model][kept] - (values[against][kept] if against else 0.0) for model, against in named]
        for (model, against), estimate in zip(named, _estimates(columns, group.groups, draws), strict=True):
            rows.append(make_row(base, measure, estimate, None, model=model, against=against))
    if path is not None:
        save_rows(path, rows)
    return rows


def _of(table: pl.DataFrame, model: str) -> dict[str, Floats64]:
    return values_of(table["repeated"], table["liked"], table["seen"], table[model].to_numpy())


def _estimates(columns: Sequence[Floats64], groups: np.ndarray, draws: int) -> list[Estimate]:
    if not len(groups):
        return [Estimate(np.nan, np.nan, np.nan, 0)] * len(columns)
    return bootstrap_means(np.stack(columns, axis=1), groups, np.random.default_rng(11), draws)


def markdown(rows: Sequence[Row], seeds: int) -> str:
    """A line a model and a line a difference, a column a measure."""
    lines = [f"| | {' | '.join(MEASURES)} |", "|---" * (len(MEASURES) + 1) + "|"]
    for model, against in [(model, "") for model in MODELS] + list(PAIRS):
        cells = []
        for measure in MEASURES:
            row = next(r for r in rows if (r.model, r.against, r.metric) == (model, against, measure))
            ends = f" [{row.ends[0]:+.4f}, {row.ends[1]:+.4f}]" if row.ends and against else ""
            cells.append("" if row.value is None else f"{row.value:{'+' if against else ''}.4f}{ends}")
        lines.append(f"| {model}{f' − {against}' if against else ''} | {' | '.join(cells)} |")
    counts = {row.metric: f"{row.n} cases of {row.clusters} {row.unit}" for row in rows}
    seen = "; ".join(f"{measure}: {counts[measure]}" for measure in MEASURES)
    return "\n".join([*lines, "", f"{seeds} seed{'s' * (seeds != 1)}. {seen}.", ""])
