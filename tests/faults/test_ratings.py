"""Any bytes in any file of ratings end in ratings that keep their promises, or in one InputError."""

from __future__ import annotations

import gzip
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from fault_examples import FAULTS
from hypothesis import given
from hypothesis import strategies as st
from tiny_amazon import metadata, review

from tacit.catalog import Catalog
from tacit.data.ratings import amazon, interactions, movielens
from tacit.data.ratings.movielens import GENRES_100K
from tacit.data.ratings.table import COLUMNS, Ratings
from tacit.data.times import LATEST
from tacit.types import InputError, Item

ITEM = "|".join(["1", "Cité, La (1995)", "01-Jan-1995", "", "http://x"] + ["0"] * (len(GENRES_100K) - 1) + ["1"])
INTERACTIONS = "user,item,rating,time\nu,a,4,1738324800\nv,b,2.5,1738324801\n"


def parquet() -> bytes:
    file = io.BytesIO()
    pl.read_csv(INTERACTIONS.encode()).write_parquet(file)
    return file.getvalue()


def as_lines(*rows: object) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def own(folder: Path) -> Ratings:
    Catalog([Item("a", "Heat", ""), Item("b", "Alien", "")]).save(folder / "items.jsonl")
    return interactions.load(folder)


def amazon_books(folder: Path) -> Ratings:
    return amazon.load(folder, 1, 1)


REVIEWS = as_lines(review("A", "1", 5.0, 15_000), review("B", "1", 2.0, 15_001))
METADATA = as_lines(metadata("1", "Dune &amp; Sand", "F. H.", ["Books", "SF"]))
FILES_1M = {
    "movies.dat": "1::Misérables, Les (1995)::Drama|Musical\n2::Heat (1995)::Crime\n".encode("latin-1"),
    "users.dat": b"1::F::1::10::48067\n2::M::56::16::70072\n",
    "ratings.dat": b"1::1::5::978300760\n2::2::3::978300761\n",
}
ORDERED_1M = {name: raw for name, raw in FILES_1M.items() if name != "ratings.dat"}
ORDERED_1M["ratings_ordered.csv"] = b"user_id,movie_id,rating,time_rank\n1,1,5,1\n2,2,3,\n"
FILES_100K = {
    "u.item": (ITEM + "\n").encode("latin-1"),
    "u.user": b"7|24|M|technician|85711\n",
    "u.data": b"7\t1\t5\t878542961\n",
}
READERS: dict[str, tuple[Callable[[Path], Ratings], dict[str, bytes]]] = {
    "ml-1m": (movielens.load_1m, FILES_1M),
    "ml-1m ordered": (movielens.load_1m, ORDERED_1M),
    "ml-100k": (movielens.load_100k, FILES_100K),
    "amazon": (
        amazon_books,
        {
            "Books_5.json": REVIEWS,
            "meta_Books.json": METADATA,
        },
    ),
    "amazon packed": (
        amazon_books,
        {"Books_5.json.gz": gzip.compress(REVIEWS), "meta_Books.json": as_lines(metadata("1", "Dune", "", []))},
    ),
    "csv": (own, {"interactions.csv": INTERACTIONS.encode()}),
    "packed csv": (own, {"interactions.csv.gz": gzip.compress(INTERACTIONS.encode())}),
    "jsonl": (own, {"interactions.jsonl": as_lines({"user": "u", "item": "a", "rating": 4, "time": "2025-01-31"})}),
    "parquet": (own, {"interactions.parquet": parquet()}),
}
SPLICES = st.one_of(
    st.binary(max_size=12),
    st.text(max_size=8).map(lambda text: text.encode(errors="surrogatepass")),
    st.sampled_from(
        [b"::", b"\t", b"|", b",", b"\n", b"\r\n", b'"', b"{", b"[" * 2000, b"nan", b"-1", b"1e999", b"9" * 400,
         b"\x00", b"\xef\xbb\xbf", b"\xff\xfe", b"\xe9", "é".encode(), b"\\ud800", b"20260131", b"978300760000", b"<b>",
         b"&amp;", b"null", b"true", b"parent_asin"]
    ),
)  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """The bytes with up to four pieces replaced, or quite other bytes."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(whole)))
        end = draw(st.integers(start, min(len(whole), start + 12)))
        whole = whole[:start] + draw(SPLICES) + whole[end:]
    return whole


def check(ratings: Ratings) -> None:
    frame = ratings.frame
    assert dict(frame.schema) == COLUMNS and frame.height > 0
    assert frame["rating"].is_finite().all()
    assert not frame["user"].null_count() and not frame["item"].null_count()
    assert frame["user"].max() < len(ratings.users) == len(ratings.profiles)  # type: ignore[operator]
    assert frame["item"].max() < len(ratings.items)  # type: ignore[operator]
    times = frame["time"].drop_nulls()
    assert times.is_between(0, LATEST).all()
    for item in ratings.items:
        (item.id + item.title + item.text).encode()
        assert (item.title.strip() and "<b>" not in item.title) or ratings.name == "own"


@pytest.mark.parametrize("reader", READERS)
@FAULTS
@given(st.data())
def test_any_bytes_are_rows_or_one_sentence(reader: str, data: st.DataObject) -> None:
    """Any one of a reader's files is damaged, the others are as they should be."""
    read, files = READERS[reader]
    name = data.draw(st.sampled_from(sorted(files)))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for other, whole in files.items():
            (folder / other).write_bytes(data.draw(damaged(whole)) if other == name else whole)
        try:
            check(read(folder))
        except InputError as error:
            assert str(error).strip() and "Traceback" not in str(error)
            str(error).encode()  # it can be printed


@pytest.mark.parametrize("reader", READERS)
def test_undamaged_files_are_read(reader: str, tmp_path: Path) -> None:
    read, files = READERS[reader]
    for name, whole in files.items():
        (tmp_path / name).write_bytes(whole)
    check(read(tmp_path))
