"""MovieLens: small folders in the publisher's formats, and the exact counts of the real files."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import polars as pl
import pytest
from places import DATA

from tacit.data.ratings.movielens import GENRES_100K, correct_title, load_1m, load_100k
from tacit.data.ratings.table import COLUMNS
from tacit.types import InputError

needs_1m = pytest.mark.skipif(
    not (DATA / "ml-1m" / "movies.dat").is_file(), reason=f"MovieLens-1M is not at {DATA}/ml-1m (set TACIT_DATA)"
)
needs_100k = pytest.mark.skipif(
    not (DATA / "ml-100k" / "u.item").is_file(), reason=f"MovieLens-100K is not at {DATA}/ml-100k (set TACIT_DATA)"
)

MOVIES = """1::Toy Story (1995)::Animation|Children's|Comedy
2::Unrated (1990)::Drama
3::American President, The (1995)::Comedy|Drama
8::Misérables, Les (1995)::Drama|Musical
"""
USERS = """1::F::1::10::48067
2::M::56::16::70072
3::M::25::0::55117
"""
RATINGS = """2::3::5::978300760
2::1::2::978300760
1::1::4::978300275
1::8::3::978300719
"""


def small_1m(folder: Path, ratings: str = RATINGS, movies: str = MOVIES, users: str = USERS) -> Path:
    (folder / "movies.dat").write_bytes(movies.encode("latin-1"))
    (folder / "users.dat").write_text(users)
    (folder / "ratings.dat").write_text(ratings)
    return folder


def test_small_1m(tmp_path: Path) -> None:
    ratings = load_1m(small_1m(tmp_path))
    assert dict(ratings.frame.schema) == COLUMNS
    assert ratings.users == ("2", "1")  # as they first appear; user 3 rated nothing
    assert [item.id for item in ratings.items] == ["1", "3", "8"]  # in the order of movies.dat, the rated ones
    assert ratings.frame.rows() == [
        (0, 1, 5.0, 978300760, None),
        (0, 0, 2.0, 978300760, None),
        (1, 0, 4.0, 978300275, None),
        (1, 2, 3.0, 978300719, None),
    ]
    assert ratings.profiles == (
        "a male user, 56+ years old, whose occupation is self-employed",
        "a female user, under 18 years old, whose occupation is K-12 student",
    )
    president = ratings.items[1]
    assert president.title == "The American President (1995)"
    assert president.text == "The American President (1995). Comedy, Drama."
    assert president.attributes == {"genre": ("comedy", "drama"), "first_genre": ("comedy",), "year": ("1995",)}
    assert ratings.items[2].title == "Misérables, Les (1995)"
    assert (ratings.name, ratings.domain, ratings.positive_above) == ("ml-1m", "movies", 3.0)
    assert ratings.descriptions == {}


def test_ranks_stand_in_for_times(tmp_path: Path) -> None:
    small_1m(tmp_path)
    (tmp_path / "ratings.dat").unlink()
    table = b"user_id,movie_id,rating,time_rank\n1,8,4,1\n1,3,5,\n"
    (tmp_path / "ratings_ordered.csv.gz").write_bytes(gzip.compress(table))
    (tmp_path / "llm_item_descriptions_colakg.json").write_text('{"8": "A musical.", "2": "Nobody rated it."}')
    ratings = load_1m(tmp_path)
    assert ratings.frame.rows() == [(0, 1, 4.0, None, 1), (0, 0, 5.0, None, None)]
    assert ratings.descriptions == {"8": "A musical."}


def test_publishers_zip(tmp_path: Path) -> None:
    small_1m(tmp_path)
    archive = tmp_path / "zipped" / "ml-1m.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as file:
        for name in ("movies.dat", "users.dat", "ratings.dat"):
            file.write(tmp_path / name, f"ml-1m/{name}")
    assert load_1m(archive.parent).frame.equals(load_1m(tmp_path).frame)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "utf-8-sig"])
def test_either_encoding_of_every_file(tmp_path: Path, encoding: str) -> None:
    small_1m(tmp_path)
    for name in ("movies.dat", "users.dat", "ratings.dat"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes().decode("latin-1").encode(encoding))
    assert load_1m(tmp_path).items[2].title == "Misérables, Les (1995)"
    (tmp_path / "u.item").write_bytes(movie_100k(2, "Cité (1995)", "", "Drama").encode(encoding))
    (tmp_path / "u.user").write_bytes("7|24|M|écrivain|85711\n".encode(encoding))
    (tmp_path / "u.data").write_bytes("7\t2\t5\t878542961\n".encode(encoding))
    ratings = load_100k(tmp_path)
    assert ratings.items[0].title == "Cité (1995)" and "écrivain" in ratings.profiles[0]


def test_markup_in_titles(tmp_path: Path) -> None:
    movies = "1::<i>Toy Story</i> &amp;amp; More (1995)::Comedy\n8::I &lt;3 R&D; (2004)::Drama\n"
    small_1m(tmp_path, "1::1::4::978300275\n1::8::4::978300275\n", movies)
    assert [item.title for item in load_1m(tmp_path).items] == ["Toy Story & More (1995)", "I <3 R&D; (2004)"]


def test_descriptions_of_another_form(tmp_path: Path) -> None:
    small_1m(tmp_path)
    for text in ("[1]", '{"8": 5}'):
        (tmp_path / "llm_item_descriptions_colakg.json").write_text(text)
        with pytest.raises(InputError, match="one JSON object of texts by movie id"):
            load_1m(tmp_path)


@pytest.mark.parametrize(
    ("title", "corrected"),
    [
        ("American President, The (1995)", "The American President (1995)"),
        ("Bug's Life, A (1998)", "A Bug's Life (1998)"),
        ("Good, The Bad and The Ugly, The (1966)", "The Good, The Bad and The Ugly (1966)"),
        ("City of Lost Children, The (Cité des enfants perdus) (1995)",) * 2,  # two brackets
        ("Affair to Remember, An (1957)",) * 2,
        ("The, the",) * 2,
    ],
)
def test_titles(title: str, corrected: str) -> None:
    assert correct_title(title) == corrected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ratings": "1::9::4::978300275\n"}, r"ratings\.dat:1: the movie is not in the movies file"),
        ({"ratings": RATINGS + "7::1::4::978300275\n"}, r"ratings\.dat:5: the user is not in the users file"),
        ({"ratings": "1::1::4\n"}, r"ratings\.dat:1: there must be 4 fields"),
        ({"ratings": "1::1::6::978300275\n"}, r"ratings\.dat:1: the rating is not from 1 to 5"),
        ({"ratings": RATINGS + "1::1::-4::978300275\n"}, r"ratings\.dat:5: the rating is not from 1 to 5"),
        ({"ratings": "1::1::nan::978300275\n"}, r"ratings\.dat:1: field rating is no finite number"),
        ({"ratings": "1::1::4::-978300275\n"}, r"ratings\.dat:1: field time is negative"),
        ({"ratings": RATINGS + "1::1::4::978300275000\n"}, r"ratings\.dat:5: field time is in milliseconds"),
        ({"ratings": "1.0::1::4::978300275\n"}, r"ratings\.dat:1: the user is not in the users file"),
        ({"users": USERS + "1::F::1::10::48067\n"}, r"users\.dat:4: the user id repeats"),
        ({"movies": "1::<script>x()</script>::Drama\n"}, r"movies\.dat:1: the title is nothing but markup"),
        ({"ratings": ""}, "no rating is of a known item"),
        ({"users": "1::X::1::10::48067\n"}, r"users\.dat:1: the gender"),
        ({"users": "1::F::2::10::48067\n"}, r"users\.dat:1: the age"),
        ({"users": "1::F::1::21::48067\n"}, r"users\.dat:1: the occupation"),
        ({"movies": MOVIES + "3::Heat (1995)::Crime\n"}, r"movies\.dat:5: the movie id repeats"),
    ],
)
def test_bad_1m(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_1m(small_1m(tmp_path, **changes))


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"movies\.dat"):
        load_1m(tmp_path)
    small_1m(tmp_path)
    (tmp_path / "ratings.dat").unlink()
    with pytest.raises(InputError, match=r"ratings\.dat, ratings_ordered\.csv"):
        load_1m(tmp_path)


def movie_100k(id: int, title: str, released: str, *genres: str) -> str:
    flags = "|".join(str(int(genre in genres)) for genre in GENRES_100K)
    return f"{id}|{title}|{released}||http://us.imdb.com/{id}|{flags}\n"


def test_small_100k(tmp_path: Path) -> None:
    movies = movie_100k(1, "Game, The (1997)", "01-Jan-1997", "Mystery", "Thriller")
    movies += movie_100k(2, "Cité (1995) (V)", "01-Jan-1995", "Sci-Fi") + movie_100k(3, "unknown", "", "unknown")
    (tmp_path / "u.item").write_bytes(movies.encode("latin-1"))
    (tmp_path / "u.user").write_text("7|24|M|technician|85711\n8|53|F|other|94043\n")
    (tmp_path / "u.data.gz").write_bytes(gzip.compress(b"8\t3\t1\t878542960\n7\t1\t5\t878542961\n8\t2\t4\t878542960\n"))
    ratings = load_100k(tmp_path)
    assert ratings.users == ("8", "7")
    assert [item.title for item in ratings.items] == ["The Game (1997)", "Cité (1995) (V)", "unknown"]
    genres = {"genre": ("mystery", "thriller"), "first_genre": ("mystery",), "year": ("1997",)}
    assert ratings.items[0].attributes == genres
    assert ratings.items[1].attributes["year"] == ("1995",)
    assert ratings.items[2].attributes == {"genre": ("unknown",), "first_genre": ("unknown",)}
    assert ratings.frame["time"].to_list() == [878542960, 878542961, 878542960]
    assert ratings.profiles == (
        "a female user, 53 years old, whose occupation is not known",
        "a male user, 24 years old, whose occupation is technician",
    )


@needs_1m
def test_exact_counts_1m() -> None:
    ratings = load_1m(DATA / "ml-1m")
    assert (len(ratings.users), len(ratings.items), ratings.frame.height) == (6040, 3706, 1_000_209)
    assert len({item.attributes["first_genre"] for item in ratings.items}) == 18
    assert all("year" in item.attributes for item in ratings.items)
    assert int((ratings.frame["rating"] > ratings.positive_above).sum()) == 575_281
    assert ratings.users[:3] == ("1", "2", "3")
    assert ratings.profiles[0] == "a female user, under 18 years old, whose occupation is K-12 student"
    assert set(ratings.descriptions) == {item.id for item in ratings.items}
    if ratings.frame["time"].null_count():
        assert ratings.frame["rank"].null_count() == 598
        ranks = ratings.frame.drop_nulls("rank").group_by("user").agg(pl.col("rank").max(), pl.len())
        assert (ranks["rank"] == ranks["len"]).all()


@needs_100k
def test_exact_counts_100k() -> None:
    ratings = load_100k(DATA / "ml-100k")
    assert (len(ratings.users), len(ratings.items), ratings.frame.height) == (943, 1682, 100_000)
    assert ratings.frame.select("user", "item").is_unique().all()
    assert ratings.frame.row(0) == (0, 241, 3.0, 881250949, None)  # 196 242 3 881250949
    assert (ratings.users[0], ratings.items[241].title) == ("196", "Kolya (1996)")
    first, last = ratings.frame["time"].min(), ratings.frame["time"].max()
    assert (first, last) == (874724710, 893286638)  # September 1997 to April 1998
