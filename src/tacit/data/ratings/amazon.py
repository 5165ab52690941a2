"""Amazon Books of the 2018 release (Ni, Li and McAuley, EMNLP 2019, https://nijianmo.github.io/amazon/).

``Books_5.json.gz`` (27 million reviews, tens of gigabytes of text) streams by at constant memory: of a review only
user, item, stars and time are kept, 20 bytes of integers. Then comes the iterated core, and the metadata of the items
in it. Rules as in KAR's preprocessing (arXiv 2306.10933, preprocess/preprocess_amz.py): reviews without stars are
skipped, items without metadata are left out after the core, and so is the mistaken record "EMINEM SHOW".
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from tacit.data.lines import MAX_LINE
from tacit.data.ratings.amazon_items import book
from tacit.data.ratings.assemble import assemble
from tacit.data.ratings.table import Ratings
from tacit.run.progress import Ticker, progress
from tacit.types import InputError, Item, ItemId

POSITIVE_ABOVE = 4.0  # 5 stars alone are positive, as in KAR since November 2023; 3 counts 4 stars too
REVIEWS = "Books_5.json"
METADATA = "meta_Books.json"
_FIELDS = {"reviewerID": pl.String, "asin": pl.String, "overall": pl.Float64, "unixReviewTime": pl.Int64}
BLOCK = 32 << 20  # bytes read at once

Rows = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Reviews:
    """R reviews in file order; users and items are numbered as they first appear."""

    users: tuple[str, ...]
    items: tuple[ItemId, ...]
    user: Rows  # [R], rows of ``users``
    item: Rows  # [R], rows of ``items``
    stars: npt.NDArray[np.float32]  # [R]
    time: npt.NDArray[np.int64]  # [R], Unix seconds, in whole days

    def __len__(self) -> int:
        return len(self.user)


def load(folder: Path, user_core: int = 60, item_core: int = 40, positive_above: float = POSITIVE_ABOVE) -> Ratings:
    """The core of the reviews in ``folder``, with brand and category of every book."""
    source, metadata = sources(folder)
    reviews = read_reviews(source)
    rows = core(reviews.user, reviews.item, user_core, item_core)
    if not len(rows):
        raise InputError(f"{source} has no ({user_core}, {item_core})-core: set user_core and item_core lower.")
    users = [reviews.users[row] for row in np.unique(reviews.user[rows])]
    items = read_items(metadata, {reviews.items[row] for row in np.unique(reviews.item[rows])})
    events = pl.DataFrame(
        {
            "user": pl.Series(reviews.users)[reviews.user[rows]],
            "item": pl.Series(reviews.items)[reviews.item[rows]],
            "rating": reviews.stars[rows],
            "time": reviews.time[rows],
        }
    )
    return assemble("amazon-books", events, users, items, positive_above, domain="books")


def sources(folder: Path) -> tuple[Path, Path]:
    """The files of the reviews and of the metadata."""
    metadata = _file(folder, METADATA)
    return _file(folder, REVIEWS), metadata


def core(user: Rows, item: Rows, user_core: int, item_core: int) -> npt.NDArray[np.int64]:
    """The interactions [R'] of the largest subset whose users have ``user_core`` of them and items ``item_core``.

    Repeated interactions count each time. Removing whatever falls short until nothing does ends in the same set,
    whatever the order of removal, because a subset's counts are never above those of a larger one.
    """
    rows = np.arange(len(user))
    while True:
        users, items = user[rows], item[rows]
        enough = (np.bincount(users)[users] >= user_core) & (np.bincount(items)[items] >= item_core)
        if enough.all():
            return rows
        rows = rows[enough]


def read_reviews(path: Path) -> Reviews:
    """Every review with stars, in file order."""
    users: dict[str, int] = {}
    items: dict[ItemId, int] = {}
    pieces: list[tuple[Rows, Rows, npt.NDArray[np.float32], npt.NDArray[np.int64]]] = []
    with progress(path.stat().st_size, f"reading {path.name} (bytes)") as bar:
        for first, block in _blocks(path, bar):
            frame = _reviews(block, first, path)
            stars, time = frame["overall"].to_numpy(), frame["unixReviewTime"].to_numpy()
            numbered = _number(frame["reviewerID"], users), _number(frame["asin"], items)
            pieces.append((*numbered, stars.astype(np.float32), time))
    if not any(len(piece[0]) for piece in pieces):
        raise InputError(f"{path} holds no reviews with stars: fetch the file again.")
    user, item, stars, time = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return Reviews(tuple(users), tuple(items), user, item, stars, time)


def read_items(path: Path, wanted: Collection[ItemId]) -> list[Item]:
    """The wanted books in the order of the metadata file; of a book's several records the last one tells."""
    found: dict[ItemId, Item] = {}
    with progress(path.stat().st_size, f"reading {path.name} (bytes)") as bar:
        for first, block in _blocks(path, bar):
            for _, row in _objects(block, first, path):
                id = row.get("asin")
                if isinstance(id, str) and id in wanted and (item := book(id, row)) is not None:
                    found[id] = item
    return list(found.values())


def _number(names: pl.Series, rows: dict[str, int]) -> Rows:
    """Rows of names, new names numbered in order. One look-up in a dictionary a name."""
    return np.fromiter((rows.setdefault(name, len(rows)) for name in names.to_list()), np.int32, len(names))


def _reviews(block: bytes, first: int, path: Path) -> pl.DataFrame:
    """The columns ``_FIELDS`` of the reviews with stars; ``block`` is whole lines of JSON, from number ``first`` on.

    What polars refuses is read once more by Python, line by line: it is more lenient, and it can name the line.
    """
    try:
        frame = pl.read_ndjson(block, schema=_FIELDS).filter(pl.col("overall").is_not_null())
    except pl.exceptions.PolarsError:
        return read_slowly(block, first, path)
    complete = not any(frame[field].null_count() for field in _FIELDS)
    return frame if complete else read_slowly(block, first, path)


def read_slowly(block: bytes, first: int, path: Path) -> pl.DataFrame:
    """The twin of ``_reviews`` in plain Python: InputError naming file, line and key of the first bad line."""
    kinds: dict[str, type | tuple[type, ...]] = {"reviewerID": str, "asin": str, "unixReviewTime": int}
    kinds["overall"] = (int, float)
    kept: list[dict[str, Any]] = []
    for number, row in _objects(block, first, path):
        if row.get("overall") is None:
            continue
        for key, kind in kinds.items():
            if not isinstance(row.get(key), kind):
                raise InputError(f"{path}:{number}: key {key} is missing or of a wrong kind: fetch the file again.")
        kept.append({key: row[key] for key in _FIELDS})
    return pl.DataFrame(kept, schema=_FIELDS)


def _objects(block: bytes, first: int, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number, object) of each line that is not blank."""
    for number, raw in enumerate(block.split(b"\n"), first):
        if not raw.strip():
            continue
        try:
            row = json.loads(raw)
        except ValueError as error:
            raise InputError(f"{path}:{number}: not JSON ({error}): fetch the file again.") from None
        if not isinstance(row, dict):
            raise InputError(f"{path}:{number}: not a JSON object: fetch the file again.")
        yield number, row


def _blocks(path: Path, bar: Ticker) -> Iterator[tuple[int, bytes]]:
    """(number of the first line, some ``BLOCK`` bytes of whole lines); the bar counts the file's own, packed bytes."""
    rest, first = b"", 1
    try:
        with path.open("rb") as file:
            stream = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if path.suffix == ".gz" else file
            while piece := stream.read(BLOCK):
                cut = piece.rfind(b"\n") + 1
                if cut:
                    yield first, rest + piece[:cut]
                    first += piece.count(b"\n")
                rest = piece[cut:] if cut else rest + piece
                if len(rest) > MAX_LINE:
                    raise InputError(f"{path} has a line longer than {MAX_LINE >> 20} MiB: fetch the file again.")
                bar.advance(file.tell() - bar.done)
        if rest:
            yield first, rest
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} is damaged ({error}): fetch it again.") from None


def _file(folder: Path, name: str) -> Path:
    for path in (folder / f"{name}.gz", folder / name):
        if path.is_file():
            return path
    raise InputError(f"{folder} has neither {name}.gz nor {name}: set data.path to the folder of Amazon's 2018 Books.")
