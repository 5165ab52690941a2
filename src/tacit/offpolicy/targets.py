"""The second table: what the policy to be judged would do, joined to the log.

Its rows are found by those of ``round``, ``context``, ``place`` and ``item`` that both tables have. Where it lists the
items that could be drawn, and their probabilities add up to 1, all of them are used: the reward model then knows what
the policy would show instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from tacit.offpolicy.columns import Table
from tacit.offpolicy.log import Log, Names
from tacit.offpolicy.table import all_mapped, read, shape, to_log
from tacit.types import Floats64, InputError

KEYS = ("round", "context", "place", "item")
CLOSE = 1e-4  # sums of probabilities in float32 miss 1 by less


def read_table(path: str | Path, mapping: Mapping[str, str] | None = None, target: str | Path | None = None) -> Log:
    """The log in a file, with columns by ``mapping`` {our name: theirs}. ``target``: a second table (``join``)."""
    return log_of(read_tables(path, mapping, target))


def read_tables(
    path: str | Path, mapping: Mapping[str, str] | None = None, target: str | Path | None = None
) -> list[Table]:
    """The same as one table or two."""
    tables = [read(Path(one), mapping or {}) for one in (path, target) if one is not None]
    all_mapped(mapping or {}, *tables)
    return tables


def log_of(tables: Sequence[Table]) -> Log:
    """Of one table, or of two (``join``)."""
    return join(*tables) if len(tables) == 2 else to_log(tables[0])


def join(rows: Table, second: Table) -> Log:
    """The log with ``target`` of the second table; ``InputError`` where it does not say what is needed."""
    if "target" in rows:
        raise InputError(
            f"{rows.where} has a column target, and {second.where} would give another: leave one of them out."
        )
    if "target" not in second:
        raise InputError(f"{second.where} has no column 'target': name yours with --map target=COLUMN.")
    keys = [key for key in KEYS if key in rows and key in second]
    if not {"round", "item"} & set(keys):
        raise InputError(f"{rows.where} and {second.where} share neither round nor item: name the columns with --map.")
    theirs = _keyed(second, keys).with_columns(target=second.fitting("target", "target"))
    doubled = theirs.select(keys).is_duplicated()
    if doubled.any():
        found = _key(theirs, int(doubled.arg_true()[0]), keys)
        raise InputError(f"{second.where} has {found} twice: keep one row.")
    whole = _is_whole(second, theirs, keys) if "item" in keys else False
    joined = _keyed(rows, keys).join(theirs, on=keys, how="left", maintain_order="left")
    _all_found(rows, second, joined, keys, whole)
    table = rows.replaced(rows.frame.with_columns(joined["target"].fill_null(0.0) if whole else joined["target"]))
    if not whole:
        return to_log(table)
    items, shares = _choices(table, theirs, [key for key in keys if key != "item"])
    return to_log(table, target_items=items, target_shares=shares)


def _keyed(table: Table, keys: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame({key: pl.Series(table.names(key).tolist(), dtype=pl.String) for key in keys})


def _key(frame: pl.DataFrame, row: int, keys: Sequence[str]) -> str:
    """A row's key in words."""
    return ", ".join(f"{key} {value!r}" for key, value in frame.select(keys).row(row, named=True).items())


def _all_found(rows: Table, second: Table, joined: pl.DataFrame, keys: Sequence[str], whole: bool) -> None:
    """``InputError`` where a row has no target. An item that a whole policy does not list is one it never shows; that
    it lists none at all means that the two tables call items differently."""
    missing = joined["target"].is_null()
    if "logged" in rows:
        missing &= rows.frame["logged"].is_not_null()
    if missing.any() and (not whole or missing.all()):
        row = int(missing.arg_true()[0])
        more = "; it has none of the others either: are names written alike in both?" if missing.all() else ""
        raise InputError(
            f"{second.where} has no row for {_key(joined, row, keys)}, which {rows.at(row)} has{more}"
            + ("" if more else ": add it, with 0 if need be.")
        )


def _is_whole(second: Table, theirs: pl.DataFrame, keys: Sequence[str]) -> bool:
    """Do the probabilities of every group add up to 1? Above 1 is an error."""
    groups = [key for key in keys if key != "item"]
    total = pl.col("target").sum()
    sums = theirs.group_by(groups, maintain_order=True).agg(total) if groups else theirs.select(total)
    above = sums.filter(pl.col("target") > 1.0 + CLOSE)
    if above.height:
        of = _key(above, 0, groups) if groups else "all items"
        raise InputError(f"{second.where}: target adds up to {above['target'][0]:.6g} for {of}: it must be 1.")
    return bool((sums["target"] >= 1.0 - CLOSE).all())


def _choices(table: Table, theirs: pl.DataFrame, groups: Sequence[str]) -> tuple[Names, Floats64]:
    """Items that could be drawn and their probabilities at each place of each round, [n, K, M] each."""
    rounds, places = shape(table)
    n, k = int(rounds.max()) + 1, int(places.max()) + 1
    group_of = {}
    listed = theirs.partition_by(groups, as_dict=True, maintain_order=True) if groups else {(): theirs}
    most = max(part.height for part in listed.values())
    items, shares = np.full((len(listed) + 1, most), "", dtype=object), np.zeros((len(listed) + 1, most))
    for number, (key, part) in enumerate(listed.items()):
        group_of[key] = number
        items[number, : part.height] = part["item"].to_list()
        shares[number, : part.height] = part["target"].to_numpy()
    keys = _keyed(table, groups).rows() if groups else [()] * table.height
    of_place = np.full((n, k), len(listed))
    of_place[rounds, places] = [group_of.get(key, len(listed)) for key in keys]
    return items[of_place], shares[of_place]
