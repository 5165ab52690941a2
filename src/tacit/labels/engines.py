"""Who observes the parts of a log, and where. What is observed is one rule, whoever does it."""

from __future__ import annotations

from typing import Literal

from tacit.labels.build import Gather, from_files

Engine = Literal["polars"]


def observer(engine: Engine) -> Gather:
    return from_files
