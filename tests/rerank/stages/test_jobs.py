"""Several rerankers at once: the same weights as one after the other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import tiny_lists
import torch

from tacit.rerank.ranker.train_reranker import RerankerConfig
from tacit.rerank.stages.config import RerankConfig
from tacit.rerank.stages.jobs import TrainingJob, cells, train_all
from tacit.types import Item

TRAIN, VALID = tiny_lists.random_lists(65, seed=1), tiny_lists.random_lists(30, seed=2)
ITEMS = [Item(str(k), f"Film {k}", "", {"first_genre": ("war" if k % 2 else "crime",)}) for k in range(20)]


def jobs(folder: Path) -> list[TrainingJob]:
    known = (
        RerankerConfig(epochs=2, batch=32),
        ITEMS,
        TRAIN,
        VALID,
        tiny_lists.random_histories(),
        tiny_lists.knowledge(),
    )
    return [TrainingJob(folder / f"seed{seed}", *known, seed, "cpu", "float32") for seed in range(2)]


def test_controls_take_fewer_seeds_and_never_more_than_the_others() -> None:
    config = RerankConfig(rankers=["dlcm", "prm"], ranker_seeds=5)
    assert [len(cells(config, arm)) for arm in ("base", "round 1", "svd")] == [10, 10, 4]
    assert [cell.folder for cell in cells(replace(config, ranker_seeds=1), "svd")] == [
        "dlcm-svd-seed0",
        "prm-svd-seed0",
    ]


def test_two_processes_train_what_one_trains(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        train_all(jobs(tmp_path / "both"), "rerankers")
    finally:
        torch.set_num_threads(threads)
    train_all(jobs(tmp_path / "one"), "rerankers")
    for there, here in zip(jobs(tmp_path / "both"), jobs(tmp_path / "one"), strict=True):
        assert there.stage.done() and here.stage.done()
        for a, b in zip(there.train().state_dict().values(), here.train().state_dict().values(), strict=True):
            torch.testing.assert_close(a, b)


def test_a_ranker_in_training_reads_sampled_texts(tmp_path: Path) -> None:
    """With every sample equal to the user's own text nothing changes; with other ones the weights differ."""
    plain = jobs(tmp_path / "own")[0]
    assert plain.texts is not None
    own = replace(plain.texts, samples=plain.texts.user[:, None].repeat(1, 4, 1))
    other = replace(plain.texts, samples=torch.randn(len(plain.texts.user), 4, tiny_lists.DIM))
    first, same, different = (
        replace(plain, folder=tmp_path / name, texts=texts).train().state_dict()["body.gru.weight_ih_l0"]
        for name, texts in (("first", plain.texts), ("same", own), ("different", other))
    )
    torch.testing.assert_close(first, same, atol=1e-3, rtol=1e-2)
    assert not torch.allclose(first, different)
