"""Example replies: the same messages answered by each model and by the data, side by side; and beside other runs."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path

import polars as pl

from tacit.metrics.results import in_order
from tacit.report import page
from tacit.report.page import NAMES, Cell
from tacit.run.files import read_parquet

SHOWN = 10
_PLACE = ["dialogue", "turn"]


def side_by_side(tables: Mapping[str, pl.DataFrame], human: str) -> str:
    """A line a message, at equal distances through those that every model answered: the last words, then each reply.

    ``tables``: model → its replies (``evaluate.replies.SCHEMA``); ``human`` is what the data's own replies are called.
    """
    tables = {model: table for model, table in tables.items() if len(table)}
    if not tables:
        return ""
    models = in_order(tables)
    places = tables[models[0]].select(*_PLACE, "context", "reference")
    for model in models:
        places = places.join(
            tables[model].select(*_PLACE, pl.col("reply").alias(f"reply of {model}")), on=_PLACE, maintain_order="left"
        )
    if places.is_empty():
        return ""
    count = min(SHOWN, len(places))
    rows = places[[i * len(places) // count for i in range(count)]].to_dicts()
    lines = [
        (
            "",
            [Cell(_last_words(row["context"])), Cell(row["reference"])]
            + [Cell(row[f"reply of {model}"] or "(says nothing)") for model in models],
        )
        for row in rows
    ]
    caption = (
        f"{count} of {len(places)} messages, at equal distances, chosen by no one. Replies are the likeliest ones."
    )
    headings = ["the words before", human, *(NAMES.get(model, model) for model in models)]
    table = page.table(headings, lines, escape(caption))
    return f"<details><summary>{count} replies side by side</summary>{table}</details>"


def beside(replies: Mapping[str, pl.DataFrame], others: Mapping[str, Path], human: str) -> str:
    """The same of several runs: of each the last policy's replies. ``others``: name → run folder."""
    tables = dict(replies)
    for name, folder in others.items():
        for stage in ("ppo", "sft"):
            path = folder / "evaluate" / "replies" / f"{stage}.parquet"
            if path.is_file():
                tables[f"{name}: {NAMES[stage]}"] = read_parquet(path, f"evaluate {folder} again.")
                break
    return side_by_side(tables, human) if len(tables) > len(replies) else ""


def _last_words(context: str) -> str:
    """The last line of a logged context, without who said it."""
    return context.rsplit("\n", 1)[-1].partition(": ")[2]
