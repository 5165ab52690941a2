"""A table of stages, done in order, each skipped when it is done: what every kind of run has in common.

A stage reads what earlier stages left in the run folder and nothing else, so it can be run alone, in another process,
or again after a kill.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import torch

from tacit.run import distributed
from tacit.run.config import dump, load, stated
from tacit.run.files import remove_unfinished
from tacit.run.folder import Run
from tacit.run.lock import exclusive
from tacit.run.network import quiet_progress_bars
from tacit.run.precision import choose_dtype
from tacit.types import InputError

log = logging.getLogger("tacit")

AUTO = "auto"  # of a device or dtype: what the machine does best
DTYPES = (AUTO, "float32", "bfloat16")
FIRST = "prepare"  # comes along with whichever stage is asked for


class Settings(Protocol):
    """What the settings of every kind of run hold."""

    seed: int
    device: str
    threads: int
    out: str

    @property
    def dtype(self) -> str: ...


S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class StageTable(Generic[S]):
    """Names and functions of the stages, in order, and when a setting may change. The report comes after them all."""

    command: str  # what stands before a stage's name on the command line
    functions: Mapping[str, Callable[[Run, S, str], None]]  # each takes the run, the settings and the device
    first_read: Mapping[str, str]  # the stage that first reads a section: until it has begun, the section may change
    free: Sequence[str]  # sections and keys that may change at any time
    part_of: Mapping[str, str] = field(default_factory=dict)  # stages without a command of their own → whose does them
    width: Callable[[S], int] = lambda config: 384  # of the widest model that is trained, about
    together: Collection[str] = ()  # stages that several processes do together; the others are the writer's alone

    def without(self, name: str) -> StageTable[S]:
        """The same table less one stage."""
        return replace(self, functions={key: function for key, function in self.functions.items() if key != name})

    def first_read_by(self, *stages: str) -> list[str]:
        """The sections that these stages are the first to read."""
        return [section for section, stage in self.first_read.items() if stage in stages]

    def settled(self, config: S) -> S:
        """``config`` with a dtype in place of ``auto``: the run folder's own, and for a new folder what a measurement
        chooses. ``open`` writes it into the folder, so that a run keeps it on whatever machine it goes on."""
        if config.dtype not in DTYPES:
            raise InputError(f"dtype={config.dtype}: choose one of {', '.join(DTYPES)}.")
        if config.dtype != AUTO:
            return config
        folder = Path(config.out)
        dtype = str(stated("dtype", folder / "config.yaml")) if (folder / "config.yaml").is_file() else AUTO
        if dtype == AUTO:
            dtype, why = choose_dtype(settle(config.device, config.threads), self.width(config))
            log.info("dtype: %s (%s)", dtype, why)
        return replace(config, dtype=dtype)  # type: ignore[type-var]

    def open(self, config: S, again: Sequence[str] = ()) -> Run:
        """The run folder of ``config``; refused where a stage that has begun was given other settings, unless it is one
        of the stages that will be done ``again``."""
        folder = Path(config.out)
        waiting = [s for s, stage in self.first_read.items() if stage in again or not _begun(folder / stage)]
        return Run.open(folder, dump(config), config.seed, [*self.free, *waiting], dump(type(config)()))

    @contextlib.contextmanager
    def held(self, config: S) -> Iterator[None]:
        """The run folder of ``config`` is this process's alone; what a killed one left half written in it is gone.

        Of several processes of one run the writer holds it."""
        if not distributed.is_writer():
            distributed.barrier()
            yield
            return
        with exclusive(config.out):
            remove_unfinished(Path(config.out))
            distributed.barrier()
            try:
                yield
            except KeyboardInterrupt:  # also what workers, which are ended by now, left half written
                remove_unfinished(Path(config.out))
                raise

    def do(self, run: Run, config: S, only: str | None) -> None:
        """What is not done yet: every stage, or ``only`` one, for which the stages before it must be done."""
        device = settle(config.device, config.threads)
        for name in self.functions if only is None else self._needed(only):
            stage = run.stage(name)
            if distributed.from_writer(stage.done):
                log.info("%s: done already, in %s", name, stage.folder)
                continue
            self.require_before(run, name)
            log.info("%s: into %s", name, stage.folder)
            if distributed.is_writer():
                (run.folder / "report.html").unlink(missing_ok=True)  # it would tell of an earlier state
            if name in self.together:
                self.functions[name](run, config, device)
            else:
                distributed.from_writer(partial(self.functions[name], run, config, device))

    def require_before(self, run: Run, name: str) -> None:
        """``InputError`` unless every stage before ``name`` (a stage, or report) is done."""
        names = [*self.functions, "report"]
        for earlier in names[: names.index(name)]:
            if not (run.folder / earlier / "done.json").is_file():
                command = f"{self.command} {self.part_of.get(earlier, earlier)} CONFIG"
                raise InputError(f"{name} needs the stage {earlier} of {run.folder}: run `{command}` first.")

    def _needed(self, only: str) -> list[str]:
        """Stages without a command of their own come along; the report is no stage with a folder."""
        if only == "report":
            return []
        return [name for name in self.functions if name in (FIRST, only) or self.part_of.get(name) == only]


def load_settings(cls: type[S], path: str | Path, overrides: Sequence[str] = ()) -> S:
    """From a config file, or from a run folder (then its own settings, written back to the same folder)."""
    source, file = Path(path), settings_file(path)
    config = load(cls, file, overrides, saved=file != source)
    if config.dtype not in DTYPES:
        raise InputError(f"dtype={config.dtype}: choose one of {', '.join(DTYPES)}.")
    if file != source and not any(override.startswith("out=") for override in overrides):
        config.out = str(source)
    elif not config.out:
        config.out = f"runs/{source.stem}-seed{config.seed}"
    return config


def settings_file(path: str | Path) -> Path:
    """A run folder's ``config.yaml``, or ``path`` itself."""
    inside = Path(path) / "config.yaml"
    return inside if inside.is_file() else Path(path)


def settle(name: str, threads: int) -> str:
    """Threads, device and determinism, set here and nowhere else; the device's name."""
    quiet_progress_bars()
    if threads > 0:
        torch.set_num_threads(threads)
    if name == AUTO:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and distributed.size() > 1:  # as torchrun counts them: one a process
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"device={name} cannot be used here ({str(error).splitlines()[0]}): set device=cpu."
        ) from error
    if device.type == "cuda":
        if device.index is not None:
            torch.cuda.set_device(device)
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
    return str(device)


def _begun(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())
