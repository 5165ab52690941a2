"""All stages of a rerank run in order, each skipped when done: prepare, knowledge, train, align, evaluate; report."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from tacit.config import dump, load
from tacit.pipeline import DTYPES, begun, settle
from tacit.report_lists import write_rerank_report
from tacit.rerank_config import RerankConfig, check
from tacit.rerank_evaluation import evaluate
from tacit.rerank_stages import align_rounds, knowledge, prepare, train
from tacit.run import Run
from tacit.types import InputError

log = logging.getLogger("tacit")

STAGES: dict[str, Callable[[Run, RerankConfig, str], None]] = {
    "prepare": prepare,
    "knowledge": knowledge,
    "train": train,
    "align": align_rounds,
    "evaluate": evaluate,
}
# The stage that first reads a section of the settings: until it has begun, the section may still change.
FIRST_READ = {
    "data": "prepare",
    "lists": "prepare",
    "knowledge": "knowledge",
    "writer": "knowledge",
    "ranker": "train",
    "rankers": "train",
    "ranker_seeds": "train",
    "controls": "train",
    "align": "align",
    "features": "evaluate",
    "listwise": "evaluate",
    "strong": "evaluate",
    "strong_seeds": "evaluate",
}
FREE = ("out", "device", "threads", "align.force")


def is_rerank(path: str | Path) -> bool:
    """Does this config file (or run folder) belong to system B? Its first key then says ``system: rerank``."""
    source = Path(path)
    file = source / "config.yaml" if source.is_dir() else source
    return file.is_file() and "system: rerank" in file.read_text(encoding="utf-8", errors="replace").splitlines()


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RerankConfig:
    """From a config file, or from a run folder (then its own settings, written back to the same folder)."""
    source = Path(path)
    again = (source / "config.yaml").is_file()
    config = load(RerankConfig, source / "config.yaml" if again else source, overrides)
    if config.system != "rerank":
        raise InputError(f"{source}: system is {config.system!r}; a config of `tacit rerank` says system: rerank.")
    if config.dtype not in DTYPES:
        raise InputError(f"dtype={config.dtype}: choose one of {', '.join(DTYPES)}.")
    check(config)
    if again and not any(override.startswith("out=") for override in overrides):
        config.out = str(source)
    elif not config.out:
        config.out = f"runs/{source.stem}-seed{config.seed}"
    return config


def run_rerank(config: RerankConfig, only: str | None = None) -> Run:
    """Run what is not done yet: every stage, or ``only`` one, for which the stages before it must be done."""
    folder = Path(config.out)
    waiting = [section for section, stage in FIRST_READ.items() if not begun(folder / stage)]
    run = Run.open(folder, dump(config), config.seed, may_change=[*FREE, *waiting])
    device = str(settle(config.device, config.threads))
    for name in STAGES if only is None else [name for name in STAGES if name == only or name == "prepare"]:
        stage = run.stage(name)
        if stage.done():
            log.info("%s: done already, in %s", name, stage.folder)
            continue
        _require_earlier(run, name)
        log.info("%s: into %s", name, stage.folder)
        STAGES[name](run, config, device)
    if only in (None, "evaluate", "report"):
        _require_earlier(run, "report")
        write_rerank_report(run.folder)
    return run


def _require_earlier(run: Run, name: str) -> None:
    names = [*STAGES, "report"]
    for earlier in names[: names.index(name)]:
        if not (run.folder / earlier / "done.json").is_file():
            raise InputError(
                f"{name} needs the stage {earlier} of {run.folder}: run `tacit rerank {earlier} CONFIG` first."
            )
