"""Several runs side by side: ablations, windows, seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tacit.metrics.markdown import resampled
from tacit.metrics.results import Row
from tacit.report import figures, page
from tacit.report.figures import SECOND, Bar
from tacit.report.page import Cell, short
from tacit.report.run_files import find_row


def comparison(runs: Mapping[str, Sequence[Row]]) -> str:
    """PPO's numbers of several runs side by side: an ablation, a window, seeds."""
    columns = (
        ("HR@5, new", "HR@5", "new", ""),
        ("NDCG@5, new", "NDCG@5", "new", ""),
        ("BLEU-4", "sentence BLEU-4", "", ""),
        ("hidden utility gain (emulated)", "hidden utility", "", "sft"),
        ("satisfaction gain %, emulated", "satisfaction gain %", "", "sft"),
    )
    cells = {
        (name, title): find_row(rows, "ppo", metric, slice, "-standard" if slice else "", against)
        for name, rows in runs.items()
        for title, metric, slice, against in columns
    }
    lines = [("", [Cell(name), *(page.value(cells[name, title]) for title, *_ in columns)]) for name in runs]
    lines += _over_seeds([[cells[name, title] for name in runs] for title, *_ in columns])
    panels: dict[str, list[Bar]] = {}
    for title, *_ in columns[:3]:
        rows = [(name, cells[name, title]) for name in runs]
        bars = [
            Bar(name, r.value, r.ci_low, r.ci_high, SECOND) for name, r in rows if r is not None and r.value is not None
        ]
        if bars:
            panels[title] = bars
    over = resampled([row for row in cells.values() if row is not None])
    svg = page.figure(
        "".join(figures.bars({title: bars}, f"runs {title}") for title, bars in panels.items()), "PPO in each run."
    )
    return (
        page.table(["run", *(title for title, *_ in columns)], lines, f"Below each value, within the run: {over}.")
        + svg
    )


def _over_seeds(columns: Sequence[Sequence[Row | None]]) -> list[tuple[str, list[Cell]]]:
    """Mean ± sample deviation of each column, where the runs are one experiment with different seeds."""
    rows = [row for column in columns for row in column if row is not None]
    n = max(len(column) for column in columns)
    if len({row.seed for row in rows}) < n or len({row.dataset for row in rows}) > 1:
        return []
    cells = []
    for column in columns:
        values = [row.value for row in column if row is not None and row.value is not None]
        spread = f" ± {short(float(np.std(values, ddof=1)))}" if len(values) > 1 else ""
        cells.append(Cell(f"{short(float(np.mean(values)))}{spread}" if values else ""))
    return [("", [Cell(f"mean ± sd of {n} seeds"), *cells])]
