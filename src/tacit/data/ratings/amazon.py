"""Amazon Books of the 2018 release (Ni, Li and McAuley, EMNLP 2019, https://nijianmo.github.io/amazon/).

``Books_5.json.gz`` (27 million reviews, tens of gigabytes of text) streams by at constant memory: of a review only
user, item, stars and time are kept, 20 bytes of integers. Then comes the iterated core, and the metadata of the items
in it. Rules as in KAR's preprocessing (arXiv 2306.10933, preprocess/preprocess_amz.py): reviews without stars are
skipped, items without metadata are left out after the core, and so is the mistaken record "EMINEM SHOW".
"""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Collection, Iterator, Mapping
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
from tacit.data.times import FROM_A_START, Clock, unit
from tacit.run.memory import pass_on_want_of_memory
from tacit.run.progress import Ticker, progress
from tacit.types import InputError, Item, ItemId

POSITIVE_ABOVE = 4.0  # 5 stars alone are positive, as in KAR since November 2023; 3 counts 4 stars too
REVIEWS = "Books_5.json"
METADATA = "meta_Books.json"
_FIELDS = {"reviewerID": pl.String, "asin": pl.String, "overall": pl.Float64, "unixReviewTime": pl.Int64}
STARS = (1.0, 5.0)
NAMES_2014 = ("reviews_Books_5.json", "reviews_Books.json", "ratings_Books.csv")
NAMES_2023 = ("Books.jsonl", "Books.csv", "Books.train.csv", "meta_Books.jsonl")
OF_2014 = (
    "Its reviews have the columns of 2018, its metadata is not JSON: set data.path to the folder of Amazon's 2018 "
    "Books, https://nijianmo.github.io/amazon/."
)
OF_2023 = (
    "Write interactions.jsonl with user (its user_id), item (parent_asin), rating and time (timestamp, milliseconds "
    "too), beside items.jsonl with id and title, and set data.name=own; or fetch the 2018 release, "
    "https://nijianmo.github.io/amazon/."
)
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
        clock = Clock()
        for first, block in _blocks(path, bar):
            frame = _reviews(block, first, path, clock)
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
                if id is None and "parent_asin" in row:
                    raise InputError(f"{path} holds the metadata of Amazon's 2023 release. {OF_2023}")
                if isinstance(id, str) and id in wanted and (item := book(id, row)) is not None:
                    found[id] = item
    return list(found.values())


def _number(names: pl.Series, rows: dict[str, int]) -> Rows:
    """Rows of names, new names numbered in order. One look-up in a dictionary a name."""
    return np.fromiter((rows.setdefault(name, len(rows)) for name in names.to_list()), np.int32, len(names))


def _reviews(block: bytes, first: int, path: Path, clock: Clock | None = None) -> pl.DataFrame:
    """The columns ``_FIELDS`` of the reviews with stars; ``block`` is whole lines of JSON, from number ``first`` on.

    What polars refuses is read once more by Python, line by line: it is more lenient, and it can name the line.
    """
    clock = clock or Clock()
    try:
        frame = pl.read_ndjson(block, schema=_FIELDS).filter(pl.col("overall").is_not_null())
    except pl.exceptions.PolarsError:
        return read_slowly(block, first, path, clock)
    if frame.is_empty() or any(frame[field].null_count() for field in _FIELDS):
        return read_slowly(block, first, path, clock)
    stars, times = frame["overall"], frame["unixReviewTime"]
    try:
        ways = {unit(int(cast(int, number))) for number in (times.min(), times.max())} | ({clock.way} - {None})
    except ValueError:
        return read_slowly(block, first, path, clock)
    if not stars.is_between(*STARS).all() or len(ways) != 1 or not ways <= {"seconds", FROM_A_START}:
        return read_slowly(block, first, path, clock)
    (clock.way,) = ways
    return frame


def read_slowly(block: bytes, first: int, path: Path, clock: Clock | None = None) -> pl.DataFrame:
    """The twin of ``_reviews`` in plain Python: InputError naming file, line and key of the first bad line."""
    clock = clock or Clock()
    kept: list[dict[str, Any]] = []
    for number, row in _objects(block, first, path):
        if row.get("overall") is not None:
            kept.append(_review(row, f"{path}:{number}", clock))
        elif "parent_asin" in row or "user_id" in row:
            raise InputError(f"{path}:{number}: these are the columns of Amazon's 2023 release. {OF_2023}")
    return pl.DataFrame(kept, schema=_FIELDS)


def _review(row: Mapping[str, Any], where: str, clock: Clock) -> dict[str, Any]:
    kinds = {"reviewerID": str, "asin": str, "overall": int | float, "unixReviewTime": int}
    for key, kind in kinds.items():
        if not isinstance(row.get(key), kind) or isinstance(row[key], bool):
            raise InputError(f"{where}: key {key} is missing or of a wrong kind: fetch the file again.")
    if not STARS[0] <= row["overall"] <= STARS[1]:
        raise InputError(f"{where}: key overall is {row['overall']}, not from 1 to 5 stars: fetch the file again.")
    if any("\ud800" <= character <= "\udfff" for character in row["reviewerID"] + row["asin"]):
        raise InputError(f"{where}: an id holds half a character: fetch the file again.")
    try:
        seconds = clock.seconds(row["unixReviewTime"])
    except ValueError as error:
        raise InputError(f"{where}: key unixReviewTime {error}.") from None
    return {**{key: row[key] for key in _FIELDS}, "unixReviewTime": math.floor(seconds or 0)}


def _objects(block: bytes, first: int, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number, object) of each line that is not blank."""
    for number, raw in enumerate(block.split(b"\n"), first):
        if not raw.strip():
            continue
        try:
            row = json.loads(raw)
        except (ValueError, RecursionError) as error:
            if raw.lstrip().startswith(b"{'"):
                raise InputError(f"{path}:{number}: a Python literal, as in Amazon's 2014 release. {OF_2014}") from None
            reason = str(error)[:200]
            raise InputError(f"{path}:{number}: not JSON ({reason}): fetch the file again.") from None
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
        pass_on_want_of_memory(error)
        raise InputError(f"{path} is damaged ({error}): fetch it again.") from None


def _file(folder: Path, name: str) -> Path:
    for path in (folder / f"{name}.gz", folder / name):
        if path.is_file():
            return path
    for year, names, remedy in (("2014", NAMES_2014, OF_2014), ("2023", NAMES_2023, OF_2023)):
        if found := next((other for other in names for end in ("", ".gz") if (folder / (other + end)).is_file()), None):
            raise InputError(f"{folder} holds {found} of Amazon's {year} release, not {name}. {remedy}")
    raise InputError(f"{folder} has neither {name}.gz nor {name}: set data.path to the folder of Amazon's 2018 Books.")
