"""``tacit rerank protocol``, the card of a list protocol and its bounds, and ``pool``, several runs as one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tacit.data.rating_sources import load_ratings
from tacit.evaluate_lists import NAMES, load_values, pooled, tables, variance
from tacit.list_bounds import Row, bounds, sort_variants
from tacit.list_metrics import METRICS
from tacit.lists import build
from tacit.rerank_pipeline import load_config
from tacit.results import load_rows
from tacit.types import InputError

_HEAD = {"kar_map": "MAP@5 (KAR)", "standard_map": "MAP@5", "ndcg": "NDCG@5", "consumed_ndcg": "NDCG@5 consumed"}


def protocol(config_file: str, overrides: Sequence[str], every_order: bool) -> None:
    """Print the card and the rows on the test lists, as Markdown."""
    config = load_config(config_file, overrides)
    ratings = load_ratings(config.data)
    if every_order:
        for variant in sort_variants(ratings, config.lists):
            print(f"## {ratings.name}, literal lists, {variant.rule} order\n")
            print(_table(variant.rows), "\n")
        return
    split, test, card = build(ratings, replace(config.lists))
    print(f"## {ratings.name}\n")
    print("\n".join(f"- {name}: {value}" for name, value in card.items()), "\n")
    print(_table(bounds(split, test.lists)))


def _table(rows: Sequence[Row]) -> str:
    """Values with their 95 % intervals over test users."""
    names = [name for name in METRICS if name in _HEAD]
    lines = ["| | " + " | ".join(_HEAD[name] for name in names) + " |", "|---" * (len(names) + 1) + "|"]
    for row in rows:
        cells = [f"{e.value:.3f} [{e.low:.3f}, {e.high:.3f}]" for e in (row.values[name] for name in names)]
        lines.append(f"| {row.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def pool(folders: Sequence[Path]) -> None:
    """Print the tables of several finished runs with the seeds of all, and where the noise comes from, as Markdown."""
    found = [load_values(_values(folder)) for folder in folders]
    first = found[0][1]
    for folder, (_, lists) in zip(folders[1:], found[1:], strict=True):
        if not all(np.array_equal(first[name], lists[name]) for name in first):
            raise InputError(f"{folder} was measured on other lists than {folders[0]}: pool runs of one protocol.")
    lines, by_run = pooled([lines for lines, _ in found])
    rows = tables(lines, first["users"], load_rows(folders[0] / "results.json")[0])
    cells = {(row.model, row.metric): row for row in rows}
    metrics = [NAMES[name] for name in ("kar_map", "ndcg", "consumed_ndcg")]
    print("| | " + " | ".join(f"{name}@5" for name in metrics) + " | seeds |")
    print("|---" * (len(metrics) + 2) + "|")
    counts = {f"{line.model} · {line.arm}": line.seeds for line in lines}
    for model in dict.fromkeys(row.model for row in rows):
        said = [f"{r.value:.4f} [{r.ci_low:.4f}, {r.ci_high:.4f}]" for r in (cells[model, name] for name in metrics)]
        print(f"| {model} | " + " | ".join(said) + f" | {counts.get(model, '')} |")
    print("\nStandard deviations of NDCG@5:\n")
    for name, runs in by_run.items():
        parts = variance(runs, first["users"])
        if len(parts) > 1:
            print(f"- {name}: " + ", ".join(f"{what} {value:.4f}" for what, value in parts.items()))


def _values(folder: Path) -> Path:
    path = folder / "evaluate" / "values.safetensors"
    if not path.is_file():
        raise InputError(f"{path} is not there: run `tacit rerank evaluate {folder}` first.")
    return path
