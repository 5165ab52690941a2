"""``tacit loop``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def loop(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file such as configs/loop.yaml.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Settings to change, such as sessions=100.")
    ] = None,
) -> None:
    """The whole circle on simulated users, over HTTP: serve, observe, judge, gate, canary, promote, roll back.

    Example: `tacit loop configs/loop.yaml out=runs/loop-demo`
    """
    from tacit.cli.loop import run

    run(config, overrides or [])
