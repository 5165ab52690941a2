"""What a run folder holds so far, read for the report."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from tacit.catalog import Catalog
from tacit.metrics.results import Row, load_rows
from tacit.run.files import read_json, read_parquet, says_when_damaged
from tacit.run.folder import MetricLog
from tacit.types import InputError


@dataclass
class RunFiles:
    """What a run folder holds so far; None or empty where a stage has not been run."""

    folder: Path
    config_text: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    ppo: list[dict[str, Any]] = field(default_factory=list)
    validation: dict[str, Any] | None = None
    calibration: list[dict[str, Any]] = field(default_factory=list)
    users: dict[str, pl.DataFrame] = field(default_factory=dict)
    replies: dict[str, pl.DataFrame] = field(default_factory=dict)
    map: pl.DataFrame | None = None
    titles: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)  # cards of the training, validation and test dialogues
    prepared: dict[str, Any] = field(default_factory=dict)
    aligned: dict[str, Any] = field(default_factory=dict)  # what PPO finished with

    @classmethod
    def read(cls, folder: Path) -> RunFiles:
        if not folder.is_dir():
            raise InputError(f"{folder} is not a run folder: give the folder that `tacit run` wrote.")
        config_text = _text(folder / "config.yaml")
        world = _object(folder / "users" / "world.json") or {}
        calibration = _list(folder / "users" / "calibration.json") or world.get("calibration", [])
        catalogs = [path for stage in ("ppo", "sft") for path in (folder / stage / "policy" / "catalog.jsonl",)]
        catalog = next((Catalog.load(path) for path in catalogs if path.is_file()), None)
        map_path = folder / "evaluate" / "map.parquet"
        return cls(
            folder,
            config_text,
            _settings(folder / "config.yaml", config_text),
            _object(folder / "run.json") or {},
            load_rows(folder / "results.json") if (folder / "results.json").is_file() else [],
            MetricLog(folder / "ppo" / "metrics.jsonl").rows(),
            _object(folder / "reward" / "validation.json"),
            calibration,
            _tables(folder / "evaluate" / "users"),
            _tables(folder / "evaluate" / "replies"),
            read_parquet(map_path, _REMEDY) if map_path.is_file() else None,
            {item.id: item.title for item in catalog} if catalog else {},
            (_object(folder / "prepare" / "data.json") or {}) | (_object(folder / "evaluate" / "data.json") or {}),
            _object(folder / "prepare" / "done.json") or {},
            _object(folder / "ppo" / "done.json") or {},
        )

    @property
    def dataset(self) -> str:
        return self.rows[0].dataset if self.rows else str(self.config.get("data", {}).get("name", "unknown data"))

    @property
    def forced(self) -> bool:
        """PPO was told to use a reward model that failed."""
        failed = self.validation is not None and not self.validation.get("passed")
        return bool(failed and (self.ppo or self.config.get("reward", {}).get("force")))


def find_row(
    rows: Iterable[Row], model: str, name: str, slice: str = "", protocol: str = "", against: str = ""
) -> Row | None:
    """The first row of a model (or of its difference from ``against``); empty = any. ``protocol``: its ending."""
    return next(
        (
            row
            for row in rows
            if (row.model, row.against, row.name) == (model, against, name)
            and slice in ("", row.slice)
            and row.protocol.endswith(protocol)
        ),
        None,
    )


_REMEDY = "delete the folder of its stage, and run the stage again."


def _text(path: Path) -> str:
    with says_when_damaged(path, _REMEDY):
        return path.read_text(encoding="utf-8") if path.is_file() else ""


def _settings(path: Path, text: str) -> dict[str, Any]:
    with says_when_damaged(path, f"restore it from a copy, or delete {path.parent} to start again."):
        return dict(yaml.safe_load(text) or {})


def _object(path: Path) -> dict[str, Any] | None:
    """What a stage wrote; None where it has not run."""
    return read_json(path, _REMEDY) if path.is_file() else None


def _list(path: Path) -> list[dict[str, Any]]:
    with says_when_damaged(path, _REMEDY):
        return [dict(row) for row in json.loads(_text(path) or "[]")]


def _tables(folder: Path) -> dict[str, pl.DataFrame]:
    return {path.stem: read_parquet(path, _REMEDY) for path in sorted(folder.glob("*.parquet"))}
