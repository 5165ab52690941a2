"""All stages of a rerank run in order, each skipped when done: prepare, knowledge, train, align, evaluate; report."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from tacit.report.rerank.report import write_rerank_report
from tacit.rerank.stages.align import align_rounds
from tacit.rerank.stages.config import RerankConfig, check
from tacit.rerank.stages.evaluate import evaluate
from tacit.rerank.stages.knowledge import knowledge, prepare, train
from tacit.run.config import stated
from tacit.run.folder import Run
from tacit.run.network import allow_download
from tacit.run.stages import StageTable, load_settings, settings_file
from tacit.text.adapters import read_adapters
from tacit.text.gguf import gguf_file, is_gguf
from tacit.types import InputError

LARGE_WIDTH = 1024  # about that of a language model from a hub

STAGES = StageTable[RerankConfig](
    "tacit rerank",
    {"prepare": prepare, "knowledge": knowledge, "train": train, "align": align_rounds, "evaluate": evaluate},
    first_read={
        "data": "prepare",
        "lists": "prepare",
        "knowledge": "knowledge",
        "writer": "knowledge",
        "ranker": "train",
        "rankers": "train",
        "ranker_seeds": "train",
        "controls": "train",
        "control_seeds": "train",
        "align": "align",
        "features": "evaluate",
        "listwise": "evaluate",
        "strong": "evaluate",
        "strong_seeds": "evaluate",
    },
    free=("out", "device", "threads", "align.force"),
    width=lambda config: config.knowledge.lm.width if config.knowledge.writer == "small" else LARGE_WIDTH,
)


def is_rerank(path: str | Path, overrides: Sequence[str] = ()) -> bool:
    """Is this a config (or a run folder) of system B? With its includes and overrides it says ``system: rerank``."""
    return stated("system", settings_file(path), overrides) == "rerank"


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RerankConfig:
    """From a config file, or from a run folder (then its own settings, written back to the same folder)."""
    config = load_settings(RerankConfig, path, overrides)
    if config.system != "rerank":
        raise InputError(f"{path}: system is {config.system!r}; a config of `tacit rerank` says system: rerank.")
    check(config)
    return config


def run_rerank(config: RerankConfig, only: str | None = None, title: str = "") -> Run:
    """Run what is not done yet: every stage, or ``only`` one, for which the stages before it must be done.

    ``title`` is the report's heading in place of the run folder's name.
    """
    with STAGES.held(config):
        config = STAGES.settled(config)
        run = STAGES.open(config)
        if not run.stage("knowledge").done():
            require_writer(config.knowledge.writer)
        STAGES.do(run, config, only)
        if only in (None, "evaluate", "report"):
            STAGES.require_before(run, "report")
            write_rerank_report(run.folder, title)
    return run


def require_writer(writer: str) -> None:
    """Before any stage: a GGUF file that is not there, and of a writer that the hub may have adapters without a base or
    as a pickle, are refused."""
    if is_gguf(writer):
        gguf_file(writer, "knowledge.writer")
    elif writer not in ("small", "endpoint", "none") and not Path(writer).exists():
        with contextlib.suppress(ValueError):  # no name that the hub could have: loading says so
            allow_download("knowledge.writer", writer)
        read_adapters(writer, "knowledge.writer")
