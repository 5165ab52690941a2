"""How wide intervals on ReDial's test are by seeker and by dialogue, for rankers that need no training.

    python benchmarks/seeker_intervals.py FOLDER      # the folder of ReDial

Ranks every case of the official test by popularity and by co-occurrence (counted on the training part), and prints
levels and paired differences with both intervals as Markdown. Seed 0; half a minute.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import polars as pl

from tacit.data.dialogues.sources import DataConfig, load_test, load_training
from tacit.dialogue.evaluate import protocols
from tacit.dialogue.evaluate.baselines.counts import baselines
from tacit.dialogue.evaluate.ranking import rank_rows, write_ranks
from tacit.metrics.markdown import line_name
from tacit.metrics.results import Row

MODELS = ("popularity", "co-occurrence")
PAIRS = (("co-occurrence", "popularity"),)
NAMES = ("HR@1", "HR@5", "HR@10", "HR@50", "NDCG@5")


def ranks(data: str, folder: Path) -> tuple[dict[str, pl.DataFrame], int]:
    """A table of ranks by model, and the size of the catalogue."""
    config = DataConfig("redial", data)
    catalog, split = load_training(config)
    cases = protocols.cases(load_test(config), catalog)
    for name, ranker in baselines(catalog, split.train).items():
        if name in MODELS:
            write_ranks(folder / f"{name}.parquet", name, ranker.scores, cases, catalog, "redial", 0, 64)
    return {name: pl.read_parquet(folder / f"{name}.parquet") for name in MODELS}, len(catalog)


def shown(tables: dict[str, pl.DataFrame], items: int) -> dict[tuple[str, str], Row]:
    rows = rank_rows(tables, PAIRS, items, "redial", 1000, 0)
    standard = [row for row in rows if row.protocol == "redial-standard" and row.slice == "new"]
    return {(line_name(row), row.name): row for row in standard if row.name in NAMES}


def main(data: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tables, items = ranks(data, Path(folder))
    by_seeker = shown(tables, items)
    by_dialogue = shown({name: table.drop("user") for name, table in tables.items()}, items)
    one, other = (next(iter(rows.values())) for rows in (by_seeker, by_dialogue))
    print(f"| new items | value | over {one.clusters} {one.unit} | over {other.clusters} {other.unit} | width |")
    print("|---|---|---|---|---|")
    for (line, name), row in by_seeker.items():
        cells = [part.ends for part in (row, by_dialogue[line, name])]
        if cells[0] and cells[1]:
            wider = (cells[0][1] - cells[0][0]) / (cells[1][1] - cells[1][0])
            ends = " | ".join(f"[{low:.4f}, {high:.4f}]" for low, high in (cells[0], cells[1]))
            print(f"| {line}, {name} | {row.value:.4f} | {ends} | {wider:.1f} × |")


if __name__ == "__main__":
    main(sys.argv[1])
