"""Four films with descriptions and two users, small enough to read every fact off by hand."""

from __future__ import annotations

import numpy as np
import polars as pl

from tacit.data.ratings import COLUMNS, Ratings
from tacit.lists import Histories
from tacit.types import Item


def film(id: str, title: str, genres: str) -> Item:
    return Item(id, title, title, {"genre": tuple(genres.split()), "year": (title[-5:-1],)})


FILMS = (
    film("1", "Heat (1995)", "action crime"),
    film("2", "Airplane! (1980)", "comedy"),
    film("3", "Amélie (2001)", "comedy romance"),
    film("4", "Casino (1995)", "crime"),
)
DESCRIPTIONS = {
    "1": '"Heat" (1995) is a gripping crime film directed by Michael Mann. It stars Al Pacino and Robert De Niro. '
    "The film follows a detective and a robbery crew.",
    "2": "Airplane! (1980) is a silly comedy directed by Jim Abrahams and David Zucker, featuring Robert Hays as Ted "
    "Striker, alongside Leslie Nielsen. The story follows a pilot. Fans may also enjoy Top Secret! (1984).",
    "3": "Amélie (2001) is a charming French-language comedy directed by Jean-Pierre Jeunet. The cast includes Audrey "
    "Tautou.",
    "4": "Casino (1995) is a gripping crime film directed by Martin Scorsese. It stars Robert De Niro. "
    "It follows a gambler, a robbery and a marriage.",
}
PROFILES = ("a female user, 25-34 years old, whose occupation is artist", "")
RATED = ([0, 1, 2, 3], [5.0, 2.0, 4.0, 1.0]), ([3, 2], [4.0, 4.0])  # items and stars, oldest first


def world(
    cut: tuple[int, int] = (3, 1), rated: tuple[tuple[list[int], list[float]], ...] = RATED
) -> tuple[Ratings, Histories]:
    sizes = [len(items) for items, _ in rated]
    histories = Histories(
        np.cumsum([0, *sizes]),
        np.array([item for items, _ in rated for item in items], np.int32),
        np.array([r for _, stars in rated for r in stars], np.float32),
        np.array(cut, np.int32),
    )
    rows = [(u, i, r, None, None) for u, user in enumerate(rated) for i, r in zip(*user, strict=True)]
    frame = pl.DataFrame(rows, schema=COLUMNS, orient="row")
    return Ratings("tiny", frame, ("ann", "bob"), FILMS, PROFILES, 3.0, "movies", DESCRIPTIONS), histories
