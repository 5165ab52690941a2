"""``tacit loop``: where the report is, on stdout."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from tacit.cli.serve import NEEDED
from tacit.run.config import load
from tacit.types import InputError


def run(config: Path, overrides: list[str]) -> None:
    for name in NEEDED:
        if importlib.util.find_spec(name) is None:
            raise InputError(f"{name} is not installed: pip install 'tacit-rec[serve]'.")
    from tacit.pipelines.loop.loop import run_loop
    from tacit.pipelines.loop.settings import LoopConfig

    print(run_loop(load(LoopConfig, config, overrides)) / "report.html")
