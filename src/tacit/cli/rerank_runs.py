"""``tacit rerank pool``, ``compare`` and ``fork``: several runs of one protocol."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tacit.metrics.markdown import line_name
from tacit.metrics.results import Row, load_rows
from tacit.pipelines.rerank import STAGES, load_config
from tacit.rerank.evaluate.rows import NAMES, ArmScores, Users, across, load_values, pooled, tables, variance
from tacit.rerank.stages.arms import arms
from tacit.rerank.stages.jobs import cells
from tacit.run.config import differences, dump
from tacit.run.files import atomic_folder
from tacit.run.folder import Run, within
from tacit.run.terminal import printable
from tacit.types import InputError

_COLUMNS = [NAMES[name] for name in ("kar_map", "ndcg", "consumed_ndcg")]
_BEFORE_ALIGNMENT = ("config.yaml", "run.json", "ratings", "prepare", "knowledge", "texts", "train")
_FEWER = ("rankers", "ranker_seeds", "controls", "control_seeds")  # which trained rerankers a fork takes along


def pool(folders: Sequence[Path]) -> None:
    """Print the tables of several finished runs with the seeds of all, and where the noise comes from, as Markdown."""
    runs, users = _measured(folders)
    lines, by_run = pooled(runs)
    counts = {(line.model, line.arm): line.seeds for line in lines}
    _print(tables(lines, users, load_rows(folders[0] / "results.json")[0]), counts)
    print("\nStandard deviations of NDCG@5:\n")
    for (model, arm), values in by_run.items():
        parts = variance(values, users)
        if len(parts) > 1:
            print(printable(f"- {model} · {arm}: ") + ", ".join(f"{what} {value:.4f}" for what, value in parts.items()))


def compare(groups: Sequence[str]) -> None:
    """Print what the first run's settings are in the others, and each line of theirs minus the first one's.

    Each of ``groups`` is a run's folder, or several with commas between them, which are pooled (and must not differ in
    more than their seeds for the settings that are printed to be those of all).
    """
    folders = [[Path(name) for name in group.split(",")] for group in groups]
    runs, users = _measured([folder for group in folders for folder in group])
    each = iter(runs)
    first, *others = [pooled([next(each) for _ in group])[0] for group in folders]
    settings = [(group[0] / "config.yaml").read_text(encoding="utf-8") for group in folders]
    base = load_rows(folders[0][0] / "results.json")[0]
    for name, lines, own in zip(groups[1:], others, settings[1:], strict=True):
        changed = differences(settings[0], own)
        changed.pop("out", None)
        said = "; ".join(f"{key}={there} instead of {here}" for key, (here, there) in changed.items())
        print(printable(f"## {name} − {groups[0]}\n\n{said or 'The same settings.'}\n", layout="\n"))
        rows = across(lines, first, users, base)
        if rows:
            _print(rows, name=lambda row: f"{row.model} · {row.arm}, there − here")
        in_first, differing = ({(row.model, row.arm) for row in part} for part in (first, rows))
        equal = [f"{line.model} · {line.arm}" for line in lines if (line.model, line.arm) in in_first - differing]
        if equal:
            print("\n" + printable(f"Equal on every list: {', '.join(equal)}."))
        print()


def fork(source: Path, folder: Path, overrides: Sequence[str] = ()) -> None:
    """Copy a run up to its rerankers, so that another alignment starts from the same writer, texts and rerankers.

    ``overrides`` are settings of the copy: of stages that are still to come there, or fewer rerankers and controls.
    """
    if not (source / "train" / "done.json").is_file():
        raise InputError(f"{source} has no rerankers yet: run `tacit rerank train {source}` first.")
    if folder.exists():
        raise InputError(f"{folder} is there already: choose another folder, or delete it.")
    config = load_config(source, [*overrides, f"out={folder}"])
    may_change = [*STAGES.free, *STAGES.first_read_by("align", "evaluate"), *_FEWER]
    _require_within(source, dump(config), may_change)
    kept = {cell.folder for arm in arms(config) for cell in cells(config, arm)}
    for name in sorted(kept):
        if not (source / "rankers" / name / "done.json").is_file():
            raise InputError(f"{source} has no reranker {name}: a fork can leave some out, not add any.")
    with atomic_folder(folder) as part:
        for name in _BEFORE_ALIGNMENT:
            if (source / name).is_dir():
                shutil.copytree(source / name, part / name)
            elif (source / name).is_file():
                shutil.copy2(source / name, part / name)
        for name in kept:
            shutil.copytree(source / "rankers" / name, part / "rankers" / name)
        Run.open(part, dump(config), config.seed, may_change)


def _require_within(source: Path, settings: str, may_change: Sequence[str]) -> None:
    """``InputError`` at a setting that the copied stages have read."""
    for key, (old, new) in differences((source / "config.yaml").read_text(encoding="utf-8"), settings).items():
        if not within(key, may_change):
            raise InputError(
                f"{source} was made with {key}={old}, and a fork takes that over: leave {key}={new} out, or start "
                f"another run. Free are {', '.join(may_change)}."
            )


def _measured(folders: Sequence[Path]) -> tuple[list[list[ArmScores]], Users]:
    """The lines of every run, which must be of the same lists, and whose list each one is."""
    found = [load_values(_values(folder)) for folder in folders]
    first = found[0][1]
    for folder, (_, lists) in zip(folders[1:], found[1:], strict=True):
        if not all(np.array_equal(first[name], lists[name]) for name in first):
            raise InputError(f"{folder} was measured on other lists than {folders[0]}: take runs of one protocol.")
    return [lines for lines, _ in found], first["users"]


def _values(folder: Path) -> Path:
    path = folder / "evaluate" / "values.safetensors"
    if not path.is_file():
        raise InputError(f"{path} is not there: run `tacit rerank evaluate {folder}` first.")
    return path


def _print(
    rows: Sequence[Row], seeds: dict[tuple[str, str], int] | None = None, name: Callable[[Row], str] = line_name
) -> None:
    """A line an arm or a difference, with its 95 % intervals over test users."""
    cells = {(name(row), row.metric): row for row in rows}
    lines = {name(row): row for row in rows}
    last = [] if seeds is None else ["seeds"]
    print("| | " + " | ".join([*(f"{column}@5" for column in _COLUMNS), *last]) + " |")
    print("|---" * (1 + len(_COLUMNS) + len(last)) + "|")
    for line, row in lines.items():
        values = [_cell(cells[line, column]) for column in _COLUMNS]
        if seeds is not None:
            values.append("" if row.against else str(seeds.get((row.model, row.arm), "")))
        print(printable(f"| {line} | " + " | ".join(values) + " |"))


def _cell(row: Row) -> str:
    sign = "+" if row.against else ""
    if row.value is None:
        return ""
    interval = f"[{row.ends[0]:{sign}.4f}, {row.ends[1]:{sign}.4f}]" if row.ends else row.not_told
    return f"{row.value:{sign}.4f} {interval}".rstrip()
