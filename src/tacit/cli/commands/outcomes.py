"""``tacit outcomes``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tacit.cli.arguments import Config, Overrides


def outcomes(
    config: Config,
    overrides: Overrides = None,
    beside: Annotated[
        list[Path] | None, typer.Option(metavar="RUN", help="A run of another seed, for one table; may be repeated.")
    ] = None,
) -> None:
    """Learn from what people did with what was named, beside imitation of the same dialogues.

    Stages: prepare, sft (on half of the people), learn (on the others, by every learner), evaluate. Those that are done
    are skipped. RUN/learn/NAME/policy is a policy like any other; RUN/results.json holds the numbers.

    Examples:

        tacit outcomes configs/outcomes.yaml data.path=~/data/redial

        tacit outcomes configs/outcomes.yaml data.path=~/data/redial seed=1

        tacit outcomes runs/outcomes-seed0 --beside runs/outcomes-seed1     (one table of two seeds)
    """
    from tacit.pipelines.outcomes.config import OutcomesRunConfig
    from tacit.pipelines.outcomes.stages import run_outcomes
    from tacit.pipelines.outcomes.table import markdown, write_results
    from tacit.run.stages import load_settings

    settings = load_settings(OutcomesRunConfig, config, overrides or [])
    run = run_outcomes(settings)
    folders = [run.folder, *(beside or [])]
    print(markdown(write_results(folders, settings.data.name, settings.draws), len(folders)), end="")
    print(run.folder)
