"""Anybody's log as a ``Log``: csv, JSON lines or Parquet, one row an item that was shown.

Columns have the names below, or those that ``--map`` gives them; others are left alone. What is wrong is said with the
column, the row (from 1, the header not counted) and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tacit.offpolicy.log import Log, Names
from tacit.types import Floats64, InputError, Ints64

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
COLUMNS = ("round", "place", "item", *OF_ITEMS, *OF_ROUNDS, *NAMES, *FLAGS)
FEATURE = "feature_"  # columns that begin so are features of the context
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no", "")


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


def read_frame(path: Path) -> pl.DataFrame:
    """The table in a file, by the ending of its name."""
    kind = READERS.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"{path}: a table ends in {', '.join(READERS)}; convert it to one of these.")
    if not path.is_file():
        raise InputError(f"{path} does not exist: give the file of a log.")
    try:
        if kind == "csv":
            separator = "\t" if path.suffix.lower() == ".tsv" else ","
            return pl.read_csv(path, separator=separator, infer_schema_length=None)
        return pl.read_ndjson(path, infer_schema_length=None) if kind == "jsonl" else pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise InputError(f"{path} cannot be read as {kind} ({reason}): write it again.") from None


def renamed(frame: pl.DataFrame, mapping: Mapping[str, str], where: str, partly: bool = False) -> pl.DataFrame:
    """With our names. ``partly``: columns of the mapping that this table lacks belong to another one."""
    for ours, theirs in mapping.items():
        if theirs not in frame.columns and not partly:
            raise InputError(f"{where} has no column {theirs!r}, which --map gives to {ours}: {_columns(frame)}.")
    return frame.with_columns(pl.col(theirs).alias(ours) for ours, theirs in mapping.items() if theirs in frame.columns)


def unfolded(frame: pl.DataFrame, where: str) -> pl.DataFrame:
    """One row an item: where columns hold lists, each row was a whole round."""
    lists = [name for name in frame.columns if name in COLUMNS and isinstance(frame[name].dtype, pl.List | pl.Array)]
    if not lists:
        return frame
    lengths = frame.select(pl.col(name).list.len().alias(name) for name in lists)
    uneven = lengths.select(pl.concat_list(lists).list.n_unique() > 1).to_series()
    if uneven.any():
        row = int(uneven.arg_true()[0]) + 1
        raise InputError(f"{where}, row {row}: {', '.join(lists)} must have as many entries each.")
    if "round" not in frame.columns:
        frame = frame.with_row_index("round")
    return frame.explode(lists)


def to_log(frame: pl.DataFrame, where: str = "the table", **more: Any) -> Log:
    """A ``Log`` of a frame with our column names; ``more`` are fields of it. Rows of one ``round`` are a slate."""
    frame = unfolded(frame, where)
    _require(frame, where)
    rounds, places = shape(frame, where)
    n, k = int(rounds.max()) + 1, int(places.max()) + 1
    fields: dict[str, Any] = dict(more)
    for name, ours in OF_ITEMS.items():
        if name in frame.columns and ours not in fields:
            empty = name in ("logged", "target", "reward") and "logged_decision" in frame.columns
            fields[ours] = spread(numbers(frame, name, where, empty), rounds, places, n, k)
    for name, ours in OF_ROUNDS.items():
        if name in frame.columns and not (name == "slate_reward" and "rewards" in fields):
            fields[ours] = _of_round(numbers(frame, name, where), rounds, n, name, where)
    for name, ours in NAMES.items():
        if name in frame.columns:
            fields[ours] = _of_round(texts(frame, name), rounds, n, name, where)
    for name, ours in FLAGS.items():
        if name in frame.columns:
            fields[ours] = _of_round(_flags(frame, name, where), rounds, n, name, where)
    if "item" in frame.columns:
        fields["items"] = spread(texts(frame, "item"), rounds, places, n, k)
    features = sorted(name for name in frame.columns if name.startswith(FEATURE))
    if features:
        columns = [_of_round(numbers(frame, name, where), rounds, n, name, where) for name in features]
        fields["features"] = np.stack(columns, axis=1)
    try:
        return Log(**fields)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def shape(frame: pl.DataFrame, where: str) -> tuple[Ints64, Ints64]:
    """The round and the place of each row, from 0. Without ``round`` each row is one; without ``place`` rows follow."""
    if "round" not in frame.columns:
        return np.arange(frame.height), np.zeros(frame.height, dtype=np.int64)
    names = texts(frame, "round")
    _, first, codes = np.unique(names, return_index=True, return_inverse=True)
    rounds = np.argsort(np.argsort(first))[codes]  # in the order of the table
    if "place" in frame.columns:
        order = numbers(frame, "place", where)
        doubled = frame.select("round", "place").is_duplicated()
        if doubled.any():
            row = int(doubled.arg_true()[0])
            raise InputError(f"{where}, row {row + 1}: round {names[row]!r} has place {order[row]:g} twice: keep one.")
    else:
        order = np.arange(frame.height, dtype=np.float64)
    by_round = np.lexsort((order, rounds))
    starts = np.concatenate([[0], np.cumsum(np.bincount(rounds))[:-1]])
    places = np.empty(frame.height, dtype=np.int64)
    places[by_round] = np.arange(frame.height) - starts[rounds[by_round]]
    return rounds.astype(np.int64), places


def spread(values: Names, rounds: Ints64, places: Ints64, n: int, k: int) -> Names:
    """[n, K] of one value a row: NaN, or "" among names, where a slate has no such place."""
    wide = np.full((n, k), "" if values.dtype == object else np.nan, dtype=values.dtype)
    wide[rounds, places] = values
    return wide


def numbers(frame: pl.DataFrame, name: str, where: str, empty: bool = False) -> Floats64:
    """A column in float64; ``empty``: rows may have none, which become NaN."""
    column = frame[name]
    if column.dtype == pl.String:
        column = column.str.strip_chars().replace("", None)
    found = column.cast(pl.Float64, strict=False)
    wrong = found.is_null() & (column.is_not_null() | (not empty))
    if wrong.any():
        row = int(wrong.arg_true()[0])
        value = frame[name][row]
        what = "is empty" if value is None or value == "" else f"is {str(value)[:40]!r}, no number"
        raise InputError(
            f"{where}, row {row + 1}: {name} {what} ({int(wrong.sum())} such rows): fill it in, or leave the rows out."
        )
    return np.asarray(found.fill_null(float("nan")).to_numpy(), dtype=np.float64)


def texts(frame: pl.DataFrame, name: str) -> Names:
    """A column of names; "" where there is none."""
    return np.array(frame[name].cast(pl.String).fill_null("").to_list(), dtype=object)


def _flags(frame: pl.DataFrame, name: str, where: str) -> Names:
    words = [str(word).strip().lower() for word in texts(frame, name)]
    for row, word in enumerate(words, start=1):
        if word not in _TRUE + _FALSE:
            raise InputError(f"{where}, row {row}: {name} is {word[:40]!r}: write true or false.")
    return np.array([word in _TRUE for word in words], dtype=np.bool_)


def _of_round(values: Names, rounds: Ints64, n: int, name: str, where: str) -> Names:
    """[n] of a column that must be the same in all rows of a round."""
    single = np.empty(n, dtype=values.dtype)
    single[rounds] = values
    differs = single[rounds] != values
    if differs.any():
        row = int(np.flatnonzero(differs)[0])
        raise InputError(
            f"{where}, row {row + 1}: {name} is another than in the other rows of its round: make them equal."
        )
    return single


def _require(frame: pl.DataFrame, where: str) -> None:
    rewards = {"reward", "slate_reward"} & set(frame.columns)
    for name in ("logged", "target"):
        if name not in frame.columns:
            more = ", or give a second table with --target" if name == "target" else ""
            raise InputError(
                f"{where} has no column {name!r} ({_MEANING[name]}): name yours with --map {name}=COLUMN{more}; "
                f"{_columns(frame)}."
            )
    if len(rewards) != 1:
        what = "both reward and slate_reward: keep" if rewards else "neither reward nor slate_reward: give"
        raise InputError(f"{where} has {what} one, such as --map reward=click; {_columns(frame)}.")
    if frame.height == 0:
        raise InputError(f"{where} has no row: there is nothing to estimate from.")


_MEANING = {
    "logged": "the probability that each item was drawn with",
    "target": "the probability with which the policy to be judged would have drawn it",
}


def _columns(frame: pl.DataFrame) -> str:
    shown = ", ".join(frame.columns[:20]) + (", ..." if len(frame.columns) > 20 else "")
    return f"it has {shown or 'none'}"
