"""``tacit doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def doctor(
    configs: Annotated[list[Path] | None, typer.Argument(metavar="CONFIG...", help="Default: those shipped.")] = None,
) -> None:
    """Say what this machine has, what each config needs, and what to do about what is missing. Asks no network.

    Example: `tacit doctor configs/redial.yaml`
    """
    from tacit.cli.doctor import doctor as examine

    examine(configs or [])
