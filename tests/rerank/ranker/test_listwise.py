"""The listwise ranker: order of the list, scale of the features, place of the texts; and its training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tacit.rerank.lists.lists import Lists
from tacit.rerank.ranker.features import Featured
from tacit.rerank.ranker.listwise import FeatureBatch, Listwise
from tacit.rerank.ranker.rerankers import Knowledge
from tacit.rerank.ranker.train_listwise import ListwiseConfig, new_listwise, score_listwise, train_listwise
from tacit.run.folder import Stage

N, C, F = 60, 6, 4
CONFIG = ListwiseConfig(width=8, heads=2, blocks=1, epochs=4, batch=16, lr=0.01, patience=4)


def featured(seed: int) -> Featured:
    """The candidate that is largest in feature 2 is the positive; feature 3 is a large constant."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((N, C, F)).astype(np.float32)
    features[..., 3] = 1e4
    labels = (features[..., 2] == features[..., 2].max(1, keepdims=True)).astype(np.int8)
    ids = rng.integers(0, 9, (N, C)).astype(np.int32)
    lists = Lists(np.arange(N, dtype=np.int32) % 5, ids, labels, labels.astype(bool), np.ones(N, dtype=np.int32))
    return Featured(lists, ("a", "b", "c", "d"), features, rng.standard_normal((N, C, C, 2)).astype(np.float32))


TRAIN, OTHER = featured(0), featured(1)
TEXTS = Knowledge(torch.randn(5, 12, generator=torch.Generator().manual_seed(0)), torch.eye(9, 12))


def trained() -> Listwise:
    model = new_listwise(CONFIG, TRAIN, None, seed=0)
    train_listwise(model, TRAIN, OTHER, None, CONFIG, seed=0)
    return model


def test_the_order_of_the_candidates_means_nothing() -> None:
    model = trained()
    turn = np.random.default_rng(0).permutation(C)
    turned = replace(TRAIN, features=TRAIN.features[:, turn], relations=TRAIN.relations[:, turn][:, :, turn])
    assert np.allclose(score_listwise(model, turned), score_listwise(model, TRAIN)[:, turn], atol=1e-5)


def test_relations_are_read() -> None:
    model = trained()
    without = replace(TRAIN, relations=np.zeros_like(TRAIN.relations))
    assert not np.allclose(score_listwise(model, TRAIN), score_listwise(model, without))


def test_the_unit_of_a_feature_means_nothing() -> None:
    stretched = replace(TRAIN, features=TRAIN.features * 8 + 16, relations=TRAIN.relations * 4)
    plain, wide = (new_listwise(CONFIG, train, None, seed=0) for train in (TRAIN, stretched))
    assert np.allclose(score_listwise(plain, TRAIN), score_listwise(wide, stretched), atol=1e-3)


def test_an_untrained_text_says_nothing_and_a_trained_one_does() -> None:
    model = new_listwise(CONFIG, TRAIN, 12, seed=0)
    nobody = Knowledge(torch.zeros(5, 12), TEXTS.item)
    assert (score_listwise(model, TRAIN, TEXTS) == score_listwise(model, TRAIN, nobody)).all()
    train_listwise(model, TRAIN, OTHER, TEXTS, CONFIG, seed=0)
    assert (score_listwise(model, TRAIN, TEXTS) != score_listwise(model, TRAIN, nobody)).any()
    own = TEXTS.user[torch.from_numpy(TRAIN.lists.users).long()]
    scores = score_listwise(model, TRAIN, nobody, batch=7, user_vectors=own)
    assert np.allclose(scores, score_listwise(model, TRAIN, TEXTS), atol=1e-5)


def test_texts_and_a_ranker_without_them_do_not_mix() -> None:
    with pytest.raises(ValueError, match="text_dim"):
        score_listwise(new_listwise(CONFIG, TRAIN, None, seed=0), TRAIN, TEXTS)
    with pytest.raises(ValueError, match="text_dim"):
        score_listwise(new_listwise(CONFIG, TRAIN, 12, seed=0), TRAIN)


def test_it_learns_which_feature_counts() -> None:
    """A random order finds the one positive with an NDCG@5 of .49 in expectation: (1 + .63 + .5 + .43 + .39) / 6."""
    model = new_listwise(CONFIG, TRAIN, None, seed=0)
    result = train_listwise(model, TRAIN, OTHER, None, CONFIG, seed=0)
    assert result.curve[result.best_epoch - 1]["valid_ndcg@5"] > 0.8
    assert result.curve[-1]["loss"] < result.curve[0]["loss"]
    assert result.best_epoch == 1 + int(np.argmax([row["valid_ndcg@5"] for row in result.curve]))


def test_a_killed_training_ends_in_the_same_bits(tmp_path: Path) -> None:
    whole, broken = (new_listwise(CONFIG, TRAIN, None, seed=0) for _ in range(2))
    expected = train_listwise(whole, TRAIN, OTHER, None, CONFIG, seed=0)
    train_listwise(broken, TRAIN, OTHER, None, CONFIG, 0, _Killed("killed", tmp_path, after=2))
    again = new_listwise(CONFIG, TRAIN, None, seed=5)
    result = train_listwise(again, TRAIN, OTHER, None, CONFIG, 0, Stage("killed", tmp_path))
    assert result == expected and Stage("killed", tmp_path).done()
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    assert len(Stage("killed", tmp_path).log.rows()) == len(expected.curve)


class _Killed(Stage):
    """A stage whose process dies after so many epochs: nothing later reaches the disk."""

    def __init__(self, name: str, folder: Path, after: int) -> None:
        super().__init__(name, folder)
        self._save, self._append = self.checkpoints.save, self.log.append
        self.checkpoints.save = lambda step, *rest: self._save(step, *rest) if step <= after else None  # type: ignore[method-assign]
        self.log.append = lambda step, **row: self._append(step, **row) if step <= after else None  # type: ignore[method-assign]

    def finish(self, summary: dict[str, object]) -> None:
        pass


def test_a_batch_is_what_its_rows_are() -> None:
    part = FeatureBatch.of(TRAIN.take(np.array([3, 1])))
    assert part.batch.items.tolist() == TRAIN.lists.items[[3, 1]].tolist()
    assert torch.equal(part.features, torch.from_numpy(TRAIN.features[[3, 1]]))
    assert Listwise(F, 2, width=8, heads=2, blocks=1).eval()(part).shape == (2, C)


def test_it_does_without_relations() -> None:
    plain = TRAIN.only(("c", "a"), relations=False)
    scores = score_listwise(new_listwise(CONFIG, plain, None, seed=0), plain)
    assert scores.shape == (N, C) and np.isfinite(scores).all()
