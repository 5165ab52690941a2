"""Numbers that carry their definition: one row a number, the paired difference of two policies or arms, and files."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tacit.metrics.intervals import Estimate, bootstrap_means, finite
from tacit.run.files import atomic_write
from tacit.types import Floats64, InputError

CUTOFFS = (1, 5, 10, 50)
# Models stand in this order wherever they are listed; others follow by name.
MODELS = (
    "popularity",
    "copy",
    "co-occurrence",
    "co-occurrence+copy",
    "literal",
    "sft",
    "sft+recommend",
    "sft+recommend+likeliest",
    "ppo",
    "ppo+recommend+likeliest",
    "human",
)

Pair = tuple[str, str]  # a model and the one that is subtracted from it
Groups = Sequence[Hashable] | npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class Row:
    """One number of ``results.json``. None = not measured; the interval is 95 %, over ``clusters`` of ``unit``.

    ``unit`` is what was resampled ("seekers", "users", "dialogues", "simulated users", "test users"), empty where a
    number has no interval. An interval without ends beside ``clusters`` above 0 is *not told*: so few say nothing.

    ``arm`` is what a model was given (a reranker's texts), where there are several. A row with ``against`` is a paired
    difference: this model's value minus that of the arm ``against``, or of the model ``against`` where no arm is named.
    """

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
    arm: str = ""
    against: str = ""
    unit: str = ""
    clusters: int = 0

    def label(self, seeds: int = 1) -> str:
        """``HR@5 [redial-standard, new items, full catalogue 6 924, n=4 472, 3 seeds]``."""
        parts = [self.protocol, f"{self.slice} items" if self.k else self.slice, self.candidates]
        parts += [f"n={grouped(self.n)}", self._clusters if self.clusters else ""]
        parts += [f"{seeds} seeds" if seeds > 1 else f"seed {self.seed}"]
        parts += ["emulated" if self.emulated else "", self.note]
        return f"{self.name} [{', '.join(part for part in parts if part)}]"

    @property
    def name(self) -> str:
        return f"{self.metric}@{self.k}" if self.k else self.metric

    @property
    def ends(self) -> tuple[float, float] | None:
        """The interval, where both ends are told."""
        return finite(self.ci_low, self.ci_high)

    @property
    def not_told(self) -> str:
        """``not told (3 seekers)`` where the interval was asked for and has no ends, else empty."""
        return f"not told ({self._clusters})" if self.clusters and self.ends is None else ""

    @property
    def _clusters(self) -> str:
        return f"{grouped(self.clusters)} {self.unit or 'groups'}"


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


def differences(
    values: Floats64, against: Floats64, groups: Groups, generator: np.random.Generator, draws: int = 1000
) -> list[Estimate]:
    """Mean of each column of ``values`` − ``against``, [n, m] each: two policies, or two arms, on the same n cases.

    The 95 % intervals resample whole ``groups`` [n] (persons), the same ones for all columns.
    """
    if values.shape != against.shape:
        raise ValueError(f"a paired difference needs the same cases: {values.shape} against {against.shape}")
    return bootstrap_means(values - against, groups, generator, draws)


def difference(
    values: Floats64, against: Floats64, groups: Groups, generator: np.random.Generator, draws: int = 1000
) -> Estimate:
    """``differences`` of one column, [n] each; a case that either side did not observe (NaN) is left out."""
    seen = np.isfinite(values) & np.isfinite(against)
    columns = values[seen][:, None], against[seen][:, None]
    return differences(*columns, np.asarray(groups)[seen], generator, draws)[0]


def both_measured(pairs: Iterable[Pair], models: Iterable[str]) -> list[Pair]:
    """The pairs of which both models are there."""
    there = set(models)
    return [(model, against) for model, against in pairs if {model, against} <= there]


def save_rows(path: str | Path, rows: Sequence[Row]) -> None:
    content = [{name: _plain(value) for name, value in asdict(row).items()} for row in rows]
    atomic_write(path, "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in content) + "\n]\n")


def load_rows(path: str | Path) -> list[Row]:
    source = Path(path)
    if not source.is_file():
        raise InputError(f"{source} does not exist: evaluate the run first (tacit evaluate).")
    try:
        content: list[dict[str, Any]] = json.loads(source.read_text(encoding="utf-8"))
        return [_read(record) for record in content]
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{source} is not a results file ({error}): evaluate the run again.") from None


def _read(record: dict[str, Any]) -> Row:
    names = {field.name for field in fields(Row)}
    record = _with_unit(_upgraded(record))
    return Row(**{name: _plain(value) for name, value in record.items() if name in names})


def _with_unit(record: dict[str, Any]) -> dict[str, Any]:
    """A record of before ``unit``: simulated users, test users of lists, or whole dialogues were resampled."""
    if "unit" in record:
        return record
    unit = "simulated users" if record["protocol"] == "simulated-users" else "dialogues"
    unit = "test users" if record["slice"] == "test users" else unit
    return record | {"unit": unit if record["ci_low"] is not None else "", "clusters": 0}


def _upgraded(record: dict[str, Any]) -> dict[str, Any]:
    """A record of before ``arm`` and ``against``, which named a comparison in ``model`` alone: "ppo-sft" of a
    conversation, "dlcm · round 0 − base" of a reranker, the latter in a slice of its own."""
    if "against" in record:
        return record
    model, arm, against = record["model"], "", ""
    if model == "ppo-sft":
        model, against = "ppo", "sft"
    elif " · " in model:
        model, _, arm = model.partition(" · ")
        arm, _, against = arm.partition(" − ")
    slice = "test users" if record["slice"] == "paired difference" else record["slice"]
    return record | {"model": model, "arm": arm, "against": against, "slice": slice}


def make_row(base: Row, metric: str, estimate: Estimate, k: int | None = None, **changes: Any) -> Row:
    """A row like ``base`` with another metric and value; its ``unit`` stands where something was resampled."""
    values = {
        "metric": metric,
        "k": k,
        "value": estimate.value,
        "ci_low": estimate.low,
        "ci_high": estimate.high,
        "n": estimate.n,
        "clusters": estimate.groups,
        "unit": base.unit if estimate.groups else "",
    }
    merged = {field.name: getattr(base, field.name) for field in fields(Row)} | values | changes
    return Row(**{name: _plain(value) for name, value in merged.items()})


def blank(dataset: str, protocol: str, slice: str, model: str, seed: int, **extra: Any) -> Row:
    return Row(dataset, protocol, slice, "", None, None, None, None, 0, model, seed, **extra)


def combine(run_folders: Iterable[str | Path]) -> list[Combined]:
    """Rows of several runs, grouped by everything but the seed, in a fixed order."""
    groups: dict[tuple[str | int, ...], list[Row]] = {}
    for folder in run_folders:
        for row in load_rows(Path(folder) / "results.json"):
            if row.value is not None:
                place = (row.dataset, row.protocol, row.slice, row.metric, row.k or 0)
                groups.setdefault((*place, row.model, row.arm, row.against), []).append(row)
    combined = []
    for rows in groups.values():
        seeds = tuple(row.seed for row in rows)
        if len(set(seeds)) != len(seeds):
            data = rows[0].dataset
            raise InputError(f"two of the runs have seed {seeds[0]} and the same data ({data}): give each run once.")
        combined.append(Combined(rows[0], tuple(float(row.value or 0.0) for row in rows), seeds))
    return combined


def grouped(number: int) -> str:
    """6924 → '6 924': thousands apart, with a space that does not break."""
    return f"{number:,}".replace(",", "\u202f")


def in_order(models: Iterable[str], order: Sequence[str] = MODELS) -> list[str]:
    """Models in the ``order`` of a table; those it does not hold follow by name."""
    return sorted(models, key=lambda model: (order.index(model) if model in order else len(order), model))


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
