"""``tacit referee``: every protocol from run files, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tacit.data.dialogues import logs
from tacit.data.dialogues.sources import load_training
from tacit.pipelines.dialogue import load_config
from tacit.referee.judge import DEFAULT, Settings, judge
from tacit.referee.read import read_run
from tacit.referee.tables import SLICES, save, terminal
from tacit.report.referee import write_page
from tacit.run.terminal import printable
from tacit.types import Dialogue, InputError


def referee(
    files: Sequence[Path],
    protocols: Sequence[str],
    slices: Sequence[str],
    candidates: Path | None,
    training: Path | None,
    out: Path | None,
    seed: int,
    draws: int,
) -> None:
    """Print the tables; with ``out`` also write referee.json, report.html and the candidate files there."""
    runs = [read_run(file) for file in files]
    known = list(read_training(training)) if training else None
    verdict = judge(runs, protocols or DEFAULT, Settings(seed, draws, candidates), known)
    _require_slices(slices, {row.slice for row in verdict.rows})
    print(printable(terminal(verdict, slices or SLICES), layout="\n"), end="")
    if out is not None:
        save(verdict, out, seed)
        print(printable(write_page(verdict, out)))


def read_training(path: Path) -> Sequence[Dialogue]:
    """Training and validation dialogues: of a run folder's or a config's data, or of a file in the dialogue-v1 form."""
    if path.is_dir() or path.suffix in (".yaml", ".yml"):
        split = load_training(load_config(path).data)[1]
        return (*split.train, *split.valid)
    if not path.is_file():
        raise InputError(f"{path} does not exist: give a run folder, a config, or a file of dialogues, one a line.")
    return [dialogue for _, dialogue in logs.read(path, None)]


def _require_slices(asked: Sequence[str], there: set[str]) -> None:
    for slice in asked:
        if slice not in there:
            raise InputError(f"slice {slice!r} has no cases here: choose of {', '.join(sorted(there))}.")
