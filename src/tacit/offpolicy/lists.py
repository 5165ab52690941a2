"""Tables whose rows are whole slates: columns of lists, or of lists written as JSON, become one row an item."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import polars as pl

from tacit.offpolicy.columns import ENTRY, ROW, Table
from tacit.types import InputError


def unfolded(table: Table, of_items: Sequence[str], of_rounds: Sequence[str]) -> Table:
    """One row an item, with its row and entry in the file. Of the columns ``of_items`` all or none are lists; those
    ``of_rounds`` are one value a row. A row whose lists are empty becomes a row without an item."""
    table = table.replaced(table.frame.with_row_index(ROW, offset=1))
    table = _decoded(table, [name for name in of_items if name in table])
    lists = [name for name in of_items if name in table and isinstance(table.frame[name].dtype, pl.List)]
    for name in of_rounds:
        if name in table and isinstance(table.frame[name].dtype, pl.List):
            raise InputError(f"{table.where}: {table.called(name)} holds lists: give one value a round.")
    if not lists:
        return table
    for name in of_items:
        if name in table and name not in lists:
            raise InputError(
                f"{table.where}: {table.called(name)} is one value a row, where {table.called(lists[0])} is a list: "
                + ("give slate_reward=COLUMN" if name == "reward" else "give a list, one entry an item")
                + ", or leave the lists out, so that each row is one action."
            )
    frame = table.frame.with_columns(pl.col(name).fill_null([]) for name in lists)
    lengths = np.stack([frame[name].list.len().to_numpy() for name in lists], axis=1)
    uneven = (lengths != lengths[:, :1]).any(axis=1)
    table.refuse(uneven, f"{', '.join(table.called(name) for name in lists)} must have as many entries each{{more}}.")
    if "round" not in table:
        frame = frame.with_columns(pl.col(ROW).alias("round"))
    entries = pl.int_ranges(1, pl.col(lists[0]).list.len() + 1).alias(ENTRY)
    # Of an empty list polars makes a row before 2, and none from then on: a null in it is a row always.
    frame = frame.with_columns(entries).with_columns(
        pl.when(pl.col(name).list.len() == 0).then(pl.lit([None])).otherwise(pl.col(name)).alias(name)
        for name in (*lists, ENTRY)
    )
    return table.replaced(frame.explode(*lists, ENTRY))


def _decoded(table: Table, names: Sequence[str]) -> Table:
    """Fixed-size arrays as lists, and text that begins like a list read as JSON. An item may be called "[REC]": its
    text is a list where numbers of items are lists, too."""
    arrays = [name for name in names if isinstance(table.frame[name].dtype, pl.Array)]
    table = table.replaced(table.frame.with_columns(pl.col(arrays).arr.to_list()))
    texts = [name for name in names if _begins_like_a_list(table.frame[name])]
    lists = any(isinstance(table.frame[name].dtype, pl.List) for name in names if name != "item")
    if not lists and set(texts) <= {"item"}:
        return table
    made = [pl.Series(name, _from_json(table, name), dtype=pl.List(pl.String)) for name in texts]
    return table.replaced(table.frame.with_columns(made))


def _begins_like_a_list(column: pl.Series) -> bool:
    given = column.drop_nulls().head(1) if column.dtype == pl.String else column.clear()
    return bool(len(given)) and str(given[0]).lstrip().startswith("[")


def _from_json(table: Table, name: str) -> list[list[str | None]]:
    rows, texts = list[list[str | None]](), table.frame[name].fill_null("[]").to_list()
    for i, text in enumerate(texts):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, list) or any(isinstance(entry, list | dict) for entry in found):
            raise InputError(
                f"{table.at(i)}: {table.called(name)} is {text[:40]!r}, no list: write JSON, such as [0.5, 0.25] or "
                '["a", "b"].'
            )
        rows.append([None if entry is None else str(entry) for entry in found])
    return rows
