"""``tacit referee``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def referee(
    files: Annotated[list[Path], typer.Argument(metavar="RUNFILE...", help="Run files (folders) of any systems.")],
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            help="A protocol, may be repeated: standard, full, full-masked, sampled-99, uniform-99, "
            "uniform-99-masked, popularity-99, popularity-99-masked, or another number than 99."
        ),
    ] = None,
    slice: Annotated[list[str] | None, typer.Option(help="A slice to print, such as liked; may be repeated.")] = None,
    candidates: Annotated[Path | None, typer.Option(help="A published candidate file to rank among.")] = None,
    training: Annotated[
        Path | None, typer.Option(help="Training dialogues for the leak audit: a run folder, a config, or a file.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A folder for referee.json, report.html and candidates.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Of the negatives and the resamples.")] = 0,
    draws: Annotated[int, typer.Option(min=10, max=100_000, help="Resamples for the intervals.")] = 1000,
) -> None:
    """Judge run files by every named protocol: ranks, lists, replies, leaks, and differences from the first file.

    Examples:

        tacit referee runs/redial-seed0/evaluate/runs/sft runs/redial-seed0/evaluate/runs/ppo

        tacit referee mine --protocol standard --protocol uniform-99 --training runs/redial-seed0 --out judged
    """
    from tacit.cli.referee import referee as judge_files

    judge_files(files, protocol or [], slice or [], candidates, training, out, seed, draws)
