"""Anybody's log as a ``Log``: csv, JSON lines or Parquet, one row an item that was shown.

Columns have the names below, or those that ``--map`` gives them; others are left alone. What is wrong is said with the
column, the row (from 1, the header not counted) and what to do.
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tacit.offpolicy.columns import Table
from tacit.offpolicy.lists import unfolded
from tacit.offpolicy.log import Log, Names
from tacit.types import Bools, Floats64, InputError, Ints64

READERS = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
# Numbers of each item that was shown, by our name: the field of ``Log``.
OF_ITEMS = {
    "logged": "logged", "target": "target", "reward": "rewards", "logged_marginal": "logged_marginal",
    "target_marginal": "target_marginal", "logged_click": "logged_click", "target_click": "target_click",
    "click": "clicks",
}  # fmt: skip
# Numbers of a round, the same in all its rows.
OF_ROUNDS = {
    "slate_reward": "rewards", "logged_decision": "logged_decision", "target_decision": "target_decision",
    "weight": "weight", "epsilon": "epsilon", "candidates": "candidates", "target_clicks": "target_clicks",
}  # fmt: skip
NAMES = {"session": "sessions", "user": "users", "version": "versions", "context": "contexts"}
FLAGS = {"explored": "explored", "uniform": "uniform"}
JUDGED = "target_version"  # what the policy to be judged is called
COLUMNS = ("round", "place", "item", JUDGED, *OF_ITEMS, *OF_ROUNDS, *NAMES, *FLAGS)
EARNED = ("reward", "slate_reward", "click")
FEATURE = "feature_"  # columns that begin so are features of the context


def read_mapping(pairs: Iterable[str]) -> dict[str, str]:
    """{our name: theirs} of ``logged=pscore`` pairs."""
    mapping: dict[str, str] = {}
    for pair in pairs:
        ours, equals, theirs = pair.partition("=")
        if not equals or not theirs:
            raise InputError(f"--map {pair}: write OURS=THEIRS, such as --map logged=pscore.")
        if ours not in COLUMNS and not ours.startswith(FEATURE):
            raise InputError(f"--map {pair}: there is no column {ours!r}; choose among {', '.join(COLUMNS)}.")
        if ours in mapping:
            raise InputError(f"--map {pair}: {ours} is mapped twice.")
        mapping[ours] = theirs
    return mapping


def read(path: Path, mapping: Mapping[str, str]) -> Table:
    """The table in a file, by the ending of its name, one row an item, with those columns of ``mapping`` {our name:
    theirs} that it has (``all_mapped``)."""
    frame = _frame(path)
    theirs = {ours: name for ours, name in mapping.items() if name in frame.columns}
    named = frame.with_columns(pl.col(name).alias(ours) for ours, name in theirs.items())
    # What is a reward under another name of ours is none under its own.
    named = named.drop(name for name in EARNED if name in theirs.values() and name not in theirs)
    return unfolded(
        Table(named, str(path), theirs), ("item", "place", *OF_ITEMS), ("round", *OF_ROUNDS, *NAMES, *FLAGS)
    )


def judged_version(tables: Sequence[Table]) -> str | None:
    """What the tables call the policy to be judged; None where they do not."""
    for table in tables:
        if JUDGED in table and table.height:
            names = table.names(JUDGED)
            table.refuse(
                names != names[0], f"{table.called(JUDGED)} is another than in the first row{{more}}: judge one."
            )
            return str(names[0]) or None
    return None


def all_mapped(mapping: Mapping[str, str], *tables: Table) -> None:
    """``InputError`` where a column of ``mapping`` is in none of the tables."""
    for ours, name in mapping.items():
        if not any(ours in table.theirs for table in tables):
            has = "; ".join(f"{table.where}: {table.columns}" for table in tables)
            raise InputError(f"There is no column {name!r}, which --map gives to {ours}. {has}.")


def _frame(path: Path) -> pl.DataFrame:
    """As it was written: of csv every column is text, so that names such as 007 stay what they are."""
    kind = READERS.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"{path}: a table ends in {', '.join(READERS)}; convert it to one of these.")
    if not path.is_file():
        raise InputError(f"{path} does not exist: give the file of a log.")
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        if kind == "csv":
            _check_header(path, separator)
            frame = pl.read_csv(path, separator=separator, infer_schema=False)
        else:
            frame = pl.read_ndjson(path, infer_schema_length=None) if kind == "jsonl" else pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError, ValueError, csv.Error) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        uneven = _uneven(path, separator) if kind == "csv" else ""
        again = {"csv": ", in UTF-8", "jsonl": ", one object a line"}.get(kind, "")
        raise InputError(f"{path}{uneven} cannot be read as {kind} ({reason}): write it again{again}.") from None
    stripped = [name.strip() for name in frame.columns]
    return frame.rename(dict(zip(frame.columns, stripped, strict=True))) if len(set(stripped)) == frame.width else frame


def _check_header(path: Path, separator: str) -> None:
    """Of a csv: ``InputError`` where it is another kind, or two columns have one name."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        header = next(csv.reader(lines, delimiter=separator), [])
    if len(header) == 1 and ";" in header[0]:
        raise InputError(f"{path} is separated by semicolons: write it with commas, and a point in numbers.")
    names = [name.strip() for name in header]
    if twice := [name for name in names if names.count(name) > 1 and name]:
        raise InputError(f"{path} has two columns {twice[0]!r}: name one of them otherwise.")


def _uneven(path: Path, separator: str) -> str:
    """Where a csv has another number of fields than its header: ", row 3 (4 fields, the header has 3)"."""
    with path.open(encoding="utf-8", errors="replace", newline="") as lines, contextlib.suppress(csv.Error):
        rows = csv.reader(lines, delimiter=separator)
        wanted = len(next(rows, []))
        for number, row in enumerate(rows, start=1):
            if row and len(row) != wanted:
                return f", row {number} ({len(row)} fields, the header has {wanted})"
    return ""


def to_log(table: Table, **more: Any) -> Log:
    """A ``Log`` of a table of one row an item; ``more`` are fields of it. Rows of one ``round`` are a slate."""
    _require(table)
    rounds, places = shape(table)
    n, k = int(rounds.max()) + 1, int(places.max()) + 1
    fields: dict[str, Any] = dict(more)
    decides = "logged_decision" in table  # then a round may have no item, and only then
    bare = np.isnan(table.fitting("logged", "logged", empty=decides))
    _of_bare_rounds(table, bare, rounds)
    for name, ours in OF_ITEMS.items():
        if name in table and ours not in fields:
            fields[ours] = spread(_of_items(table, name, ours, bare), rounds, places, n, k)
    for name, ours in OF_ROUNDS.items():
        if name in table:
            values = table.fitting(name, ours, empty=name == "candidates")  # a log may not know it of every round
            fields[ours] = _of_round(table, values, rounds, n, name)
    for name, ours in NAMES.items():
        if name in table:
            fields[ours] = _of_round(table, table.names(name), rounds, n, name)
    for name, ours in FLAGS.items():
        if name in table:
            fields[ours] = _of_round(table, table.flags(name), rounds, n, name)
    if "item" in table and "items" not in fields:
        fields["items"] = spread(table.names("item"), rounds, places, n, k)
    features = sorted(name for name in table.frame.columns if name.startswith(FEATURE))
    if features:
        columns = [_of_round(table, table.fitting(name, "features"), rounds, n, name) for name in features]
        fields["features"] = np.stack(columns, axis=1)
    try:
        return Log(**fields)
    except InputError as error:
        raise InputError(f"{table.where}: {error}") from None


def shape(table: Table) -> tuple[Ints64, Ints64]:
    """The round and the place of each row, from 0. Without ``round`` each row is one; without ``place`` rows follow."""
    if "round" not in table:
        return np.arange(table.height), np.zeros(table.height, dtype=np.int64)
    names = table.names("round")
    table.refuse(names == "", f"{table.called('round')} is empty{{more}}: say which rows are one slate.")
    _, first, codes = np.unique(names, return_index=True, return_inverse=True)
    rounds = np.argsort(np.argsort(first))[codes]  # in the order of the table
    order = table.numbers("place") if "place" in table else np.arange(table.height, dtype=np.float64)
    by_round = np.lexsort((order, rounds))
    starts = np.concatenate([[0], np.cumsum(np.bincount(rounds))[:-1]])
    places = np.empty(table.height, dtype=np.int64)
    places[by_round] = np.arange(table.height) - starts[rounds[by_round]]
    if "place" in table:
        _of_slates(table, repeated(rounds, order), "round {} has this place twice{{more}}: keep one.", names)
        gap = order != places + min(1.0, order.min())  # with a row its probability is lost
        said = "round {} lacks a place before this one{{more}}: give all rows of a slate, places 1, 2, 3 and so on."
        _of_slates(table, gap, said, names)
    elif "item" in table:
        _, item = np.unique(table.names("item").astype(str), return_inverse=True)
        said = "round {} has this item twice{{more}}: keep one, or number what was shown by place."
        _of_slates(table, repeated(rounds, item), said, names)
    return rounds.astype(np.int64), places


def _of_slates(table: Table, wrong: Bools, said: str, names: Names) -> None:
    if wrong.any():
        table.refuse(wrong, said.format(repr(names[wrong][0])))


def repeated(*keys: Names) -> Bools:
    """[rows]: those that an earlier row has all ``keys`` [rows] in common with."""
    order = np.lexsort(keys)
    same = np.logical_and.reduce([key[order][1:] == key[order][:-1] for key in keys])
    again = np.zeros(len(order), dtype=np.bool_)
    again[order[1:]] = same
    return again


def spread(values: Names, rounds: Ints64, places: Ints64, n: int, k: int) -> Names:
    """[n, K] of one value a row: NaN, or "" among names, where a slate has no such place."""
    wide = np.full((n, k), "" if values.dtype == object else np.nan, dtype=values.dtype)
    wide[rounds, places] = values
    return wide


def _of_bare_rounds(table: Table, bare: Bools, rounds: Ints64) -> None:
    """A row without a probability stands for a round without items: nothing else is in it, nor was earned by it."""
    crowded = bare & (np.bincount(rounds)[rounds] > 1)
    table.refuse(crowded, f"{table.called('logged')} is empty{{more}}: every item of a slate needs one.")
    if "reward" in table:
        earned = np.nan_to_num(table.numbers("reward", empty=True))
        said = "a reward where nothing was shown{more}: give rewards of rounds, by slate_reward=COLUMN."
        table.refuse(bare & (earned != 0.0), said)


def _of_items(table: Table, name: str, ours: str, bare: Bools) -> Floats64:
    """A number of each item; rows without one have none."""
    values = table.fitting(name, ours, empty=bool(bare.any()))
    lacking = np.isnan(values) & ~bare
    table.refuse(lacking, f"{table.called(name)} is empty{{more}}: fill it in, or leave the rows out.")
    return np.where(bare, np.nan, values)


def _of_round(table: Table, values: Names, rounds: Ints64, n: int, name: str) -> Names:
    """[n] of a column that must be the same in all rows of a round."""
    single = np.empty(n, dtype=values.dtype)
    single[rounds] = values
    differs = single[rounds] != values
    if values.dtype.kind == "f":
        differs &= ~(np.isnan(single[rounds]) & np.isnan(values))
    table.refuse(differs, f"{table.called(name)} is another than in the other rows of its round: make them equal.")
    return single


def _require(table: Table) -> None:
    for name in ("logged", "target"):
        if name not in table:
            more = ", or give a second table with --target" if name == "target" else ""
            raise InputError(
                f"{table.where} has no column {name!r} ({_MEANING[name]}): name yours with --map {name}=COLUMN{more}; "
                f"{table.columns}."
            )
    rewards = [name for name in ("reward", "slate_reward") if name in table]
    if len(rewards) != 1:
        what = "both reward and slate_reward: keep" if rewards else "neither reward nor slate_reward: give"
        raise InputError(f"{table.where} has {what} one, such as --map reward=click; {table.columns}.")
    if table.height == 0:
        raise InputError(f"{table.where} has no row: there is nothing to estimate from.")


_MEANING = {
    "logged": "the probability that each item was drawn with",
    "target": "the probability with which the policy to be judged would have drawn it",
}
