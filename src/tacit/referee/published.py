"""Published numbers, each under the protocol it was measured by: ``published.json`` beside this file.

They are shown beside a run file's numbers only where data set, candidates, masking and slice are the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from tacit.referee.protocols import Protocol


@dataclass(frozen=True, slots=True)
class Published:
    """``values``: ``HR@10`` and so on. ``candidates``: full, or ``1 + 99 uniform``. ``masked`` None = not said."""

    system: str
    dataset: str
    slice: str
    candidates: str
    masked: bool | None
    values: Mapping[str, float]
    source: str
    n: int | None = None
    items: int | None = None
    note: str = ""

    def stands_beside(self, dataset: str, protocol: Protocol, slice: str) -> bool:
        """Measured on the same data, slice and candidates, with the same items masked (or it is not said)."""
        kind = f"1 + {protocol.negatives} {protocol.drawn}" if protocol.negatives else "full"
        same = (self.dataset, self.slice, self.candidates) == (dataset.strip().lower(), slice, kind)
        return same and self.masked in (None, protocol.masked(slice))


def published() -> tuple[Published, ...]:
    rows = json.loads(files("tacit.referee").joinpath("published.json").read_text(encoding="utf-8"))
    sources = rows["sources"]
    return tuple(Published(**{**row, "source": sources[row["source"]]}) for row in rows["rows"])


def beside(dataset: str, protocol: Protocol, slice: str) -> tuple[Published, ...]:
    return tuple(row for row in published() if row.stands_beside(dataset, protocol, slice))
