"""Reading Amazon Books: minutes and peak memory on a generated file in the official format.

    python benchmarks/amazon_core.py --rows 20000000

The file is like ``Books_5.json.gz`` of 2018: sorted by item, 15 reviews a user and 39 an item with a long tail, a text
a review; the texts repeat each other, so the file is smaller than a real one. A process of its own writes it into a
temporary folder (``--folder`` says where that is made), so that the peak measured here is the reader's alone.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from tacit.data.ratings.amazon import METADATA, REVIEWS, load

ROWS_A_USER, ROWS_AN_ITEM = 15, 39  # 27,164,983 reviews, 1,856,344 users and 704,093 items in the real file
CHUNK = 200_000
WORDS = "the story of two people who live far apart and find each other again after the war is told with great care "


def generate(folder: Path, rows: int, seed: int = 0) -> None:
    """Both files. Row counts of users and items follow a power law, so that a (60, 40)-core exists at every size."""
    rng = np.random.default_rng(seed)
    users = long_tail(rng, rows, max(rows // ROWS_A_USER, 1))
    items = np.sort(long_tail(rng, rows, max(rows // ROWS_AN_ITEM, 1)))
    with gzip.open(folder / f"{REVIEWS}.gz", "wb", compresslevel=1) as file:
        for start in range(0, rows, CHUNK):
            part = slice(start, start + CHUNK)
            file.write(reviews(rng, users[part], items[part]))
    with gzip.open(folder / f"{METADATA}.gz", "wb", compresslevel=1) as file:
        for item in np.unique(items).tolist():
            row = {
                "category": ["Books", f"Category {item % 30}", "Fiction"],
                "title": f"The book of number {item}",
                "brand": f"Visit Amazon's Writer {item % 5000} Page",
                "asin": f"{item:010d}",
            }
            file.write(json.dumps(row).encode() + b"\n")


def long_tail(rng: np.random.Generator, n: int, kinds: int) -> npt.NDArray[np.int32]:
    """n draws of 0 .. kinds - 1, of which number i has probability about i^(-2/3)."""
    return (rng.random(n) ** 3 * kinds).astype(np.int32)


def reviews(rng: np.random.Generator, users: npt.NDArray[np.int32], items: npt.NDArray[np.int32]) -> bytes:
    """Lines with the keys of the release; texts have 100 to 900 characters."""
    n = len(users)
    text = pl.lit(WORDS * 9)
    days = rng.integers(10_000, 17_800, n) * 86_400
    frame = pl.DataFrame({"user": users, "item": items, "days": days, "length": rng.integers(100, 900, n)})
    frame = frame.select(
        overall=pl.Series(rng.choice([1.0, 2.0, 3.0, 4.0, 5.0], n, p=[0.05, 0.05, 0.1, 0.2, 0.6])),
        verified=pl.lit(True),
        reviewTime=pl.from_epoch("days").dt.strftime("%m %-d, %Y"),
        reviewerID=pl.format("A{}", pl.col("user").cast(pl.String).str.zfill(13)),
        asin=pl.col("item").cast(pl.String).str.zfill(10),
        style=pl.struct(pl.lit(" Paperback").alias("Format:")),
        reviewerName=pl.format("Reader {}", "user"),
        reviewText=text.str.slice(0, pl.col("length")),
        summary=pl.lit("A good book"),
        unixReviewTime=pl.col("days"),
    )
    lines = io.BytesIO()
    frame.write_ndjson(lines)
    return lines.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--folder", default=None, help="where the temporary folder is made")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tacit-amazon-", dir=arguments.folder) as name:
        folder = Path(name)
        start = time.perf_counter()
        writer = multiprocessing.get_context("spawn").Process(target=generate, args=(folder, arguments.rows))
        writer.start()
        writer.join()
        if writer.exitcode:
            raise SystemExit(writer.exitcode)
        size = (folder / f"{REVIEWS}.gz").stat().st_size
        print(
            f"{arguments.rows:,} reviews written in {(time.perf_counter() - start) / 60:.1f} min, {size / 1e9:.2f} GB"
        )
        start, used = time.perf_counter(), time.process_time()
        ratings = load(folder)
        minutes = (time.perf_counter() - start) / 60
        cpu = (time.process_time() - used) / 60
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9  # kilobytes on Linux
    print(f"read in {minutes:.2f} min ({cpu:.2f} min of processor time), peak memory {peak:.2f} GB")
    print(
        f"(60, 40)-core: {len(ratings.users):,} users, {len(ratings.items):,} items, {ratings.frame.height:,} ratings"
    )


if __name__ == "__main__":
    main()
