"""``tacit ope``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def ope(
    log: Annotated[str, typer.Argument(metavar="LOG", help="A table (csv, jsonl, parquet) of what was shown.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for report.html and ope.json.")] = Path("ope"),
    map: Annotated[
        list[str] | None, typer.Option("--map", help="OURS=THEIRS: the name of a column, such as logged=pscore.")
    ] = None,
    target: Annotated[
        Path | None, typer.Option("--target", help="A second table: what the policy to be judged would do.")
    ] = None,
    name: Annotated[str, typer.Option("--name", help="What to call the policy to be judged.")] = "target",
    draws: Annotated[int, typer.Option("--draws", min=100, help="Resamples behind each interval.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the resamples.")] = 0,
) -> None:
    """What would another policy have earned? Says so from a log, or says that the log cannot tell.

    Example: `tacit ope log.parquet --map logged=pscore --map reward=click --target policy.csv`
    """
    from tacit.cli.ope import of_table
    from tacit.offpolicy.evaluate import Settings

    of_table(Path(log), map or [], target, name, out, Settings(draws=draws, seed=seed))
