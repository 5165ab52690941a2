"""Scores of rerankers on test lists → rows of results: means over seeds, intervals over users, paired differences.

One seed of one reranker says little: two seeds of the same DLCM differ by as much as the papers' gains. Every row is
therefore a mean over ranker seeds, its interval is a bootstrap over whole users, and a gain is the paired difference on
the same lists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save

from tacit.metrics.intervals import standard_error
from tacit.metrics.lists import estimates, measure
from tacit.metrics.results import Row, difference, make_row
from tacit.metrics.results import blank as blank_row
from tacit.rerank.evaluate.bounds import bound_scores
from tacit.rerank.lists.lists import Lists, ListSplit
from tacit.run.files import atomic_write
from tacit.types import Floats64

Scores = npt.NDArray[np.floating]
Users = npt.NDArray[np.integer]  # [L], whose list each one is
K = 5
ALL_FEATURES = "all features"  # the strongest arm without a language model
AGAINST = ("base", "plain features", ALL_FEATURES, "catalogue texts", "descriptions", "round 0")  # arms to be beaten
NAMES = {
    "ndcg": "NDCG",
    "kar_map": "MAP (KAR)",
    "standard_map": "MAP",
    "consumed_ndcg": "NDCG consumed",
    "user_ndcg": "NDCG by user",
}


@dataclass(frozen=True)
class ArmScores:
    """One line of a table: every metric of each list, a row a seed, {metric: [S, L]}."""

    model: str  # the reranker, or "bound"
    arm: str
    values: Mapping[str, Floats64]

    @property
    def seeds(self) -> int:
        return len(self.values["ndcg"])

    @property
    def mean(self) -> dict[str, Floats64]:
        """Over seeds, [L]."""
        return {name: column.mean(axis=0) for name, column in self.values.items()}


def measured(model: str, arm: str, scores: Sequence[Scores], lists: Lists) -> ArmScores:
    found = [measure(one, lists.labels, lists.consumed, K) for one in scores]
    return ArmScores(model, arm, {name: np.stack([one[name] for one in found]) for name in found[0]})


def bound_lines(split: ListSplit, lists: Lists) -> list[ArmScores]:
    """Random, popularity, label rate, the seen bit, and the two oracles, on these lists."""
    return [measured("bound", name, [scores], lists) for name, scores in bound_scores(split, lists).items()]


def rows_of(line: ArmScores, users: Users, base: Row) -> list[Row]:
    """A row a metric; the note tells the spread over seeds."""
    spread = line.values["ndcg"].mean(axis=1).std(ddof=1) if line.seeds > 1 else 0.0
    note = f"{line.seeds} ranker seeds, sd {spread:.4f}" if line.seeds > 1 else ""
    return [
        make_row(base, NAMES[metric], estimate, K, model=line.model, arm=line.arm, note=note)
        for metric, estimate in estimates(line.mean, users).items()
    ]


def difference_rows(line: ArmScores, against: ArmScores, users: Users, base: Row) -> list[Row]:
    """Of two arms of one ranker, paired on the lists, seeds averaged first; the interval is over users."""
    names = {"model": line.model, "arm": line.arm, "against": against.arm}
    rows = []
    for metric in ("ndcg", "kar_map", "consumed_ndcg"):
        gap = difference(line.mean[metric], against.mean[metric], users, np.random.default_rng(0))
        rows.append(make_row(base, NAMES[metric], gap, K, **names))
    return rows


def tables(lines: Sequence[ArmScores], users: Users, base: Row) -> list[Row]:
    """Each line, then what it brings beyond those before it that are ``AGAINST``: such as knowledge beyond base, and
    alignment beyond the texts of round 0."""
    found = [row for line in lines for row in rows_of(line, users, base)]
    for place, line in enumerate(lines):
        for against in lines[:place]:
            if against.model == line.model and against.arm in AGAINST:
                found += difference_rows(line, against, users, base)
    return found


def across(there: Sequence[ArmScores], here: Sequence[ArmScores], users: Users, base: Row) -> list[Row]:
    """Every line that two runs have in common and that differs, ``there`` minus ``here``, paired on the lists."""
    by_name = {(line.model, line.arm): line for line in here}
    pairs = [(line, by_name[line.model, line.arm]) for line in there if (line.model, line.arm) in by_name]
    rows = []
    for line, against in pairs:
        if not np.array_equal(line.values["ndcg"], against.values["ndcg"]):
            rows += difference_rows(line, against, users, base)
    return rows


def variance(runs: Sequence[Floats64], users: Users) -> dict[str, float]:
    """Where the noise of one NDCG comes from, as standard deviations: which test users, which seeds.

    ``runs``: one [S, L] for each writer, its S seeds of the ranker on L lists. The ranker's part is the spread within
    writers; the writer's is what the spread of their means has beyond the ranker's part over S (0 where it has none):
    the estimates of a one-way analysis of variance.
    """
    everything = np.concatenate(list(runs))
    over_users = standard_error(everything.mean(axis=0), users)
    parts = {"users": over_users} if np.isfinite(over_users) else {}
    seeds = [run.mean(axis=1) for run in runs]
    if len(everything) > len(runs):
        within = sum(((run - run.mean()) ** 2).sum() for run in seeds) / (len(everything) - len(runs))
        parts["ranker seed"] = float(np.sqrt(within))
        if len(runs) > 1:
            between = np.var([run.mean() for run in seeds], ddof=1)
            parts["writer seed"] = float(np.sqrt(max(between - within * len(runs) / len(everything), 0.0)))
    return parts


KEPT = ("ndcg", "kar_map", "standard_map", "consumed_ndcg")


def save_values(path: Path, lines: Sequence[ArmScores], lists: Lists) -> None:
    """Every metric of every list, for runs to be pooled: safetensors, one [S, L] a line and metric, in their order."""
    values = {
        f"{place:03}|{line.model}|{line.arm}|{name}": line.values[name].astype(np.float32)
        for place, line in enumerate(lines)
        for name in KEPT
    }
    atomic_write(path, save({"users": lists.users, "items": lists.items, "labels": lists.labels, **values}))


def load_values(path: Path) -> tuple[list[ArmScores], dict[str, npt.NDArray[np.integer]]]:
    """The lines that ``save_values`` wrote, and the lists they were measured on: users, items, labels."""
    found = load(path.read_bytes())
    lists = {name: found.pop(name) for name in ("users", "items", "labels")}
    columns: dict[tuple[str, str], dict[str, Floats64]] = {}
    for key in sorted(found):  # the file has an order of its own
        _, model, arm, metric = key.split("|")
        columns.setdefault((model, arm), {})[metric] = found[key].astype(np.float64)
    return [ArmScores(*name, values) for name, values in columns.items()], lists


def pooled(runs: Sequence[Sequence[ArmScores]]) -> tuple[list[ArmScores], dict[tuple[str, str], list[Floats64]]]:
    """Lines that all ``runs`` have, measured on the same lists, with the seeds of them all; and each one's NDCG by run.

    A line that is the same in every run (a bound, or a ranker without texts from the same seeds) counts once.
    """
    by_name = [{(line.model, line.arm): line for line in run} for run in runs]
    lines: list[ArmScores] = []
    parts: dict[tuple[str, str], list[Floats64]] = {}
    for name, first in by_name[0].items():
        same = [run[name] for run in by_name if name in run]
        if len(same) < len(runs):
            continue
        if all(np.array_equal(first.values["ndcg"], line.values["ndcg"]) for line in same):
            same = [first]
        joined = {metric: np.concatenate([line.values[metric] for line in same]) for metric in first.values}
        lines.append(ArmScores(*name, joined))
        parts[name] = [line.values["ndcg"] for line in same]
    return lines, parts


def template(dataset: str, protocol: str, lists: Lists, seed: int) -> Row:
    """What all rows of one evaluation share."""
    candidates = f"lists of {lists.items.shape[1]}"
    return blank_row(dataset, protocol, "test users", "", seed, candidates=candidates, unit="test users")
