"""The second table: what the policy to be judged would do, joined to the log.

Its rows are found by those of ``round``, ``context``, ``place`` and ``item`` that both tables have. Where it lists the
items that could be drawn, and their probabilities add up to 1, all of them are used: the reward model then knows what
the policy would show instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from tacit.offpolicy.log import Log
from tacit.offpolicy.table import numbers, read_frame, renamed, shape, texts, to_log, unfolded
from tacit.types import Floats64, InputError

KEYS = ("round", "context", "place", "item")
CLOSE = 1e-4  # sums of probabilities in float32 miss 1 by less
_SUM = "sum of target"


def read_table(path: str | Path, mapping: Mapping[str, str] | None = None, target: str | Path | None = None) -> Log:
    """The log in a file, with columns by ``mapping`` {our name: theirs}. ``target``: a second table (``join``)."""
    rows = renamed(read_frame(Path(path)), mapping or {}, str(path), partly=target is not None)
    if target is None:
        return to_log(rows, str(path))
    return join(
        rows, renamed(read_frame(Path(target)), mapping or {}, str(target), partly=True), str(path), str(target)
    )


def join(rows: pl.DataFrame, second: pl.DataFrame, where: str, other: str) -> Log:
    """The log with ``target`` of the second table; ``InputError`` where it does not say what is needed."""
    rows, second = unfolded(rows, where), unfolded(second, other)
    if "target" in rows.columns:
        raise InputError(f"{where} has a column target, and {other} would give another: leave one of them out.")
    if "target" not in second.columns:
        raise InputError(f"{other} has no column 'target': name yours with --map target=COLUMN.")
    keys = [key for key in KEYS if key in rows.columns and key in second.columns]
    if not {"round", "item"} & set(keys):
        raise InputError(f"{where} and {other} share neither round nor item: name the columns with --map.")
    second = second.select(*[pl.col(key).cast(pl.String) for key in keys], "target")
    second = second.with_columns(pl.Series("target", numbers(second, "target", other)))
    doubled = second.select(keys).is_duplicated()
    if doubled.any():
        found = second.select(keys).row(int(doubled.arg_true()[0]), named=True)
        raise InputError(f"{other} has {found} twice: keep one row.")
    whole = _is_whole(second, keys, other) if "item" in keys else False
    keyed = rows.with_columns(pl.col(key).cast(pl.String) for key in keys)
    joined = keyed.join(second, on=keys, how="left", maintain_order="left")
    if whole:
        joined = joined.with_columns(pl.col("target").fill_null(0.0))
    missing = joined["target"].is_null() & (rows["logged"].is_not_null() if "logged" in rows.columns else True)
    if missing.any():
        row = int(missing.arg_true()[0])
        found = joined.select(keys).row(row, named=True)
        raise InputError(
            f"{other} has no row for {found}, which {where} has in row {row + 1}: add it, with 0 if need be."
        )
    frame = rows.with_columns(joined["target"])
    if not whole:
        return to_log(frame, where)
    items, shares = _choices(frame, second, [key for key in keys if key != "item"], where)
    return to_log(frame, where, target_items=items, target_shares=shares)


def _is_whole(second: pl.DataFrame, keys: list[str], other: str) -> bool:
    """Do the probabilities of every group add up to 1? Above 1 is an error."""
    groups = [key for key in keys if key != "item"]
    total = pl.col("target").sum().alias(_SUM)
    sums = second.group_by(groups, maintain_order=True).agg(total) if groups else second.select(total)
    above = sums.filter(pl.col(_SUM) > 1.0 + CLOSE)
    if above.height:
        found = above.row(0, named=True)
        raise InputError(f"{other}: target adds up to {found.pop(_SUM):.6g} for {found or 'all items'}: it must be 1.")
    return bool((sums[_SUM] >= 1.0 - CLOSE).all())


def _choices(
    frame: pl.DataFrame, second: pl.DataFrame, groups: list[str], where: str
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.object_]], Floats64]:
    """Items that could be drawn and their probabilities at each place of each round, [n, K, M] each."""
    rounds, places = shape(frame, where)
    n, k = int(rounds.max()) + 1, int(places.max()) + 1
    group_of = {}
    listed = second.partition_by(groups, as_dict=True, maintain_order=True) if groups else {(): second}
    most = max(part.height for part in listed.values())
    items, shares = np.full((len(listed) + 1, most), "", dtype=object), np.zeros((len(listed) + 1, most))
    for number, (key, part) in enumerate(listed.items()):
        group_of[key] = number
        items[number, : part.height] = texts(part, "item")
        shares[number, : part.height] = part["target"].to_numpy()
    keys = frame.select(pl.col(key).cast(pl.String) for key in groups).rows() if groups else [()] * frame.height
    of_place = np.full((n, k), len(listed))
    of_place[rounds, places] = [group_of.get(key, len(listed)) for key in keys]
    return items[of_place], shares[of_place]
