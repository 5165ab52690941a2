"""``tacit learn``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tacit.cli.arguments import Overrides


def learn(
    store: Annotated[str, typer.Argument(metavar="STORE", help="The log: a file, or postgresql://user@host/database.")],
    overrides: Overrides = None,
    run: Annotated[
        Path, typer.Option(metavar="RUN", help="The run whose policy logged; rounds go into RUN/learn.")
    ] = Path(),
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="A YAML file of settings.")] = None,
    watch: Annotated[bool, typer.Option("--watch/--once", help="Go on, a round whenever the log has grown.")] = False,
    every: Annotated[float, typer.Option(min=1.0, help="Seconds between looks at the log, watching.")] = 60.0,
    least: Annotated[int, typer.Option(min=1, help="New mature turns that a round waits for, watching.")] = 500,
) -> None:
    """Learn from the log: labels, the reward, and a step that stays near the policy that logged.

    A round is a run folder with a candidate in step/policy; what is served stays. One that was killed goes on.

    Examples:

        tacit learn runs/mine/serve/log.sqlite --run runs/mine

        tacit learn log.sqlite --run runs/mine method=kto step.kl_limit=0.2 labels.window_s=3600

        tacit learn log.sqlite --run runs/mine --watch --least 2000

    Is the candidate better? `tacit ope` on its step/held_out.parquet, or on a later log, says so; then `tacit gate`.
    """
    from tacit.cli.learn import learn as begin

    begin(store, run, overrides or [], config, watch, every, least)
