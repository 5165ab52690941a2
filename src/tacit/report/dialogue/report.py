"""A run folder → one self-contained HTML page. It reads files only, so a run that is half done has a report too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tacit.metrics.results import load_rows
from tacit.report import page
from tacit.report.dialogue import evidence, findings
from tacit.report.dialogue.beside import comparison
from tacit.report.dialogue.data import your_data
from tacit.report.dialogue.headline import headline, lead
from tacit.report.dialogue.replies import beside as replies_beside
from tacit.report.dialogue.sources import source_of
from tacit.report.provenance import provenance
from tacit.report.run_files import RunFiles


def write_report(run_folder: str | Path, beside: Sequence[str | Path] = (), title: str = "") -> Path:
    """Write ``report.html`` into the run folder; ``beside`` are other runs to compare with (ablations, seeds).

    ``title`` is the page's heading in place of the folder's name.
    """
    folder = Path(run_folder)
    run = RunFiles.read(folder)
    others = {Path(other).name: load_rows(Path(other) / "results.json") for other in beside}
    parts: list[tuple[str, str, Callable[[], str]]] = [
        ("data", "Your data", lambda: your_data(run)),
        ("short", "What happened", lambda: headline(run)),
        ("results", "Does it recommend better?", lambda: findings.ranking(run)),
        ("users", "Are simulated users better off?", lambda: findings.users(run)),
        ("training", "What happened during PPO", lambda: evidence.training(run)),
        ("reward", "Can the reward be trusted?", lambda: evidence.reward(run)),
        ("dialogues", "The same users, before and after", lambda: evidence.dialogues(run)),
        ("language", "What it writes", lambda: findings.language(run)),
    ]
    if others:
        folders = {Path(other).name: Path(other) for other in beside}

        def runs() -> str:
            return comparison({folder.name: run.rows} | others) + replies_beside(
                run.replies, folders, source_of(run).replies
            )

        parts.append(("runs", "Beside other runs", runs))
    parts += [
        ("emulated", "What is emulated, and what is not", lambda: evidence.emulated(run)),
        ("definitions", "How to read the numbers", lambda: evidence.definitions(run)),
        ("config", "How this run was made", lambda: provenance(run)),
    ]
    sections = [(name, heading, make()) for name, heading, make in parts]
    return page.write(folder, evidence.meta(run), lead(run), sections, title)
