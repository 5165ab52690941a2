"""``tacit results``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tacit.run.terminal import printable


def results(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders whose evaluation is done.")],
) -> None:
    """Print the tables of one or more runs as Markdown: mean and deviation over seeds, or a single run's intervals.

    Example: `tacit results runs/redial-seed0 runs/redial-seed1 runs/redial-seed2 > tables.md`
    """
    from tacit.metrics.markdown import markdown
    from tacit.metrics.results import combine

    print(printable(markdown(combine(runs)), layout="\n"), end="")
