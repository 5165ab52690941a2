"""Seconds and memory to make labels of a log of two million events, by each engine, in turn.

    python benchmarks/labels.py [--events 2000000] [--days 1] [--repeats 3] [--engines polars duckdb]

The log is made up first (not timed): sessions of three turns with five items, of which most are reported twice. Wall
seconds, since two cores are the promise; CPU seconds of the process and its children beside them. Memory is the largest
resident size of a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from tacit.events.export import MANIFEST
from tacit.events.rows import DELIVERIES, EVENTS, EXPOSURES, with_partitions
from tacit.events.schema import DAY_MS

START_MS = 1_790_035_200_000
TURNS, ITEMS = 3, 5


def make(folder: Path, events: int, days: int, seed: int = 0) -> int:
    """An export of about so many events; how many."""
    chance = np.random.default_rng(seed)
    sessions = events // (TURNS * (2 * (ITEMS - 1) + 2))
    total = 0
    for day in range(days):
        for start in range(0, sessions // days, 50_000):
            count = min(50_000, sessions // days - start)
            total += _some(folder, day, f"{day}-{start}", count, sessions, chance)
    (folder / MANIFEST).write_text("{}")
    return total


def _some(folder: Path, day: int, name: str, sessions: int, everybody: int, chance: np.random.Generator) -> int:
    turns = sessions * TURNS
    session = np.repeat(np.arange(sessions), TURNS)
    turn = np.tile(np.arange(TURNS), sessions)
    begun = START_MS + day * DAY_MS + chance.integers(DAY_MS - 3_600_000, size=sessions)
    users = chance.integers(max(everybody // 2, 1), size=sessions)
    devices = chance.choice(np.array(["desktop", "phone", "tablet"]), size=sessions)
    exposures = pl.DataFrame({
        "number": np.arange(turns), "session": session, "turn": turn, "created_ms": begun[session] + turn * 60_000,
        "user": users[session], "device": devices[session], "words": chance.integers(5, 80, size=turns),
        "first": chance.integers(100_000, size=turns),
    }).with_columns(
        exposure_id=pl.format("0199a3c4-51b0-7c3e-9d1f-{}-{}", pl.lit(name), "number"),
        session_id=pl.format("0199a3c4-0001-7000-8000-{}-{}", pl.lit(name), "session"),
        user=pl.format("8f14e45fceea167a5a36dedd4be{}", "user"),
        items=pl.concat_list(*(pl.format("tt{}", pl.col("first") + 7919 * k) for k in range(ITEMS))),
        positions=pl.concat_list(*(pl.lit(k + 1, pl.Int64) for k in range(ITEMS))),
        probabilities=pl.concat_list(*(pl.lit(0.01) for _ in range(ITEMS))),
        consent=pl.lit("train"), policy_version=pl.lit("p"), bucket=pl.lit("policy"), decision=pl.lit("recommend"),
    )  # fmt: skip
    _write(folder, "exposures", exposures, EXPOSURES, "created_ms", name)
    moment = exposures["created_ms"] + 2000
    _write(folder, "deliveries", exposures.with_columns(recv_ms=moment, state=pl.lit("delivered")), DELIVERIES,
           "recv_ms", name)  # fmt: skip
    reports = []
    for report in range(2):
        for place in range(ITEMS):
            seen = chance.random(turns) < 0.95 - 0.1 * place if place else np.ones(turns, bool)
            read = chance.random(turns) < 0.5
            longest = np.exp(np.where(read, 9.2, 7.3) + 0.35 * chance.standard_normal(turns))
            frame = exposures.select("exposure_id", "session_id", "user", "device", "created_ms",
                                     item_id=pl.col("items").list.get(place))  # fmt: skip
            reports.append(frame.with_columns(
                kind=pl.lit("visible"), seq=pl.Series(turn * 20 + report * 8 + place),
                visible_ms=pl.Series((longest * (0.5 + 0.5 * report)).astype(np.int64)),
                censored=pl.lit(report == 0), recv_ms=pl.col("created_ms") + 10_000 * (report + 1) + place,
            ).filter(pl.Series(seen)))  # fmt: skip
    frame = exposures.select("exposure_id", "session_id", "user", "device", "created_ms",
                             item_id=pl.lit(None, pl.String))  # fmt: skip
    reports.append(frame.with_columns(
        kind=pl.lit("dwell"), seq=pl.Series(turn * 20 + 16), visible_ms=pl.Series(chance.integers(1000, 50_000, turns)),
        censored=pl.lit(False), recv_ms=pl.col("created_ms") + 40_000,
    ))  # fmt: skip
    reports.append(frame.with_columns(
        item_id=exposures["items"].list.get(0), kind=pl.lit("click"), seq=pl.Series(turn * 20 + 17),
        recv_ms=pl.col("created_ms") + 41_000,
    ).filter(pl.Series(chance.random(turns) < 0.2)))  # fmt: skip
    events = pl.concat(reports, how="diagonal").sort("recv_ms")
    _write(folder, "events", events.with_columns(event_id=pl.format("e{}", pl.int_range(pl.len()))), EVENTS,
           "recv_ms", name)  # fmt: skip
    return events.height


def _write(
    folder: Path, name: str, table: pl.DataFrame, schema: dict[str, pl.DataType], moment: str, batch: str
) -> None:
    table = table.with_columns(row=pl.int_range(pl.len()), schema=pl.lit(1))
    lacking = [pl.lit(None, kind).alias(column) for column, kind in schema.items() if column not in table.columns]
    table = table.with_columns(lacking).select(pl.col(column).cast(kind) for column, kind in schema.items())
    for (day, shard), part in with_partitions(table, moment).partition_by(["day", "shard"], as_dict=True).items():
        place = folder / name / f"day={day}" / f"shard={shard:02d}"
        place.mkdir(parents=True, exist_ok=True)
        part.drop("day", "shard").write_parquet(place / f"{batch}.parquet", compression="zstd")


def one(export: Path, engine: str, as_of: int) -> None:
    """A process of its own, so that its largest memory is of this engine alone."""
    from tacit.labels.build import build
    from tacit.labels.engines import observer
    from tacit.labels.settings import LabelSettings

    build_out = export.parent / f"labels-{engine}"
    before = largest_mb()
    start, cpu = time.perf_counter(), time.process_time()
    made = build(export, build_out, LabelSettings(), as_of, observe=observer(engine))
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(json.dumps({"engine": engine, "wall_s": round(wall, 2), "cpu_s": round(cpu, 2), "items": made.items,
                      "resident_mb_before": before, "resident_mb": largest_mb()}))  # fmt: skip


def largest_mb() -> int:
    """What this process has held at most since it began (a child's ``ru_maxrss`` begins with its parent's)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--engines", nargs="+", default=["polars", "duckdb"])
    parser.add_argument("--one", nargs=2, metavar=("EXPORT", "ENGINE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    as_of = START_MS + (given.days + 3) * DAY_MS
    if given.one:
        one(Path(given.one[0]), given.one[1], as_of)
        return
    with tempfile.TemporaryDirectory() as folder:
        export = Path(folder) / "export"
        print(f"{make(export, given.events, given.days):,} events over {given.days} days", flush=True)
        for _ in range(given.repeats):
            for engine in given.engines:
                command = [sys.executable, __file__, "--days", str(given.days), "--one", str(export), engine]
                subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
