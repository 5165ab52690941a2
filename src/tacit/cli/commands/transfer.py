"""``tacit transfer``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tacit.cli.arguments import Overrides


def transfer(
    source: Annotated[
        Path, typer.Argument(metavar="RUN", help="A run folder whose policies are finished, or a policy folder.")
    ],
    config: Annotated[
        str, typer.Argument(metavar="CONFIG", help="Other data: a YAML file such as configs/opendialkg.yaml, or a run.")
    ],
    overrides: Overrides = None,
) -> None:
    """Rank the test of other data by policies that never saw them, beside the trivial rankers trained there.

    Items are read from their texts; nothing is trained. An item with the id and the text of one that the policy knows
    keeps what was learnt of it, so that a policy at home is itself. Rows: sft, ppo, and untrained, which is the policy
    before any training. Writes the tables into results.json, and run files for `tacit referee` into runs/.

    Examples:

        tacit transfer runs/redial-seed0 configs/opendialkg.yaml data.path=DIR data.domain=books out=runs/books

        tacit referee runs/books/runs/ppo runs/books/runs/sft runs/books/runs/popularity
    """
    from tacit.cli.transfer import transfer as measure

    measure(source, config, overrides or [])
