"""A small world made by hand: five genres of twelve films, users who like one or two of them."""

from __future__ import annotations

import numpy as np
import pytest

from tacit.catalog import Catalog
from tacit.dialogue.users.crowd import UsersConfig, UserWorld
from tacit.types import Dialogue, Item, Judgement, Slate, Turn

GENRES = ("comedy", "horror", "western", "romance", "science fiction")
FIRST = ("Amber", "Crimson", "Hollow", "Velvet", "Broken", "Silent", "Golden", "Frozen", "Distant", "Burning")
SECOND = ("Falcon", "Harbour", "Lantern", "Orchard", "Witness", "Paradox")


def make_catalog() -> Catalog:
    items = []
    for n in range(60):
        title = f"{FIRST[n % 10]} {SECOND[n // 10]} ({1960 + n})"
        genre = GENRES[n % 5]
        people = {"director": (f"dora no{n % 15}dir",), "star": (f"sam star{n % 20}", f"only one{n}")}
        items.append(Item(f"f{n}", title, f"{title}. {genre}.", {"genre": (genre,), **people}))
    return Catalog(items)


def make_dialogue(n: int, catalog: Catalog, rng: np.random.Generator) -> Dialogue:
    genre = n % 5
    own = [f"f{i}" for i in rng.permutation(np.arange(genre, 60, 5))[:6]]
    other = f"f{rng.integers(60)}"
    title = {item: catalog[item].title for item in [*own, other]}
    shown = Slate((own[2], own[3]))
    turns = (
        Turn("agent", "Hello! What do you like?", time_s=0.0),
        Turn("user", f"I am looking for a good {GENRES[genre]} movie like {title[own[0]]}", (own[0],), time_s=9.0),
        Turn("agent", f"Try {title[own[2]]} or {title[own[3]]}.", (own[2], own[3]), shown, time_s=15.0),
        Turn("user", f"I've seen {title[own[2]]}. I really liked {title[own[1]]}", (own[2], own[1]), time_s=31.0),
        Turn("agent", f"How about {title[other]}?", (other,), Slate((other,)), time_s=40.0),
        Turn("user", f"No, I didn't like {title[other]}.", (other,), time_s=46.0),
        Turn("agent", f"Then {title[own[4]]}.", (own[4],), Slate((own[4],)), time_s=52.0),
        Turn("user", f"I will watch {title[own[4]]}, thanks!" if n % 2 else "Any other ideas?", (own[4],) * (n % 2)),
    )
    judged = {item: Judgement(liked=True) for item in own} | {other: Judgement(liked=other in own)}
    return Dialogue(f"d{n}", f"u{n}", turns, judged)


@pytest.fixture(scope="session")
def dialogues() -> tuple[Dialogue, ...]:
    rng = np.random.default_rng(7)
    catalog = make_catalog()
    return tuple(make_dialogue(n, catalog, rng) for n in range(80))


@pytest.fixture(scope="session")
def catalog(dialogues: tuple[Dialogue, ...]) -> Catalog:
    return make_catalog().with_counts(dialogues)


@pytest.fixture(scope="session")
def world(catalog: Catalog, dialogues: tuple[Dialogue, ...]) -> UserWorld:
    config = UsersConfig()
    config.taste.factors = 8
    return UserWorld.fit(catalog, dialogues, config, seed=3)
