"""Are people served better? Versions serve the same fresh people, whose hidden utility is compared person by person.

A round meets other people than the one before it, so what each round's people felt does not tell its version from
another. Here the version that was served first, the one that is served in the end, and the worst one of those that were
refused each talk to people whom no other step has met: the same tastes, patience, luck and opening words for all. In
this process and not over HTTP, as the server draws replies and slates but without its ε.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from tacit.dialogue.evaluate.satisfaction import per_user, write_conversations
from tacit.dialogue.policy.act import READ_TEMPERATURE
from tacit.dialogue.policy.policy import Policy
from tacit.metrics.intervals import Estimate, bootstrap_means
from tacit.offpolicy.verdict import LEADING
from tacit.pipelines.loop.place import Loop, Told
from tacit.types import Floats64

BATCH = 32
Role = Literal["promoted", "not promoted", "refused"]
COLUMNS = ("hidden utility", "accepted", "left")


@dataclass(frozen=True)
class Compared:
    """A version beside the first one. ``name``: of the step that made it."""

    role: Role
    name: str
    version: str


def serve_fresh(loop: Loop, gates: Mapping[str, Told], worst: str) -> Told:
    """``gates``: what the gate said of each round's candidate, by the round's name, the first round first; ``worst``: a
    version that was refused. Of every version the means over people with their intervals, and of all but the first the
    differences, paired by person."""
    first = next(iter(gates.values()))["current"]
    tables = {first: _talks(loop, first)}
    others = [one for one in (last_or_best(gates, first, loop.current), Compared("refused", "worst", worst)) if one]
    tables |= {one.version: _talks(loop, one.version) for one in others}
    return {
        "people": tables[first].height,
        "first": {"version": first, **_told(tables[first])},
        "others": [
            {**one.__dict__, **_told(tables[one.version]), "gain": _told(tables[one.version], tables[first])}
            for one in others
        ],
    }


def last_or_best(gates: Mapping[str, Told], first: str, current: str) -> Compared | None:
    """The version that is served in the end; where that is still the first one, the candidate that the log speaks best
    of. None where every candidate was the first version over again."""
    if current != first:
        made = [name for name, gate in gates.items() if gate["version"] == current]
        return Compared("promoted", made[-1] if made else "", current)
    changed = {name: gate for name, gate in gates.items() if gate["version"] != first}
    if not changed:
        return None
    best = max(changed, key=lambda name: _gain(changed[name]))
    return Compared("not promoted", best, changed[best]["version"])


def _gain(gate: Told) -> float:
    """By the estimator that decides, snRIPS where both do; a gain that is not told comes last."""
    named = [key for key in (gate["primary"], *reversed(LEADING)) if key in gate["gain"]]
    value = gate["gain"][named[0]][0] if named else None
    return float("-inf") if value is None else float(value)


def compare(after: pl.DataFrame, before: pl.DataFrame | None = None) -> list[Estimate]:
    """Of ``COLUMNS``, means over people [n] with 95 % intervals; with ``before``, of each person's difference."""
    values = _columns(after)
    if before is not None:
        if after["dialogue"].to_list() != before["dialogue"].to_list():
            raise ValueError("both versions must have served the same people")
        values = values - _columns(before)
    return bootstrap_means(values, np.arange(len(values)), np.random.default_rng(0))


def _told(after: pl.DataFrame, before: pl.DataFrame | None = None) -> dict[str, Any]:
    return {name: found.as_json() for name, found in zip(COLUMNS, compare(after, before), strict=True)}


def _columns(table: pl.DataFrame) -> Floats64:
    return table.select(pl.col(name).cast(pl.Float64) for name in COLUMNS).to_numpy()


def _talks(loop: Loop, version: str) -> pl.DataFrame:
    """One row a person (``per_user``). What a version said and showed is kept in ``fresh/VERSION.parquet``."""
    path, config = loop.folder / "fresh" / f"{version}.parquet", loop.config
    if not path.is_file():
        (policy,) = Policy.several([loop.registry.path(version)], loop.encoders)
        talk = (config.fresh_people, config.visit.max_turns, BATCH, config.seed)
        write_conversations(path, version, policy, loop.world, None, None, *talk, temperature=READ_TEMPERATURE)
    return per_user(pl.read_parquet(path))
