"""``tacit wishes``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tacit.cli.arguments import Verify
from tacit.run.terminal import printable


def wishes(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or a policy folder in one.")],
    file: Annotated[
        list[Path] | None, typer.Option(help="A list of wishes, one a line; may be repeated. Default: those shipped.")
    ] = None,
    made: Annotated[int, typer.Option(min=0, help="Wishes made of the catalogue's attributes, without --file.")] = 300,
    seed: Annotated[int, typer.Option(help="Of the wishes that are made, and of the policy's draws.")] = 0,
    verify: Verify = True,
) -> None:
    """Score what a policy shows by what was wished: the share of shown items that satisfy all of a wish.

    The catalogue's facts decide. Beside the policies (told to recommend, and free to) stand the most popular items that
    the parser finds in the wish, and the most popular ones. Writes RUN/wishes.json.

    Example: `tacit wishes runs/redial-seed0`
    """
    from tacit.cli.wishes import wishes as score

    for line in score(run_folder, file or [], made, seed, verify):
        print(printable(line), flush=True)
