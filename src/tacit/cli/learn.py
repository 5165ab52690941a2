"""``tacit learn``: the folder of each round on stdout."""

from __future__ import annotations

from pathlib import Path

from tacit.pipelines.learn import rounds
from tacit.pipelines.learn.config import LearnConfig
from tacit.run.config import load
from tacit.types import InputError


def learn(
    store: str, run: Path, overrides: list[str], config: Path | None, watch: bool, every_s: float, least: int
) -> None:
    if run == Path():
        raise InputError("--run is missing: name the run folder whose policy wrote this log.")
    settings = load(LearnConfig, config, overrides)
    settings.store = store
    if watch:
        rounds.watch(settings, run, every_s, least)
    else:
        print(rounds.once(settings, run).folder)
