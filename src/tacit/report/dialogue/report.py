"""A run folder → one self-contained HTML page. It reads files only, so a run that is half done has a report too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tacit.metrics.results import load_rows
from tacit.report import page
from tacit.report.dialogue import evidence as process
from tacit.report.dialogue import findings as results
from tacit.report.provenance import provenance
from tacit.report.run_files import RunFiles


def write_report(run_folder: str | Path, beside: Sequence[str | Path] = ()) -> Path:
    """Write ``report.html`` into the run folder; ``beside`` are other runs to compare with (ablations, seeds)."""
    folder = Path(run_folder)
    run = RunFiles.read(folder)
    others = {Path(other).name: load_rows(Path(other) / "results.json") for other in beside}
    parts: list[tuple[str, str, Callable[[], str]]] = [
        ("results", "Does it recommend better?", lambda: results.ranking(run)),
        ("users", "Are simulated users better off?", lambda: results.users(run)),
        ("training", "What happened during PPO", lambda: process.training(run)),
        ("reward", "Can the reward be trusted?", lambda: process.reward(run)),
        ("dialogues", "The same users, before and after", lambda: process.dialogues(run)),
        ("language", "What it writes", lambda: results.language(run)),
    ]
    if others:
        parts.append(("runs", "Beside other runs", lambda: results.comparison({folder.name: run.rows} | others)))
    parts += [
        ("emulated", "What is emulated, and what is not", lambda: process.emulated(run)),
        ("definitions", "How to read the numbers", lambda: process.definitions(run)),
        ("config", "How this run was made", lambda: provenance(run)),
    ]
    return page.write(
        folder, process.meta(run), results.lead(run), [(name, title, make()) for name, title, make in parts]
    )
