"""One door to every data source: training material for trainers, a test set for the evaluator alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tacit.catalog import Catalog
from tacit.data.dialogues import logs, opendialkg, redial, synthetic
from tacit.data.paths import data_path, items_path
from tacit.run.limits import above, random_seed, share
from tacit.types import InputError, Split, TestSet

NAMES = ("synthetic", "redial", "opendialkg", "logs")


@dataclass
class DataConfig:
    # synthetic | redial | opendialkg | logs; empty = logs where a path is given, else synthetic
    name: Literal["", "synthetic", "redial", "opendialkg", "logs"] = ""
    path: str = ""  # the data set's folder (or zip); for logs a file, or a folder with train.jsonl and test.jsonl
    items: str = ""  # logs only: the items file; empty = items.jsonl beside the dialogues
    # share of the dialogues kept, chosen by hash of the id (smoke tests)
    limit: float = above(0.0, default=1.0, high=1.0)
    seed: int = random_seed(default=0)  # synthetic only: which world is generated
    # logs and ReDial: user | time | dialogue; auto = user where users recur
    split: Literal["auto", "user", "time", "dialogue"] = "auto"
    # OpenDialKG only: films, books (with dialog_Books.jsonl in the folder), or both
    domain: Literal["all", "films", "books"] = "all"
    # logs only: the largest share of the test that training may hold, by id or word for word
    overlap: float = share(default=0.1)

    def __post_init__(self) -> None:
        self.name = self.name or ("logs" if self.path else "synthetic")

    @property
    def label(self) -> str:
        """What numbers on it are called by: a part of a data set is not that data set."""
        return self.name if self.domain == "all" else f"{self.name}-{self.domain}"


def load_training(config: DataConfig) -> tuple[Catalog, Split]:
    """The catalogue with training counts, and the training dialogues with a fixed tenth (by sha256 of the seeker, the
    user or the id, as ``Split.rule`` says) apart."""
    if config.name == "synthetic":
        if config.path:
            raise InputError(f"data.path is {config.path}, but data.name is synthetic: set data.name=logs, or no path.")
        return synthetic.load_training(config.seed, config.limit)
    if config.name == "redial":
        return redial.load_training(_path(config), config.limit, rule=config.split)
    if config.name == "opendialkg":
        return opendialkg.load_training(_path(config), config.limit, domain=config.domain)
    if config.name == "logs":
        if not 0 <= config.overlap <= 1:
            raise InputError(f"data.overlap is {config.overlap}: it must be from 0 to 1.")
        items = items_path(config.items)
        return logs.load_training(_path(config), items, config.limit, config.split, config.overlap)
    raise _unknown(config)


def load_test(config: DataConfig) -> TestSet:
    """What only the evaluator reads."""
    if config.name == "synthetic":
        return synthetic.load_test(config.seed, config.limit)
    if config.name == "redial":
        return redial.load_test(_path(config), config.limit)
    if config.name == "opendialkg":
        return opendialkg.load_test(_path(config), config.limit, domain=config.domain)
    if config.name == "logs":
        return logs.load_test(_path(config), items_path(config.items), config.limit, config.split)
    raise _unknown(config)


def _path(config: DataConfig) -> Path:
    remedy = "your dialogues file" if config.name == "logs" else f"the folder `tacit data get {config.name}` filled"
    return data_path(config.path, config.name, remedy)


def _unknown(config: DataConfig) -> InputError:
    return InputError(f"data.name is {config.name!r}: choose one of {', '.join(NAMES)}.")
