"""A run folder: the resolved config, where the code stood, one folder a stage, metrics as JSON lines, resume.

runs/redial-seed0/
  config.yaml   every setting, resolved        run.json   commit, seed, versions, and what changed on later openings
  sft/          metrics.jsonl, checkpoints/, the stage's results, and done.json when it has finished
"""

from __future__ import annotations

import json
import logging
import math
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from tacit.run.checkpoint import Checkpoint, Checkpoints, pack_optimizer, pack_rng, unpack_optimizer, unpack_rng
from tacit.run.config import differences
from tacit.run.distributed import barrier, is_writer
from tacit.run.files import atomic_folder, atomic_write, read_json, says_when_full, says_when_unwritable, sync_tree
from tacit.run.processor import instructions
from tacit.run.progress import progress
from tacit.run.version import VERSION
from tacit.types import InputError

__all__ = [
    "Checkpoint",
    "Checkpoints",
    "MetricLog",
    "Run",
    "Stage",
    "atomic_folder",
    "atomic_write",
    "pack_optimizer",
    "pack_rng",
    "progress",
    "unpack_optimizer",
    "unpack_rng",
    "within",
]

log = logging.getLogger("tacit")

_PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "scipy", "implicit", "polars")


class MetricLog:
    """``metrics.jsonl``: one JSON object a line, each on disk before ``append`` returns.

    A line cut short by a crash is dropped. Values that are not finite become null. Wall-clock times do not belong
    here: two runs with one seed must give equal files. Of several processes of a run one writes.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._repaired = False

    def append(self, step: int, **values: object) -> None:
        if not is_writer():
            return
        line = json.dumps({"step": step, **{name: _plain(value) for name, value in values.items()}}) + "\n"
        with says_when_full(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not self._repaired:
                self._drop_half_line()
            with open(self.path, "ab", buffering=0) as file:
                self._repaired = False  # until the whole line is known to be there
                if file.write(line.encode("utf-8")) != len(line.encode("utf-8")):
                    raise InputError(f"The disk is full while writing {self.path}: free some space and run again.")
                os.fsync(file.fileno())
                self._repaired = True

    def truncate(self, after_step: int) -> None:
        """Keep the rows up to and including ``after_step``: what a resumed stage will not log again."""
        if is_writer() and self.path.exists():
            rows = [row for row in self.rows() if row["step"] <= after_step]
            atomic_write(self.path, "".join(json.dumps(row) + "\n" for row in rows))

    def rows(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        whole, _, _ = self.path.read_bytes().rpartition(b"\n")
        return [self._row(number, line) for number, line in enumerate(whole.splitlines(), 1) if line.strip()]

    def _row(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict) or not isinstance(row.get("step"), int):
            raise InputError(
                f"{self.path} line {number} is damaged: delete that line to do without its numbers, or delete "
                f"{self.path.parent} to do the stage again."
            )
        return row

    def _drop_half_line(self) -> None:
        if self.path.exists():
            content = self.path.read_bytes()
            whole = content.rfind(b"\n") + 1
            if whole != len(content):
                os.truncate(self.path, whole)


def _plain(value: Any) -> Any:
    """Tensors and numpy scalars as Python numbers; what is not finite as None."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass
class Stage:
    """One folder of a run. It is done when ``done.json`` is there, which is written last."""

    name: str
    folder: Path
    log: MetricLog = field(init=False)
    checkpoints: Checkpoints = field(init=False)

    def __post_init__(self) -> None:
        self.log = MetricLog(self.folder / "metrics.jsonl")
        self.checkpoints = Checkpoints(self.folder / "checkpoints")

    def done(self) -> bool:
        return (self.folder / "done.json").is_file()

    def finish(self, summary: dict[str, Any]) -> None:
        """Everything the stage wrote is put on disk first, then the mark that it is complete."""
        if is_writer():
            self.folder.mkdir(parents=True, exist_ok=True)
            sync_tree(self.folder)
            atomic_write(self.folder / "done.json", json.dumps(_plain(summary), indent=1, sort_keys=True) + "\n")
        barrier()

    def summary(self) -> dict[str, Any]:
        """What ``finish`` was told; empty before."""
        if not self.done():
            return {}
        return read_json(self.folder / "done.json", f"delete {self.folder} to do the stage again.")


@dataclass
class Run:
    folder: Path
    seed: int
    changed: tuple[str, ...] = ()  # keys that differ from the folder's earlier opening

    @classmethod
    def open(
        cls,
        folder: str | Path,
        config_yaml: str,
        seed: int,
        may_change: Sequence[str] = (),
        defaults_yaml: str = "",
    ) -> Run:
        """Make the folder, or return to it. A folder made with other settings is refused, save for the keys (or
        sections) in ``may_change``, which do not alter what the finished stages computed, and for settings that there
        were not when it was made, where they have their defaults."""
        folder = Path(folder)
        saved = folder / "config.yaml"
        if saved.exists():
            changed = differences(_saved_settings(saved), config_yaml, defaults_yaml)
            fixed = {key: pair for key, pair in changed.items() if not within(key, may_change)}
            if fixed:
                key, (old, new) = next(iter(fixed.items()))
                raise InputError(
                    f"{folder} was made with {key}={old} and you ask for {key}={new}: "
                    f"choose another folder with out=..., or delete {folder} to start again."
                )
        else:
            changed = {}
        _record(folder, seed, {key: list(pair) for key, pair in changed.items()})
        if changed or not saved.exists():
            atomic_write(saved, config_yaml)
        return cls(folder, seed, tuple(changed))

    def stage(self, name: str) -> Stage:
        with says_when_unwritable(self.folder / name):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        return Stage(name, self.folder / name)


def _saved_settings(path: Path) -> str:
    """The text of a run's config.yaml, which must be a YAML mapping."""
    try:
        text = path.read_text(encoding="utf-8")
        whole = isinstance(yaml.safe_load(text), dict)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): make it readable.") from error
    except (UnicodeDecodeError, yaml.YAMLError):
        whole = False
    if not whole:
        raise InputError(f"{path} is damaged: restore it from a copy, or delete {path.parent} to start again.")
    return text


def within(key: str, sections: Sequence[str]) -> bool:
    """Is ``key`` one of ``sections``, or inside of one?"""
    return any(key == section or key.startswith(f"{section}.") for section in sections)


def _record(folder: Path, seed: int, changed: dict[str, list[Any]]) -> None:
    """run.json: where the code stood at first, and an entry for each later opening where something was different."""
    path = folder / "run.json"
    now: dict[str, Any] = {"commit": commit(), "versions": versions(), "python": platform.python_version()}
    now["instructions"] = instructions()
    if not path.exists():
        atomic_write(path, json.dumps({"seed": seed, **now, "later": []}, indent=1) + "\n")
        return
    record = read_json(path, "delete it; what it told of commits and versions is lost, the run goes on.")
    if not isinstance(record.setdefault("later", []), list):
        raise InputError(f"{path} is damaged, 'later' is no list: delete the file; the run goes on.")
    last = {**record, **(record["later"][-1] if record["later"] else {})}
    entry = {name: value for name, value in now.items() if last.get(name) != value}
    if changed:
        entry["settings"] = changed
    if entry:
        if "commit" in entry:
            log.warning("%s was started at %s and goes on at %s.", folder, last.get("commit"), now["commit"])
        for name, before, after in _other_bits(last, entry):
            log.warning(
                "%s was started with %s %s and goes on with %s: what follows may differ in the last bits.",
                folder, name, before, after,
            )  # fmt: skip
        record["later"].append({**now, **entry})
        atomic_write(path, json.dumps(record, indent=1) + "\n")


def _other_bits(last: Mapping[str, Any], entry: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(what, before, now) of everything that can change a result's last bits between two openings of a run."""
    parts = [name for name in ("python", "instructions") if name in entry and name in last]
    changed = [(name, str(last[name]), str(entry[name])) for name in parts]
    before, after = (one.get("versions") or {} for one in (last, entry))
    return changed + [
        (name, str(before[name]), str(after[name])) for name in after if name in before and before[name] != after[name]
    ]


def commit() -> str:
    """The commit of the checkout this package runs from, ``+changes`` when it differs; else the version."""
    here = Path(__file__).resolve().parents[1]  # the whole package, not run/ alone
    try:
        head, status = (
            subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, timeout=10, check=True).stdout
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no", "--", str(here)])
        )
    except (OSError, subprocess.SubprocessError):
        return f"release {VERSION}"
    return head.strip() + ("+changes" if status.strip() else "")


def versions() -> dict[str, str]:
    return {"tacit": VERSION, **{name: metadata.version(name) for name in _PACKAGES}}
