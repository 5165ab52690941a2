"""``tacit score``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tacit.cli.arguments import Verify


def score(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder whose reward stage is done.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Dialogues, one a line (see `tacit data convert`).")],
    verify: Verify = True,
) -> None:
    """Print the reward and its channels of every agent turn of FILE, one JSON object a line.

    Example: `tacit score runs/redial-seed0 dialogues.jsonl > scores.jsonl`
    """
    from tacit.cli.score import score as score_file

    score_file(run_folder, file, verify)
