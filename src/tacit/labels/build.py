"""The label table of an export: observe part by part, fit the constants to a sample, score part by part.

Parts do not know of each other and write files of their own, so that any number of workers makes the same bytes in
whatever order they finish. A table is written whole or not at all, and is of one version.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from tacit.events.export import scan
from tacit.labels import accounts as account_files
from tacit.labels.constants import Constants
from tacit.labels.fit import fit
from tacit.labels.gather import LEFT_OUT, Observed, Span, gather
from tacit.labels.parts import Part, parts, read
from tacit.labels.score import COLUMNS, label_items, label_turns
from tacit.labels.settings import LabelSettings
from tacit.run.files import atomic_folder, atomic_write, read_json
from tacit.run.lock import exclusive
from tacit.types import InputError

if TYPE_CHECKING:  # it reads texts, which takes torch
    from tacit.labels.words import Words

MANIFEST = "labels.json"
Table = Literal["items", "turns"]
TABLES: tuple[Table, ...] = ("items", "turns")
MOST_FITTED = 500_000  # rows of each table, about, that the constants are fitted to
Gather = Callable[[Part, Span], Observed]


# Applies a function to each tuple of arguments, wherever and in whatever order; the results in the order of the tuples.
Workers = Callable[[Callable[..., Any], Sequence[tuple[Any, ...]]], Iterable[Any]]


def one_after_another(function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> Iterable[Any]:
    return (function(*given) for given in arguments)


@dataclass(frozen=True)
class Labels:
    """What stands in ``labels.json``."""

    label_fn: str
    as_of: int
    window_s: float
    turns: int
    items: int
    left_out: dict[str, int]


def build(
    export: Path,
    out: Path,
    settings: LabelSettings,
    as_of: int,
    constants: Constants | None = None,
    words: Words | None = None,
    observe: Gather | None = None,
    workers: Workers = one_after_another,
) -> Labels:
    """The labels of all that ``export`` holds of up to ``as_of`` (milliseconds), in place of what ``out`` held.

    With ``constants`` nothing is fitted, and their settings count. ``words``: what was read off people's words. The
    same export, words, settings and ``as_of`` make the same bytes.
    """
    if out.exists() and any(out.iterdir()) and not (out / MANIFEST).is_file():
        raise InputError(f"{out} holds something that is no table of labels: choose another folder.")
    if constants is not None and constants.words != (words.source if words else ""):
        raise InputError(f"these constants are of labels made {constants.with_words}: make these labels so, too.")
    settings = constants.settings if constants else settings
    work = parts(export, as_of, settings.expiry_days)
    if not work:
        raise InputError("The log has no exposure before that time: there is nothing to make labels of.")
    heavy = account_files.above_cap(scan(export, "exposures"), settings.sessions_per_account, as_of)
    out.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(out.parent), atomic_folder(out) as folder:
        seen = folder / ".observed"
        quota = MOST_FITTED // len(work) + 1
        tasks = [(part, part.span(as_of, settings.window_s), seen, quota, observe or from_files) for part in work]
        found: list[Sampled] = list(workers(observe_part, tasks))
        if constants is None:
            samples = [pl.concat([one.samples[name] for one in found]) for name in TABLES]
            source = words.source if words else ""
            constants = fit(samples[0], samples[1], account_files.digest(heavy), settings, source)
        scoring = [(part, seen, folder, constants, heavy, as_of, words) for part in work]
        counts: list[tuple[int, int]] = list(workers(score_part, scoring))
        shutil.rmtree(seen, ignore_errors=True)
        constants.save(folder)
        account_files.save(folder, heavy, work[-1].day)
        left_out = {reason: sum(one.left_out[reason] for one in found) for reason in LEFT_OUT}
        turns, items = (sum(column) for column in zip(*counts, strict=True))
        made = Labels(constants.label_fn, as_of, settings.window_s, turns, items, left_out)
        atomic_write(folder / MANIFEST, json.dumps({"version": 1, **made.__dict__}, indent=1) + "\n")
    return made


def from_files(part: Part, span: Span) -> Observed:
    return gather(read(part), span)


@dataclass(frozen=True)
class Sampled:
    samples: dict[str, pl.DataFrame]
    left_out: Counter[str]


def observe_part(part: Part, span: Span, folder: Path, quota: int, observe: Gather) -> Sampled:
    """Writes what was observed of one part; returns a sample of it, of about ``quota`` rows: every so-many-th exposure
    in the order of their ids, which is that of time."""
    seen = observe(part, span)
    samples = {}
    for name, table in (("items", seen.items), ("turns", seen.turns)):
        path = folder / name / part.file
        path.parent.mkdir(parents=True, exist_ok=True)
        table.write_parquet(path, compression="lz4")
        every = -(-table.height // quota)
        samples[name] = table if every <= 1 else table.filter(pl.col("exposure_id").rle_id() % every == 0)
    return Sampled(samples, seen.left_out)


def score_part(
    part: Part,
    seen: Path,
    folder: Path,
    constants: Constants,
    heavy: pl.DataFrame,
    as_of: int,
    words: Words | None,
) -> tuple[int, int]:
    """Writes the label rows of one part; returns how many turns and items."""
    tables = {name: pl.read_parquet(seen / name / part.file) for name in TABLES}
    tables = _with_words(tables, words)
    rows = {"turns": label_turns(tables["turns"], constants, heavy, as_of),
            "items": label_items(tables["items"], constants, heavy, as_of)}  # fmt: skip
    for name, table in rows.items():
        if table.height:
            path = folder / name / part.place / "part.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            table.rechunk().write_parquet(path, compression="zstd")  # made durable with the whole folder
    return rows["turns"].height, rows["items"].height


def manifest(folder: Path) -> Labels:
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"{folder} has no {MANIFEST}: make labels with `tacit labels STORE --out {folder}`.")
    record = read_json(path, "make the labels again.")
    return Labels(**{key: value for key, value in record.items() if key != "version"})


def read_labels(folder: str | Path, table: Table = "items") -> pl.LazyFrame:
    """The rows of ``items`` (one an item shown) or of ``turns`` (one a turn: ``item_id`` and ``position`` are null)."""
    folder = Path(folder)
    manifest(folder)
    found = sorted(folder.glob(f"{table}/day=*/shard=*/*.parquet"))
    if not found:
        return pl.LazyFrame(schema=COLUMNS)
    return pl.scan_parquet(found, hive_partitioning=False)


def _with_words(tables: dict[Table, pl.DataFrame], words: Words | None) -> dict[Table, pl.DataFrame]:
    """Joined by the exposure, and the item."""
    if words is None:
        return tables
    turns = tables["turns"].join(words.turns, on="exposure_id", how="left", maintain_order="left")
    on = ["exposure_id", "item_id"]
    return {"turns": turns, "items": tables["items"].join(words.items, on=on, how="left", maintain_order="left")}
