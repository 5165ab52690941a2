"""MovieLens-1M and MovieLens-100K (Harper and Konstan 2015, https://grouplens.org/datasets/movielens/).

The publisher's files are read as they are, plain, gzipped or zipped. For MovieLens-1M ``ratings_ordered.csv`` (user_id,
movie_id, rating, time_rank) may stand in for ``ratings.dat``: it gives each user's order of rating, and no times.
Users are numbered as they first appear in the ratings, items as in the metadata file; both orders are those of KAR's
preprocessing (arXiv 2306.10933, preprocess/preprocess_ml-1m.py), as are the rules for titles and genres.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from tacit.data.items import make_item, without_markup
from tacit.data.lines import find, read_json, require
from tacit.data.ratings.assemble import assemble
from tacit.data.ratings.table import Ratings
from tacit.data.ratings.tables import in_seconds, refuse, table
from tacit.types import InputError, Item, ItemId

POSITIVE_ABOVE = 3.0  # 4 and 5 stars are positive
DESCRIPTIONS = "llm_item_descriptions_colakg.json"

# The tables of the publishers' READMEs.
AGES = {
    1: "under 18",
    18: "18-24",
    25: "25-34",
    35: "35-44",
    45: "45-49",
    50: "50-55",
    56: "56+",
}
OCCUPATIONS = (
    "other",  # or not specified
    "academic/educator",
    "artist",
    "clerical/admin",
    "college/grad student",
    "customer service",
    "doctor/health care",
    "executive/managerial",
    "farmer",
    "homemaker",
    "K-12 student",
    "lawyer",
    "programmer",
    "retired",
    "sales/marketing",
    "scientist",
    "self-employed",
    "technician/engineer",
    "tradesman/craftsman",
    "unemployed",
    "writer",
)
GENRES_100K = (
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)
_GENDERS = {"F": "female", "M": "male"}
_NOT_TOLD = {"other": "not known", "none": "none"}  # occupations that are no trade
_YEAR = re.compile(r"\((\d{4})\)")


def load_1m(folder: Path, positive_above: float = POSITIVE_ABOVE) -> Ratings:
    """``ratings.dat`` (else ``ratings_ordered.csv``), ``users.dat``, ``movies.dat``, and descriptions where present."""
    items = _movies_1m(require(folder, ("movies.dat",), "MovieLens-1M"))
    profiles = _profiles_1m(require(folder, ("users.dat",), "MovieLens-1M"))
    source = require(folder, ("ratings.dat", "ratings_ordered.csv"), "MovieLens-1M")
    told = find(folder, (DESCRIPTIONS,))
    return _ratings(
        "ml-1m", source, _events_1m(source), items, profiles, positive_above, _descriptions(told) if told else {}
    )


def load_100k(folder: Path, positive_above: float = POSITIVE_ABOVE) -> Ratings:
    """``u.data``, ``u.user``, ``u.item``."""
    items = _movies_100k(require(folder, ("u.item",), "MovieLens-100K"))
    profiles = _profiles_100k(require(folder, ("u.user",), "MovieLens-100K"))
    source = require(folder, ("u.data",), "MovieLens-100K")
    columns = {"user": pl.String, "item": pl.String, "rating": pl.Float32, "time": pl.Int64}
    events = in_seconds(source, table(source, "\t", columns))
    return _ratings("ml-100k", source, events, items, profiles, positive_above, {})


def correct_title(title: str) -> str:
    """The article in front: "American President, The (1995)" → "The American President (1995)"; likewise "A".

    As in KAR (preprocess/pre_utils.py:98-109) a title with any number of opening brackets but one stays as it is, and
    so does one that ends in ", An".
    """
    parts = title.strip().split("(")
    if len(parts) != 2:
        return title
    name, year = parts
    *start, article = name.strip().split(",")
    article = article.strip()
    return f"{article} {','.join(start)} ({year}" if article.lower() in ("the", "a") else title


def profile(gender: str, age: str, occupation: str) -> str:
    """A noun phrase for prompts: "a female user, 25-34 years old, whose occupation is writer"."""
    return f"a {gender} user, {age} years old, whose occupation is {_NOT_TOLD.get(occupation, occupation)}"


def _ratings(
    name: str,
    source: Path,
    events: pl.DataFrame,
    items: Sequence[Item],
    profiles: Mapping[str, str],
    positive_above: float,
    descriptions: Mapping[ItemId, str],
) -> Ratings:
    refuse(source, events.filter(~pl.col("rating").is_between(1, 5)), "the rating is not from 1 to 5 stars")
    strangers = events.filter(~pl.col("item").is_in([item.id for item in items]))
    refuse(source, strangers, "the movie is not in the movies file")
    refuse(source, events.filter(~pl.col("user").is_in(list(profiles))), "the user is not in the users file")
    users = events["user"].unique(maintain_order=True).to_list()
    return assemble(name, events, users, items, positive_above, profiles=profiles, descriptions=descriptions)


def _events_1m(source: Path) -> pl.DataFrame:
    columns = {"user": pl.String, "item": pl.String, "rating": pl.Float32}
    if source.name.startswith("ratings.dat"):
        return in_seconds(source, table(source, "::", {**columns, "time": pl.Int64}))
    header = ("user_id", "movie_id", "rating", "time_rank")
    rows = table(source, ",", {**columns, "rank": pl.Int32}, header=header, optional=("rank",))
    refuse(source, rows.filter(pl.col("rank") < 1), "the rank is below 1")
    return rows


def _descriptions(path: Path) -> dict[ItemId, str]:
    told = read_json(path)
    if not isinstance(told, dict) or not all(isinstance(text, str) for text in told.values()):
        raise InputError(f"{path} must hold one JSON object of texts by movie id: fetch it again.")
    return told


def _movies_1m(path: Path) -> tuple[Item, ...]:
    rows = table(path, "::", {"id": pl.String, "title": pl.String, "genres": pl.String})
    refuse(path, rows.filter(~pl.col("id").is_first_distinct()), "the movie id repeats an earlier line")
    _refuse_markup(path, rows)
    return tuple(_movie(row["id"], row["title"], row["genres"].split("|")) for row in rows.iter_rows(named=True))


def _movies_100k(path: Path) -> tuple[Item, ...]:
    texts = dict.fromkeys(("id", "title", "released", "video", "url"), pl.String)
    unknown = ("released", "video", "url")
    rows = table(path, "|", {**texts, **dict.fromkeys(GENRES_100K, pl.Int8)}, optional=unknown)
    flags = pl.all_horizontal(pl.col(genre).is_between(0, 1) for genre in GENRES_100K)
    refuse(path, rows.filter(~flags), "a genre is marked by neither 0 nor 1")
    refuse(path, rows.filter(~pl.col("id").is_first_distinct()), "the movie id repeats an earlier line")
    _refuse_markup(path, rows)
    return tuple(
        _movie(row["id"], row["title"], [genre for genre in GENRES_100K if row[genre]])
        for row in rows.iter_rows(named=True)
    )


def _refuse_markup(path: Path, rows: pl.DataFrame) -> None:
    bare = [not without_markup(title) for title in rows["title"].to_list()]
    refuse(path, rows.filter(pl.Series(bare, dtype=pl.Boolean)), "the title is nothing but markup")


def _movie(id: ItemId, title: str, genres: Sequence[str]) -> Item:
    """Attributes: every ``genre``, ``first_genre`` (the last word of the first one, KAR's attribute) and ``year``."""
    title = without_markup(title)
    item = make_item(id, correct_title(title), {"genre": list(genres)})
    attributes = {**item.attributes, "first_genre": (genres[0].split(" ")[-1].lower() if genres else "unknown",)}
    if years := _YEAR.findall(title):
        attributes["year"] = (years[-1],)
    return replace(item, attributes=attributes)


def _profiles_1m(path: Path) -> dict[str, str]:
    columns = {"id": pl.String, "gender": pl.String, "age": pl.Int32, "occupation": pl.Int32, "zip": pl.String}
    rows = table(path, "::", columns, optional=("zip",))
    refuse(path, rows.filter(~pl.col("id").is_first_distinct()), "the user id repeats an earlier line")
    refuse(path, rows.filter(~pl.col("gender").is_in(list(_GENDERS))), "the gender is neither F nor M")
    refuse(path, rows.filter(~pl.col("age").is_in(list(AGES))), "the age is none of the publisher's codes")
    codes = pl.col("occupation").is_between(0, len(OCCUPATIONS) - 1)
    refuse(path, rows.filter(~codes), "the occupation is none of the publisher's codes")
    return {
        row["id"]: profile(_GENDERS[row["gender"]], AGES[row["age"]], OCCUPATIONS[row["occupation"]])
        for row in rows.iter_rows(named=True)
    }


def _profiles_100k(path: Path) -> dict[str, str]:
    columns = {"id": pl.String, "age": pl.Int32, "gender": pl.String, "occupation": pl.String, "zip": pl.String}
    rows = table(path, "|", columns, optional=("zip",))
    refuse(path, rows.filter(~pl.col("id").is_first_distinct()), "the user id repeats an earlier line")
    refuse(path, rows.filter(~pl.col("age").is_between(1, 120)), "the age is not from 1 to 120")
    refuse(path, rows.filter(~pl.col("gender").is_in(list(_GENDERS))), "the gender is neither F nor M")
    return {
        row["id"]: profile(_GENDERS[row["gender"]], str(row["age"]), row["occupation"])
        for row in rows.iter_rows(named=True)
    }
