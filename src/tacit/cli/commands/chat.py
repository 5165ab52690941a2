"""``tacit chat``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tacit.cli.arguments import Verify


def chat(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or a policy folder in one.")],
    stage: Annotated[str, typer.Option(help="Which policy: ppo or sft. Default: the last that is there.")] = "",
    seed: Annotated[int, typer.Option(help="Of the policy's draws.")] = 0,
    greedy: Annotated[bool, typer.Option(help="Always the likeliest turn, no sampling.")] = False,
    temperature: Annotated[
        float, typer.Option(min=0.01, max=100.0, help="Of a reply's words; what is shown is drawn as ever.")
    ] = 0.7,
    recommend: Annotated[bool, typer.Option("--recommend", help="Show items in every turn.")] = False,
    items: Annotated[Path | None, typer.Option(help="Items file: those not in the catalogue are added to it.")] = None,
    verify: Verify = True,
) -> None:
    """Talk to a trained policy in the terminal: /why, /reset, /help; an empty line or Ctrl-D ends.

    Example: `tacit chat runs/demo-seed0`
    """
    from tacit.cli.chat import chat as talk

    talk(run_folder, stage, seed, greedy, items, verify, recommend, temperature)
