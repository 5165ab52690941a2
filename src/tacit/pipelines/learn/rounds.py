"""Rounds one after another: each in a folder of its own, started when the log has grown enough."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa

from tacit.events.store import open_store
from tacit.events.tables import exposures
from tacit.pipelines.learn.config import LearnConfig
from tacit.pipelines.learn.round import run_round, summary
from tacit.run.config import load
from tacit.run.folder import Run
from tacit.serve.registry import Registry
from tacit.types import InputError

log = logging.getLogger("tacit")
TOLD = ("method", "exposures", "kl", "ess", "reward", "reward_snips")  # of a round, where it has them
GIVEN_UP = "given-up"  # the mark of a round that a watch could not do


def rounds(folder: Path) -> list[Path]:
    """Those of a run, in order."""
    return sorted((folder / "learn").glob("round-[0-9][0-9][0-9][0-9]"))


def once(config: LearnConfig, run_folder: Path, now_ms: int | None = None) -> Run:
    """The round that was begun and not ended, else a new one. ``config.out`` and ``as_of`` are the round's own."""
    run = run_round(_begun(config, run_folder) or _next(config, run_folder, now_ms))
    found = summary(run)
    log.info("learn: %s: %s", run.folder, ", ".join(_told(k, v) for k, v in found["step"].items() if k in TOLD))
    return run


def _told(name: str, value: object) -> str:
    return f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"


def watch(
    config: LearnConfig,
    run_folder: Path,
    every_s: float,
    least_new: int,
    most: int | None = None,
    sleep: Callable[[float], None] = time.sleep,
    now_ms: Callable[[], int] = lambda: int(time.time() * 1000),
) -> None:
    """A round whenever the log has ``least_new`` exposures more that may be mature; ``most``: end after so many.

    A round that cannot be done, such as one with too little to learn from, is told, and tried again with more.
    """
    done = 0
    while most is None or done < most:
        begun = _begun(config, run_folder)
        if begun is not None or new_exposures(config, run_folder, now_ms()) >= least_new:
            try:
                once(config, run_folder, now_ms())
            except InputError as error:
                log.warning("learn: %s", error)
                _give_up(run_folder)
            done += 1
        if most is None or done < most:
            sleep(every_s)


def new_exposures(config: LearnConfig, run_folder: Path, now_ms: int) -> int:
    """Of the window that no earlier round could see as mature."""
    window_ms = round(config.labels.window_s * 1000)
    since = max((load(LearnConfig, path / "config.yaml", saved=True).as_of for path in _opened(run_folder)), default=0)
    made = exposures.c.created_ms
    store = open_store(config.store)
    try:
        with store.reading() as connection:
            found = sa.select(sa.func.count()).where(made > since - window_ms, made <= now_ms - window_ms)
            return int(connection.scalar(found) or 0)
    finally:
        store.close()


def _opened(run_folder: Path) -> list[Path]:
    return [path for path in rounds(run_folder) if (path / "config.yaml").is_file()]


def _begun(config: LearnConfig, run_folder: Path) -> LearnConfig | None:
    """The last round with the settings it was begun with, where it has not ended."""
    last = next(reversed(_opened(run_folder)), None)
    if last is None or (last / "round.json").is_file() or (last / GIVEN_UP).is_file():
        return None
    kept = load(LearnConfig, last / "config.yaml", saved=True)
    again = {name: getattr(config, name) for name in ("store", "device", "threads")}
    return replace(kept, out=str(last), **again)


def _give_up(run_folder: Path) -> None:
    last = next(reversed(_opened(run_folder)), None)
    if last is not None and not (last / "round.json").is_file():
        (last / GIVEN_UP).touch()


def _next(config: LearnConfig, run_folder: Path, now_ms: int | None) -> LearnConfig:
    number = int(rounds(run_folder)[-1].name.removeprefix("round-")) + 1 if rounds(run_folder) else 1
    as_of = config.as_of or now_ms or int(time.time() * 1000)
    policy = config.policy or str(served_policy(run_folder))
    return replace(config, out=str(run_folder / "learn" / f"round-{number:04d}"), as_of=as_of, policy=policy)


def served_policy(run_folder: Path) -> Path:
    """What a server of this run serves now; of one that was never served, the last policy it has."""
    registry = Registry(run_folder / "serve" / "registry")
    current = registry.current() if (run_folder / "serve" / "registry").is_dir() else None
    if current is not None:
        return registry.path(current)
    for stage in ("ppo", "sft"):
        if (run_folder / stage / "policy" / "policy.json").is_file():
            return run_folder / stage / "policy"
    raise InputError(f"{run_folder} holds no policy: give policy=FOLDER, the one that logged.")
