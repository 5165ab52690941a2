"""Numbers that carry their definition: one row a number, and how rows of several seeds become a table."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from tacit.metrics.intervals import Estimate
from tacit.run.files import atomic_write
from tacit.types import InputError

CUTOFFS = (1, 5, 10, 50)
DIFFERENCE = "ppo-sft"
# Models stand in this order wherever they are listed; others follow by name.
MODELS = ("popularity", "copy", "co-occurrence", "co-occurrence+copy", "literal", "sft", "ppo", DIFFERENCE, "human")


@dataclass(frozen=True, slots=True)
class Row:
    """One number of ``results.json``. None = not measured; the interval is 95 %, over dialogues or users."""

    dataset: str
    protocol: str
    slice: str
    metric: str
    k: int | None
    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    model: str
    seed: int
    candidates: str = ""
    emulated: bool = False  # rests on simulated users
    note: str = ""

    def label(self, seeds: int = 1) -> str:
        """``HR@5 [redial-standard, new items, full catalogue 6 924, n=4 472, 3 seeds]``."""
        parts = [self.protocol, f"{self.slice} items" if self.k else self.slice, self.candidates]
        parts += [f"n={grouped(self.n)}", f"{seeds} seeds" if seeds > 1 else f"seed {self.seed}"]
        parts += ["emulated" if self.emulated else "", self.note]
        return f"{self.name} [{', '.join(part for part in parts if part)}]"

    @property
    def name(self) -> str:
        return f"{self.metric}@{self.k}" if self.k else self.metric


@dataclass(frozen=True, slots=True)
class Combined:
    """The same number over seeds. ``sd`` is the sample deviation, NaN for one seed."""

    row: Row  # of the first seed: carries the definition, and the interval when there is only one
    values: tuple[float, ...]
    seeds: tuple[int, ...]

    @property
    def mean(self) -> float:
        return float(np.mean(self.values))

    @property
    def sd(self) -> float:
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else math.nan


def save_rows(path: str | Path, rows: Sequence[Row]) -> None:
    content = [{name: _plain(value) for name, value in asdict(row).items()} for row in rows]
    atomic_write(path, "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in content) + "\n]\n")


def load_rows(path: str | Path) -> list[Row]:
    source = Path(path)
    if not source.is_file():
        raise InputError(f"{source} does not exist: evaluate the run first (tacit evaluate).")
    known = {field.name for field in fields(Row)}
    try:
        content: list[dict[str, Any]] = json.loads(source.read_text(encoding="utf-8"))
        return [Row(**{name: value for name, value in row.items() if name in known}) for row in content]
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{source} is not a results file ({error}): evaluate the run again.") from None


def make_row(base: Row, metric: str, estimate: Estimate, k: int | None = None, **changes: Any) -> Row:
    """A row like ``base`` with another metric and value."""
    values = {
        "metric": metric,
        "k": k,
        "value": estimate.value,
        "ci_low": estimate.low,
        "ci_high": estimate.high,
        "n": estimate.n,
    }
    merged = {field.name: getattr(base, field.name) for field in fields(Row)} | values | changes
    return Row(**{name: _plain(value) for name, value in merged.items()})


def blank(dataset: str, protocol: str, slice: str, model: str, seed: int, **extra: Any) -> Row:
    return Row(dataset, protocol, slice, "", None, None, None, None, 0, model, seed, **extra)


def combine(run_folders: Iterable[str | Path]) -> list[Combined]:
    """Rows of several runs, grouped by everything but the seed, in a fixed order."""
    groups: dict[tuple[str, str, str, str, int, str], list[Row]] = {}
    for folder in run_folders:
        for row in load_rows(Path(folder) / "results.json"):
            if row.value is not None:
                key = (row.dataset, row.protocol, row.slice, row.metric, row.k or 0, row.model)
                groups.setdefault(key, []).append(row)
    combined = []
    for key, rows in groups.items():
        seeds = tuple(row.seed for row in rows)
        if len(set(seeds)) != len(seeds):
            raise InputError(f"two of the runs have seed {seeds[0]} and the same data ({key[0]}): give each run once.")
        combined.append(Combined(rows[0], tuple(float(row.value or 0.0) for row in rows), seeds))
    return combined


def markdown(combined: Sequence[Combined]) -> str:
    """Tables for a document: mean ± sd over seeds, or the value and its 95 % interval for a single seed."""
    sections = []
    for dataset in dict.fromkeys(entry.row.dataset for entry in combined):
        mine = [entry for entry in combined if entry.row.dataset == dataset]
        sections.append(f"## {dataset}")
        for place in dict.fromkeys((entry.row.protocol, entry.row.slice) for entry in mine):
            entries = [entry for entry in mine if (entry.row.protocol, entry.row.slice) == place]
            sections.append(_table(entries))
    return "\n\n".join(sections) + "\n"


def _table(entries: Sequence[Combined]) -> str:
    first = entries[0]
    names = list(dict.fromkeys(entry.row.name for entry in entries))
    ranking = first.row.k is not None
    if ranking:
        names = [f"{metric}@{k}" for metric in ("HR", "NDCG", "MRR") for k in CUTOFFS if f"{metric}@{k}" in names]
    parts = [first.row.slice, first.row.candidates if ranking else "", f"n={grouped(max(e.row.n for e in entries))}"]
    parts += [f"{len(first.seeds)} seed{'s' if len(first.seeds) > 1 else ''}"]
    parts += ["**emulated**: simulated users"] if first.row.emulated else []
    lines = [f"**{first.row.protocol}** ({', '.join(part for part in parts if part)})", ""]
    lines += ["| model | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    by_cell = {(entry.row.model, entry.row.name): entry for entry in entries}
    for model in in_order({entry.row.model for entry in entries}):
        cells = [cell(by_cell.get((model, name))) for name in names]
        lines.append(f"| {model} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cell(entry: Combined | None) -> str:
    if entry is None:
        return ""
    sign = "+" if entry.row.model == DIFFERENCE and entry.mean > 0 else ""
    if len(entry.values) > 1:
        return f"{sign}{number(entry.mean)} ± {number(entry.sd)}"
    low, high = entry.row.ci_low, entry.row.ci_high
    interval = "" if low is None or high is None else f" [{number(low)}, {number(high)}]"
    return f"{sign}{number(entry.mean)}{interval}"


def number(value: float) -> str:
    """Four decimals below 1, fewer above: 0.0312, 2.41, 63."""
    return f"{value:.4f}" if abs(value) < 1 else f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"


def grouped(number: int) -> str:
    """6924 → '6 924': thousands apart, with a space that does not break."""
    return f"{number:,}".replace(",", "\u202f")


def in_order(models: Iterable[str]) -> list[str]:
    return sorted(models, key=lambda model: (MODELS.index(model) if model in MODELS else len(MODELS), model))


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
