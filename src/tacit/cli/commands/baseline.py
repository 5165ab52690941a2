"""``tacit baseline``."""

from __future__ import annotations

from typing import Annotated

import typer

from tacit.cli.arguments import Config, Overrides


def baseline(
    name: Annotated[
        str,
        typer.Argument(
            help="popularity, copy, co-occurrence, co-occurrence+copy, bm25, dense, sasrec, bert4rec, or llm."
        ),
    ],
    config: Config,
    overrides: Overrides = None,
) -> None:
    """Rank the test by a baseline, trained and chosen on the same data, and write RUN/baselines/NAME for the referee.

    Examples:

        tacit baseline bm25 runs/redial-seed0

        tacit baseline sasrec configs/redial.yaml data.path=DIR seed=1 sasrec.width=128

        tacit baseline llm runs/redial-seed0 llm.url=http://127.0.0.1:8000/v1 llm.model=M
    """
    from tacit.cli.baseline import baseline as write

    write(name, config, overrides or [])
