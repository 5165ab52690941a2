"""``tacit ope``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def ope(
    log: Annotated[
        str, typer.Argument(metavar="LOG", help="A table (csv, jsonl, parquet) of what was shown; or our own log.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for report.html and ope.json.")] = Path("ope"),
    map: Annotated[
        list[str] | None,
        typer.Option("--map", help="OURS=THEIRS: the name of a column of the table, such as logged=pscore."),
    ] = None,
    target: Annotated[
        Path | None, typer.Option("--target", help="A second table: what the policy to be judged would do.")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="Of our own log: the run or policy folder to be judged.")
    ] = None,
    reward: Annotated[
        str, typer.Option("--reward", help="Of our own log: click, accept, 'item label' or 'turn label'.")
    ] = "click",
    labels: Annotated[Path | None, typer.Option("--labels", help="A folder of `tacit labels`.")] = None,
    state: Annotated[
        Path | None,
        typer.Option("--state", help="The server's folder: the policies that were served are asked again, as a check."),
    ] = None,
    past_sessions: Annotated[int, typer.Option("--past-sessions", min=0, help="As the server was told.")] = 3,
    name: Annotated[str, typer.Option("--name", help="What to call the policy of a table.")] = "target",
    primary: Annotated[
        str,
        typer.Option("--primary", help="Whose interval decides, named beforehand: both, SNIPS or snRIPS."),
    ] = "both",
    draws: Annotated[int, typer.Option("--draws", min=100, help="Resamples behind each interval.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Of all that is drawn.")] = 0,
) -> None:
    """What would another policy have earned? Says so from a log, or says that the log cannot tell.

    Examples: `tacit ope log.parquet --map logged=pscore --map reward=click --target policy.csv`, and
    `tacit ope serve/log.sqlite --policy runs/new --labels labels --reward "turn label" --state serve`
    """
    from tacit.cli.ope import of_store, of_table, rules_of
    from tacit.offpolicy.evaluate import Settings

    settings = Settings(draws=draws, seed=seed, rules=rules_of(primary))
    if policy is None:
        of_table(Path(log), map or [], target, name, out, settings)
    else:
        of_store(log, policy, reward, labels, state, past_sessions, out, settings)
