"""Texts as vectors: which part is read, and what is kept on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from tiny import save_encoder
from tiny_knowledge import world

from tacit.rerank.writer import vectors as module
from tacit.rerank.writer.prompts import short_prompt, user_prompt
from tacit.rerank.writer.vectors import HASHED, Projection, hashed, read_texts, text_vectors
from tacit.text.vector_cache import Batch


def test_kars_input_is_the_history_and_the_answer() -> None:
    read = read_texts(['Given a user: "Heat", 5 stars; "Alien", 1 stars; Analyse.'], ["Likes crime."], "kar_input")
    assert read == ['Given a user: "Heat", 5 stars; "Alien", 1 stars. Likes crime.']
    assert read_texts(["no history"], ["Likes crime."], "kar_input") == ["Likes crime."]


def test_kars_input_works_on_both_prompts() -> None:
    for prompt in (user_prompt(*world(), user=0), short_prompt(*world(), user=0)):
        (read,) = read_texts([prompt], ["Likes crime."], "kar_input")
        assert all(title in read for title in ("Heat", "Airplane", "Amélie")) and read.endswith(". Likes crime.")
        assert "Analyse" not in read and "preferences:" not in read


def test_clean_is_the_answer() -> None:
    assert read_texts(["a;"], ["Likes crime."], "clean") == ["Likes crime."]


def test_hashing() -> None:
    same, order, other, empty = hashed(["Crime and drama", "drama and CRIME", "a western", ""])
    assert np.linalg.norm(same) == pytest.approx(1.0) and not empty.any()
    assert same @ order == pytest.approx(3 / 5)  # three of five features: the words, not the pairs
    assert abs(same @ other) < 0.5


def test_repeats_and_order() -> None:
    vectors = text_vectors(["b", "a", "b"], "hashing")
    np.testing.assert_array_equal(vectors, hashed(["b", "a", "b"]))
    assert text_vectors([], "hashing").shape == (0, HASHED)


def test_vectors_are_kept_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[list[str]] = []

    def spy(texts: list[str]) -> Batch:
        read.append(list(texts))
        return Batch(hashed(texts), np.zeros(len(texts), np.bool_))

    monkeypatch.setattr(module, "_encoder", lambda name, device, dtype: (spy, name))
    for _ in range(2):
        np.testing.assert_array_equal(text_vectors(list("aba"), "x", tmp_path), hashed(list("aba")))
    assert sorted(text for part in read for text in part) == ["a", "b"]


def test_a_folder_gives_the_plain_mean_of_its_tokens(tmp_path: Path) -> None:
    """KAR's ``avg``: the mask-weighted mean of the last layer, the marks at both ends included, not scaled."""
    folder = save_encoder(tmp_path)
    texts = ["A film about trains.", "Crime", "A film about trains."]
    found = text_vectors(texts, str(folder))
    transformer = SentenceTransformer(str(folder), device="cpu")[0]
    for text, vector in zip(texts, found, strict=True):
        with torch.no_grad():
            states = transformer.auto_model(**transformer.tokenizer(text, return_tensors="pt")).last_hidden_state
        np.testing.assert_allclose(vector, states[0].mean(0).numpy(), rtol=1e-4, atol=1e-5)


def test_scaled_by_the_training_users_alone() -> None:
    vectors = np.array([[1.0, 5.0], [3.0, 5.0], [9.0, 7.0]], np.float32)
    np.testing.assert_allclose(Projection.fit(vectors[:2])(vectors), [[-1, 0], [1, 0], [7, 0]])


def test_foretelling_axes_keep_what_tells_the_targets() -> None:
    """Most of what differs (the first number) tells nothing; the second is the target, the third half of its negative
    again, so that least squares under a small penalty shares the axis between them."""
    generator = np.random.default_rng(0)
    loud, told = 10 * generator.standard_normal(200), generator.standard_normal(200)
    vectors = np.stack([loud, told, -told / 2], 1).astype(np.float32)
    found = Projection.ridge(vectors, 3 * told[:, None])(vectors)
    assert found.shape == (200, 1) and found.std() == pytest.approx(1.0, rel=1e-5)
    assert np.corrcoef(found[:, 0], told)[0, 1] > 0.999 and abs(np.corrcoef(found[:, 0], loud)[0, 1]) < 0.1


def test_foretelling_draws_what_tells_little_to_nothing() -> None:
    """Of two targets the one that the vectors do not tell keeps a small axis: its numbers would only be noise."""
    generator = np.random.default_rng(1)
    vectors = generator.standard_normal((300, 5)).astype(np.float32)
    targets = np.stack([vectors[:, 0], generator.standard_normal(300)], 1)
    spread = Projection.ridge(vectors, targets)(vectors).std(0)
    assert spread[1] < 0.3 * spread[0]


def test_axes_fitted_on_others_tell_a_fold_nothing_of_noise() -> None:
    """Forty numbers a row and a target that they do not tell: one's own axes seem to, those of the others do not."""
    generator = np.random.default_rng(2)
    vectors = generator.standard_normal((60, 40)).astype(np.float32)
    targets = generator.standard_normal((60, 1))
    own = Projection.ridge(vectors, targets)(vectors)[:, 0]
    folds = Projection.cross_fitted(vectors, targets, folds=10)
    others = np.array([folds[row % 10](vectors[[row]])[0, 0] for row in range(60)])
    assert len(folds) == 10 and np.corrcoef(own, targets[:, 0])[0, 1] > 0.5
    assert np.corrcoef(others, targets[:, 0])[0, 1] < 0.2
