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
        str | None,
        typer.Option("--reward", help="Of our own log: click (default), accept, 'item label' or 'turn label'."),
    ] = None,
    labels: Annotated[Path | None, typer.Option("--labels", help="A folder of `tacit labels`.")] = None,
    state: Annotated[
        Path | None,
        typer.Option("--state", help="The server's folder: the policies that were served are asked again, as a check."),
    ] = None,
    past_sessions: Annotated[
        int, typer.Option("--past-sessions", min=0, help="Of our own log: as the server was told.")
    ] = 3,
    name: Annotated[
        str | None, typer.Option("--name", help="What to call the policy of a table. Default: its target_version.")
    ] = None,
    primary: Annotated[
        str,
        typer.Option("--primary", help="Whose interval decides, named beforehand: both, SNIPS or snRIPS."),
    ] = "both",
    draws: Annotated[int, typer.Option("--draws", min=100, help="Resamples behind each interval.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Of all that is drawn.")] = 0,
) -> None:
    """What would another policy have earned? Says so from a log, or says that the log cannot tell.

    A table needs the columns logged, target and reward (or slate_reward); with round, place, item, context, session,
    user and version more can be checked. The verdict and its reasons are printed, report.html says what may be
    believed, and ope.json is what `tacit gate` reads.

    Examples:

    `tacit ope log.csv --map logged=pscore --map reward=click --target policy.csv`

    `tacit ope runs/mine/serve/log.sqlite --policy runs/new --state runs/mine/serve`
    """
    from tacit.cli.ope import of_store, of_table, only_of, rules_of
    from tacit.offpolicy.evaluate import Settings

    settings = Settings(draws=draws, seed=seed, rules=rules_of(primary))
    if policy is None:
        only_of("our own log, which needs --policy", {"--reward": reward, "--labels": labels, "--state": state})
        of_table(Path(log), map or [], target, name, out, settings)
    else:
        only_of("a table, without --policy", {"--map": map, "--target": target, "--name": name})
        of_store(log, policy, reward or "click", labels, state, past_sessions, out, settings)
