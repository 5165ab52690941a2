"""What is fitted to the whole log before any label is made: dwell without length, place and device; what is seen where;
where skipping ends; who has more sessions than an account may count for."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from tacit.labels.settings import LabelSettings
from tacit.run.files import atomic_write, read_json, says_when_damaged

VERSION = 2  # of the function: another one gives other labels
FILE = "constants.json"


@dataclass(frozen=True)
class Dwell:
    """log(1 + ms) explained by what is not interest: a ridge on log(1 + words), log(1 + place) (of a turn: the size of
    its slate), log(1 + turn) and the device; ``coefficients`` begin with the intercept, ``devices`` with the base.

    Times are cut at ``caps_ms``, the 99th percentile of each device. ``quantiles`` are the 101 percentiles of the
    residual: a label's dwell is its place among them, from 0 to 1.
    """

    coefficients: list[float]
    devices: list[str]
    caps_ms: list[float]
    words: float  # in place of those that were not observed
    quantiles: list[float]


@dataclass(frozen=True)
class Visibility:
    """P(an item is seen | its turn, its place), counted. A row a turn (the last: that turn and later), a column a place
    (likewise); few rows are drawn towards ``overall``."""

    overall: float
    seen: list[list[float]]


@dataclass(frozen=True)
class Constants:
    settings: LabelSettings
    item_dwell: Dwell | None  # None: too few times were observed to the end
    turn_dwell: Dwell | None
    visibility: Visibility
    skip_ms: float | None  # below it an item was skipped
    skip_remark: str  # how it was found, or why there is none
    accounts: str  # sha256 of the accounts above the cap
    rows: int  # items the fit has read
    words: str = ""  # what read people's words (``words.Words.source``); "" where none were read

    @property
    def label_fn(self) -> str:
        """The name of the function with these constants: rows of two names are never mixed."""
        return f"v{VERSION}-{hashlib.sha256(_text(self).encode()).hexdigest()[:12]}"

    @property
    def with_words(self) -> str:
        return f"with words ({self.words})" if self.words else "without words"

    def save(self, folder: Path) -> None:
        atomic_write(folder / FILE, _text(self))

    @classmethod
    def load(cls, path: Path) -> Constants:
        remedy = "fit new ones: give no --constants."
        record = read_json(path / FILE if path.is_dir() else path, remedy)
        with says_when_damaged(path, remedy):
            return msgspec.convert({k: v for k, v in record.items() if k != "version"}, cls)


def _text(constants: Constants) -> str:
    record: dict[str, Any] = {"version": VERSION, **asdict(constants)}
    return json.dumps(record, indent=1, sort_keys=True) + "\n"
