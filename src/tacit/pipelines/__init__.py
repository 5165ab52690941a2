"""A run from typed settings: the stages of system A (``RunConfig``) or of system B (``RerankConfig``), in order.

config = pipelines.load_config("configs/demo.yaml", ["seed=1"])     # or pipelines.RunConfig(...)
run = pipelines.run(config, out="runs/mine")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tacit.pipelines.dialogue import RunConfig
    from tacit.rerank.stages.config import RerankConfig
    from tacit.run.folder import Run

__all__ = ["RerankConfig", "RunConfig", "load_config", "run"]

_HOMES = {"RunConfig": "tacit.pipelines.dialogue", "RerankConfig": "tacit.rerank.stages.config"}


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig | RerankConfig:
    """Settings from a YAML file or a run folder, then ``overrides`` such as "ppo.lr=5e-6"; the file says which system.

    Raises ``InputError`` with the key and the remedy where a name or a value is wrong.
    """
    from tacit.pipelines import dialogue, rerank

    if rerank.is_rerank(path, overrides):
        return rerank.load_config(path, overrides)
    return dialogue.load_config(path, overrides)


def run(
    config: RunConfig | RerankConfig, *, out: str | Path = "", only: str | None = None, allow_import: bool = False
) -> Run:
    """Do what is not done yet in the folder ``out`` (empty = ``config.out``), and return the run; its ``.folder`` holds
    ``results.json`` and ``report.html``.

    Every stage, or ``only`` the one of this name, for which those before it must be done. A run that was stopped goes
    on where it was. ``allow_import``: signals.sentiment may name a function as package.module:function, which imports
    that module. Raises ``InputError`` for settings that do not go together, or that differ from the folder's own.
    """
    from tacit.pipelines import dialogue, rerank
    from tacit.rerank.stages.config import RerankConfig, check
    from tacit.run.config import check_types
    from tacit.text.sentiment_names import imports_allowed
    from tacit.types import InputError

    if not out and not config.out:
        raise InputError("out is not set: name the run's folder, such as pipelines.run(config, out='runs/mine').")
    check_types(config)
    if isinstance(config, RerankConfig):
        check(config)
        return rerank.run_rerank(replace(config, out=str(out or config.out)), only)
    with imports_allowed(allow_import):
        return dialogue.run_pipeline(replace(config, out=str(out or config.out)), only)


def __getattr__(name: str) -> object:
    if name in _HOMES:
        value: object = getattr(import_module(_HOMES[name]), name)
        return value
    raise AttributeError(f"module 'tacit.pipelines' has no attribute '{name}'")
