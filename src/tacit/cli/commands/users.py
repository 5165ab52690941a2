"""``tacit users ...``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tacit.cli.arguments import Config, Overrides

app = typer.Typer(no_args_is_help=True, help="Look at the simulated users.")


@app.command("check")
def check(
    config: Config,
    overrides: Overrides = None,
    test: Annotated[bool, typer.Option("--test", help="The test's seekers, instead of those held apart.")] = False,
    dialogues: Annotated[int, typer.Option(min=0, help="So many of them, drawn by the seed; 0: all.")] = 0,
    iard: Annotated[
        Path | None, typer.Option(metavar="FILE", help="IARD's labels: says how well acts are read from words.")
    ] = None,
    to: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the scores, as JSON.")] = None,
) -> None:
    """Foretell what real people did next by the simulated users' own rules, and score it beside trivial guesses.

    The users are fitted on the training dialogues; the people are others. Two rows are users broken on purpose.

    Examples:

        tacit users check configs/redial.yaml data.path=DIR

        tacit users check configs/redial.yaml data.path=DIR seed=1 --test --iard umap2020_IARD_Cai.json.gz
    """
    from tacit.cli.users import check as run

    for line in run(config, overrides or [], test, dialogues, iard, to):
        print(line)


@app.command("export")
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder whose stage ppo has played conversations.")],
    form: Annotated[Literal["trl-kto", "verl"], typer.Option(help="Whose data form.")],
    to: Annotated[Path, typer.Option(metavar="FILE", help="JSON lines for TRL, Parquet for verl.")],
) -> None:
    """Write the conversations that PPO played, with their rewards, in the data form of a trainer elsewhere.

    What the simulated users felt is not among it.

    Examples:

        tacit users export runs/redial-seed0 --form trl-kto --to kto.jsonl

        tacit users export runs/redial-seed0 --form verl --to train.parquet
    """
    from tacit.environments.episodes import write_episodes

    print(f"{to}: {write_episodes(run, form, to):,} rows")
