"""What a run reads: texts as vectors along the axes of the ratings, and what has no such axes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_ratings import random_ratings

from tacit.rerank.lists.lists import ListConfig, build
from tacit.rerank.ranker.collaborative import mean_vectors
from tacit.rerank.ranker.train_reranker import RerankerConfig, new_reranker, score_lists
from tacit.rerank.stages.config import AlignConfig, RerankConfig, check
from tacit.rerank.stages.data import KnowledgeConfig, RerankData
from tacit.rerank.writer.vectors import HASHED, Projection, hashed
from tacit.types import InputError

RATINGS = random_ratings(n_users=20)


def known(folder: Path, components: int = 0, **settings: str) -> RerankData:
    split, test, card = build(RATINGS, ListConfig())
    return RerankData(
        RATINGS, split, test, card, KnowledgeConfig(encoder="hashing", components=components, **settings), folder
    )


def test_several_texts_about_a_user_are_read_one_by_one_and_averaged(tmp_path: Path) -> None:
    material = known(tmp_path)
    reading = replace(material.reading(dict.fromkeys(material.users, ("war",)), "cpu", "float32"), scaling=None)
    user = material.users[0]
    one, two, three = (reading([user], [(text,)])[0] for text in ("war films", "love", "old comedies"))
    both = reading([user, user], [("war films", "love", "old comedies"), ("love",)])
    np.testing.assert_allclose(both, [(one + two + three) / 3, two], rtol=1e-6)
    assert reading([], []).shape == (0, HASHED)


@pytest.mark.parametrize(("components", "width"), [(0, HASHED), (3, 3), (100, 15)])
def test_a_reranker_reads_both_sides_along_the_same_axes(tmp_path: Path, components: int, width: int) -> None:
    """Every dimension with 0 components; with more axes than training users, one fewer than users."""
    data = known(tmp_path, components)
    texts = {user: (f"Genre: war {user}\nLately: film {user % 5}",) for user in data.users}
    knowledge = data.knowledge(texts, data.reading(texts, "cpu", "float32"))
    assert len(data.split.train_users) == 16
    assert knowledge.user.shape[1] == knowledge.item.shape[1] == width
    model = new_reranker(RerankerConfig(), RATINGS.items, width, seed=0)
    assert np.isfinite(score_lists(model, data.split.valid, knowledge)).all()


def test_collaborative_axes_are_fitted_on_training_users_alone(tmp_path: Path) -> None:
    """Other texts of validation and test users change nothing; other texts of training users do."""
    material = known(tmp_path, 3)
    texts = {user: (f"Genre: war {user % 4}",) for user in material.users}
    scaling = material.reading(texts, "cpu", "float32").scaling
    others = {user: texts[user] if user in material.split.train_users else ("Lately: love",) for user in texts}
    assert scaling is not None
    np.testing.assert_array_equal(material.reading(others, "cpu", "float32").scaling.axes, scaling.axes)
    first = int(material.split.train_users[0])
    changed = material.reading({**texts, first: ("Lately: love",)}, "cpu", "float32").scaling
    assert not np.array_equal(changed.axes, scaling.axes)


def test_axes_tell_of_each_user_what_its_own_text_tells(tmp_path: Path) -> None:
    """Text and ratings of one user belong together, in whatever order the split names its users."""
    material = known(tmp_path, 3)
    texts = {user: (f"Genre: war {user} and love {user % 3}",) for user in material.users}
    train = material.split.train_users
    assert not np.array_equal(train, np.sort(train))
    told = mean_vectors(material.split.histories, material._taste)
    by_user = [(hashed(texts[int(user)])[0], told[user]) for user in train]
    expected = Projection.ridge(*(np.stack(part) for part in zip(*by_user, strict=True)))
    found = material.reading(texts, "cpu", "float32").scaling
    np.testing.assert_allclose(found.axes, expected.axes, rtol=1e-3, atol=1e-5)


def test_axes_of_a_training_user_are_fitted_on_others(tmp_path: Path) -> None:
    """With another text of one training user its own texts are read as before, all others' along new axes."""
    material = known(tmp_path, 3)
    texts = {user: (f"Genre: war {user % 4}",) for user in material.users}
    one, other = np.sort(material.split.train_users)[:2].tolist()
    before, after = (
        material.reading(told, "cpu", "float32")([one, other, int(material.test.users[0])], [("Genre: war 2",)] * 3)
        for told in (texts, {**texts, one: ("Lately: love",)})
    )
    np.testing.assert_array_equal(before[0], after[0])
    assert not np.array_equal(before[1], after[1]) and not np.array_equal(before[2], after[2])


def test_users_with_one_prompt_keep_their_own_axes(tmp_path: Path) -> None:
    """Two training users of different folds, and one who is not in training, all asked about in the same words."""
    data = known(tmp_path, 3)
    texts = {user: (f"Genre: war {user % 4}",) for user in data.users}
    one, other = np.sort(data.split.train_users)[:2].tolist()
    asked, answers = [one, other, int(data.test.users[0])], [("Genre: war 2",)] * 3
    apart = data.reading(texts, "cpu", "float32")
    alike = replace(apart, prompts={**apart.prompts, **dict.fromkeys(asked, "liked: films;")})
    assert apart.fold_of[one] != apart.fold_of[other]
    vectors = alike(asked, answers)
    np.testing.assert_array_equal(vectors, apart(asked, answers))
    plain = replace(alike, scaling=None)(asked, answers)
    scalings = [apart.folds[apart.fold_of[one]], apart.folds[apart.fold_of[other]], apart.scaling]
    for scaling, vector, raw in zip(scalings, vectors, plain, strict=True):
        np.testing.assert_allclose(vector, scaling(raw[None])[0], rtol=1e-4, atol=1e-5)


def test_dlcm_match_needs_the_ratings_axes() -> None:
    knowledge = KnowledgeConfig(components=0)
    check(RerankConfig(knowledge=knowledge))
    with pytest.raises(InputError, match="dlcm_match compares"):
        check(RerankConfig(knowledge=knowledge, rankers=["dlcm", "dlcm_match"]))
    with pytest.raises(InputError, match="dlcm_match compares"):
        check(RerankConfig(knowledge=knowledge, align=AlignConfig(ranker="dlcm_match")))


def test_dlcm_match_finds_items_where_the_ratings_put_them(tmp_path: Path) -> None:
    """Of a run with texts and of a control without: a place for every item, centred, as long as a user's vector."""
    material = known(tmp_path, 3)
    texts = {user: (f"Genre: war {user % 4}",) for user in material.users}
    of_texts = material.knowledge(texts, material.reading(texts, "cpu", "float32"))
    for knowledge in (of_texts, material.without_language_model("svd", 3)):
        assert knowledge.places is not None and knowledge.places.shape == (len(RATINGS.items), knowledge.user.shape[1])
        assert knowledge.places.mean(0).abs().max() < 1e-5 and knowledge.places.std() > 0.5


def test_an_unknown_mode_is_refused_before_anything_is_trained() -> None:
    with pytest.raises(InputError, match=r"knowledge\.mode must be one of clean, kar_input, not 'raw'"):
        check(RerankConfig(knowledge=KnowledgeConfig(mode="raw")))


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, "numbered"),
        ({"writer": "folder"}, "kar"),
        ({"writer": "endpoint"}, "kar"),
        ({"writer": "smollm2"}, "listed"),
        ({"model": "smollm2"}, "listed"),
        ({"writer": "smollm2", "tune": True}, "numbered"),
        ({"writer": "folder", "prompt": "listed"}, "listed"),
        ({"writer": "folder", "prompt": "numbered"}, "numbered"),
    ],
)
def test_who_is_asked_how(tmp_path: Path, settings: dict[str, Any], kind: str) -> None:
    config = KnowledgeConfig(**settings, shown=3)
    assert config.asked_by == kind and not list(config.conflicts())
    data = replace(known(tmp_path), config=config)
    prompt = data.prompts[data.users[0]]
    begins = {"numbered": "preferences:\n", "listed": "Here is what ", "kar": "Given "}
    assert prompt.startswith(begins[kind]) or prompt.endswith(begins[kind])
    items = sum(item.title in prompt for item in RATINGS.items)
    assert items == 3 if kind != "kar" else items > 3


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"prompt": "kar"}, "prompt"),
        ({"writer": "smollm2", "tune": True, "prompt": "listed"}, "prompt"),
        ({"writer": "none", "tune": True}, "tune"),
        ({"writer": "endpoint", "tune": True}, "tune"),
    ],
)
def test_a_writer_that_is_trained_is_asked_as_it_was_trained(settings: dict[str, Any], key: str) -> None:
    assert [found for found, _, _ in KnowledgeConfig(**settings).conflicts()] == [key]
