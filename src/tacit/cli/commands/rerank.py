"""``tacit rerank ...``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from tacit.cli.arguments import Config, Overrides
from tacit.cli.commands.pipelines import rerank_stages

app = typer.Typer(
    no_args_is_help=True,
    help="""Teach a language model which preferences to write, by what a reranker makes of them.

`tacit run configs/rlrf4rec/ml100k.yaml data.path=DIR` does every stage; these commands do one each.""",
)

STAGES = {
    "prepare": """Build the lists, and write their card with its bounds on validation users.""",
    "knowledge": """Train the small writer (unless one is given), and write a text about every user. Needs prepare.""",
    "train": """Train the rerankers without texts, with the first texts, and with the controls. Needs knowledge.""",
    "align": """Rounds of sampling, scoring, pairs and DPO (or PPO), each with new texts and rerankers. Needs train.

Refuses pairs that are noise; `align.force=true` trains on them all the same.""",
    "evaluate": """Measure every reranker on the test users' lists beside the bounds; write the report. Needs align.""",
}


@app.command("protocol")
def rerank_protocol(
    config: Config,
    overrides: Overrides = None,
    every_order: Annotated[bool, typer.Option(help="The bounds under every sort rule that the data allow.")] = False,
) -> None:
    """Print the card of the lists, and random, popularity, label rate, seen bit, exposure oracle and oracle on them.

    Example: `tacit rerank protocol configs/rlrf4rec/ml1m.yaml data.path=DIR`
    """
    from tacit.cli.rerank import protocol

    protocol(config, overrides or [], every_order)


def _stage(name: str) -> Callable[..., None]:
    def command(config: Config, overrides: Overrides = None) -> None:
        rerank_stages(config, overrides, name)

    return command


for _name, _help in STAGES.items():
    app.command(_name, help=_help)(_stage(_name))


@app.command("pool")
def rerank_pool(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Finished runs of one protocol.")],
) -> None:
    """Print the tables of several runs as one, such as those of two writer seeds, and where their noise comes from.

    Example: `tacit rerank pool runs/ml1m-seed0 runs/ml1m-seed1`
    """
    from tacit.cli.rerank_runs import pool

    pool(runs)


@app.command("compare")
def rerank_compare(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN OTHER...", help="Finished runs of one protocol; RUN,RUN with a comma are pooled."),
    ],
) -> None:
    """Print in which settings runs differ from the first, and by how much their lines do, paired on the test lists.

    Example: `tacit rerank compare runs/ml1m-seed0 runs/random-pairs`

    Two writer seeds each: `tacit rerank compare runs/seed0,runs/seed1 runs/random0,runs/random1`
    """
    from tacit.cli.rerank_runs import compare

    compare(runs)


@app.command("fork")
def rerank_fork(
    source: Annotated[Path, typer.Argument(metavar="RUN", help="A run whose rerankers are trained.")],
    folder: Annotated[Path, typer.Argument(metavar="NEW", help="The folder of its copy.")],
    overrides: Overrides = None,
) -> None:
    """Copy a run up to its rerankers, to align the same writer in another way; no writer is trained again.

    Settings of align and evaluate may change, and rankers and controls may be left out: `rankers=[dlcm] controls=[]`.

    Example: `tacit rerank fork runs/seed0 runs/random align.pairs=random`, then `tacit run runs/random`
    """
    from tacit.cli.rerank_runs import fork

    fork(source, folder, overrides or [])
