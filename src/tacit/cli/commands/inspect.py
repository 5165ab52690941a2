"""``tacit inspect ...``."""

from __future__ import annotations

from typing import Annotated

import typer

from tacit.cli.arguments import Config, Overrides

app = typer.Typer(no_args_is_help=True, help="Look inside a run.")


@app.command("mask")
def mask(
    config: Config,
    overrides: Overrides = None,
    dialogue: Annotated[str, typer.Option(help="Id of a training dialogue. Default: the first with a slate.")] = "",
) -> None:
    """Show one dialogue token by token, with the weight of each in the SFT and PPO losses.

    Example: `tacit inspect mask runs/demo-seed0`
    """
    from tacit.cli.mask import show

    show(config, overrides or [], dialogue)
