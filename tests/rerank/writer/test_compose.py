"""Composed texts: true of the history before the cut, blind to what follows, and different each time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny_knowledge import DESCRIPTIONS, FILMS, world
from tiny_ratings import random_ratings

from tacit.rerank.lists.lists import ListConfig, build
from tacit.rerank.writer.compose import NAMES, TITLE_NAMES, Told, compose, examples, listed, preferences
from tacit.rerank.writer.facts import Facts, item_facts
from tacit.rerank.writer.prompts import FACTORS, short_prompt
from tacit.types import InputError

FACTS = item_facts(FILMS, DESCRIPTIONS, np.array([9, 1, 1, 1]))


def texts(user: int, n: int, **changes: object) -> list[str]:
    ratings, histories = world(**changes)  # type: ignore[arg-type]
    return [compose(FACTS, ratings, histories, user, np.random.default_rng(seed)) for seed in range(n)]


def test_lines_are_named_after_the_factors_of_the_prompts() -> None:
    for domain, names in NAMES.items():
        assert {name.lower() for name in names.values()} <= set(FACTORS[domain])
    known = {*NAMES["movies"].values(), *TITLE_NAMES.values()}
    for text in texts(0, 50):
        lines = text.splitlines()
        assert 4 <= len(lines) <= 8 and all(line.endswith(".") for line in lines)
        assert {line.partition(": ")[0] for line in lines} <= known
        assert len({line.partition(": ")[0] for line in lines}) == len(lines)


def test_only_the_history_before_the_cut_speaks() -> None:
    """Ann rated Heat 5, Airplane! 2, Amélie 4 before the cut, and Casino after it."""
    joined = "\n".join(texts(0, 200))
    assert "Casino" not in joined and "Scorsese" not in joined and "gambler" not in joined
    for true in ("Heat (1995)", "Michael Mann", "the 1990s", "detective", "gripping", "French", "Amélie (2001)"):
        assert true in joined
    lines = joined.splitlines()
    assert {line for line in lines if line.startswith("Disappointments")} == {"Disappointments: Airplane! (1980)."}
    assert {line for line in lines if line.startswith("Favourites")} == {"Favourites: Heat (1995)."}


def test_what_comes_after_the_cut_changes_no_text() -> None:
    assert texts(0, 20) == texts(0, 20, rated=(([0, 1, 2, 1], [5.0, 2.0, 4.0, 5.0]), ([3, 2], [4.0, 4.0])))


def test_a_text_says_no_more_than_the_prompt_shows() -> None:
    ratings, histories = world()
    latest = [compose(FACTS, ratings, histories, 0, np.random.default_rng(s), shown=1) for s in range(50)]
    assert not any("Heat" in text or "Airplane" in text for text in latest)
    assert any("Amélie" in text for text in latest)


def test_texts_about_one_user_differ() -> None:
    assert len(set(texts(0, 50))) > 40
    lengths = {len(text.splitlines()) for text in texts(0, 50)}
    assert len(lengths) > 2


def test_likes_and_dislikes_do_not_contradict_each_other() -> None:
    """Genres of Ann's liked films: action, crime, comedy, romance; of the disliked one: comedy."""
    for text in texts(0, 200):
        for line in text.splitlines():
            if line.startswith("Genre: "):
                liked, _, avoided = line.partition(", avoids ")
                assert not avoided or not set(avoided.strip(".").split(" and ")) & set(liked.replace(",", "").split())


def test_strength_of_preferences_by_hand() -> None:
    items = (Facts("A", ("crime",)), Facts("B", ("crime", "war")), Facts("C", ("war",)), Facts("D", ("war",)))
    liked, avoided = preferences(Told(items, (5.0, 4.0, 1.0, 2.0), 3.0), lambda facts: facts.genres)
    assert liked == {"crime": pytest.approx(2 * 3 / 4), "war": pytest.approx(1 * 2 / 5)}
    assert avoided == {"war": pytest.approx(2 * 3 / 5)}  # crime is liked more often (3/4) than films on the whole (1/2)


def test_what_is_mostly_liked_is_not_avoided() -> None:
    """Two of three crime films are liked, which is less than four of five films on the whole."""
    items = [Facts(str(k), ("crime",) if k < 3 else ("war",)) for k in range(5)]
    _, avoided = preferences(Told(tuple(items), (5.0, 5.0, 1.0, 5.0, 5.0), 3.0), lambda facts: facts.genres)
    assert avoided == {}


def test_an_item_without_facts_still_gives_a_text() -> None:
    ratings, histories = world()
    plain = tuple(Facts(film.title) for film in FILMS)
    text = compose(plain, ratings, histories, 1, np.random.default_rng(0))
    assert "Casino (1995)" in text
    with pytest.raises(InputError, match="user 'bob' has no rating before the cut"):
        compose(plain, *world(cut=(3, 0)), 1, np.random.default_rng(0))


def test_examples_pair_each_text_with_its_prompt() -> None:
    ratings, histories = world()
    pairs = examples(FACTS, ratings, histories, [1, 0], each=3, seed=7)
    assert [prompt for prompt, _ in pairs[::3]] == [short_prompt(ratings, histories, u) for u in (1, 0)]
    assert len(pairs) == 6
    assert pairs[3:] == examples(FACTS, ratings, histories, [0], each=3, seed=7)  # whoever else is asked for
    assert pairs[3:] != examples(FACTS, ratings, histories, [0], each=3, seed=8)


def test_many_users_and_books() -> None:
    """Every user of a random world gets a text whose titles are all in the history before the cut."""
    ratings = replace(random_ratings(), domain="books")
    found = build(ratings, ListConfig())[0].histories
    facts = item_facts(ratings.items, {})
    for user in range(len(ratings.users)):
        text = compose(facts, ratings, found, user, np.random.default_rng(user))
        named = {row for row, item in enumerate(ratings.items) if item.title in text}
        assert named <= set(found.of(user, int(found.cut[user]))[0].tolist())


def test_listed() -> None:
    assert [listed("a"), listed("ab"), listed("abc")] == ["a", "a and b", "a, b and c"]
