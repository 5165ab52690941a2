"""A published candidate file: which other items each gold item is ranked among, so that any system can score them.

JSON lines. The first says what it is, ``{"format": "tacit-candidates", "version": 1, "protocol": "uniform-99",
"seed": 0}``, each other one is a list: ``{"context": id, "gold": item, "candidates": [item, …]}``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tacit.catalog import Catalog
from tacit.referee.protocols import Protocol, named
from tacit.run.files import atomic_write
from tacit.run.lines import records
from tacit.types import InputError, Ints64

FORMAT, VERSION = "tacit-candidates", 1


@dataclass(frozen=True)
class CandidateLists:
    """``keys``: (context id, gold item) of each list; ``rows`` [n, m] catalogue rows of the candidates beside gold."""

    protocol: Protocol
    seed: int
    keys: tuple[tuple[str, str], ...]
    rows: Ints64


def write_candidates(
    path: Path, protocol: Protocol, seed: int, lists: Mapping[tuple[str, str], Sequence[str]], n_items: int
) -> None:
    """``lists``: (context id, gold item) → ids of the candidates beside it, out of a catalogue of ``n_items``."""
    head = {"format": FORMAT, "version": VERSION, "protocol": protocol.name, "seed": seed, "items": n_items}
    rows = ({"context": context, "gold": gold, "candidates": list(others)} for (context, gold), others in lists.items())
    atomic_write(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in (head, *rows)))


def read_candidates(path: Path, catalog: Catalog) -> CandidateLists:
    """InputError names the line that is wrong, and the remedy."""
    lines = records(path)
    protocol, seed = _head(path, next(lines, (1, None))[1])
    keys: dict[tuple[str, str], int] = {}
    rows: list[list[int]] = []
    for number, row in lines:
        key, others = _list(f"{path}:{number}", row, catalog)
        if key in keys:
            raise InputError(f"{path}:{number}: the list of {key} stands in line {keys[key]} already: keep one.")
        wanted = min(protocol.negatives, len(catalog) - 1)
        if len(others) != wanted:
            raise InputError(
                f"{path}:{number}: {len(others)} candidates, and {protocol.name} asks for {wanted} beside gold: "
                "give that many, or name the protocol by their number."
            )
        keys[key] = number
        rows.append(others)
    if not rows:
        raise InputError(f"{path} holds no list: write one line for every gold item after the first line.")
    return CandidateLists(protocol, seed, tuple(keys), np.array(rows, dtype=np.int64))


def _head(path: Path, row: Any) -> tuple[Protocol, int]:
    if not isinstance(row, dict) or row.get("format") != FORMAT or row.get("version") != VERSION:
        wanted = json.dumps({"format": FORMAT, "version": VERSION, "protocol": "uniform-99", "seed": 0})
        raise InputError(f"{path}:1: this is no candidate file of version {VERSION}: begin it with {wanted}.")
    seed = row.get("seed", 0)
    if not isinstance(row.get("protocol"), str) or type(seed) is not int or seed < 0:
        raise InputError(f"{path}:1: key 'protocol' must be a name and 'seed' an integer of at least 0: correct them.")
    protocol = named(row["protocol"])
    if not protocol.negatives:
        raise InputError(f"{path}:1: protocol {protocol.name!r} has no candidates: name one such as uniform-99.")
    return protocol, seed


def _list(where: str, row: Any, catalog: Catalog) -> tuple[tuple[str, str], list[int]]:
    if not isinstance(row, dict) or not isinstance(row.get("context"), str) or not isinstance(row.get("gold"), str):
        raise InputError(f"{where}: keys 'context' and 'gold' must be strings: write one object a list.")
    others = row.get("candidates")
    if not isinstance(others, list) or not others or not all(isinstance(item, str) for item in others):
        raise InputError(f"{where}: key 'candidates' must be a list of item ids: give at least one.")
    for item in (row["gold"], *others):
        if item not in catalog:
            raise InputError(f"{where}: item {item!r} is not in items.jsonl: add it there, or take it out here.")
    if row["gold"] in others or len(set(others)) < len(others):
        raise InputError(f"{where}: a candidate stands twice, or is the gold item itself: keep each once.")
    return (row["context"], row["gold"]), [catalog.index(item) for item in others]
