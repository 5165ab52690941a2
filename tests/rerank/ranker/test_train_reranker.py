"""Training a reranker: it learns, keeps its best epoch, survives a kill, and scores as one list at a time would."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_lists
import torch

from tacit.rerank.lists.past import Past
from tacit.rerank.ranker import train_reranker as ranker
from tacit.rerank.ranker.rerankers import NAMES, ListBatch
from tacit.rerank.ranker.train_reranker import (
    RankerResult,
    RerankerConfig,
    minibatches,
    score_lists,
    selection_metrics,
    train_ranker,
)
from tacit.run.folder import Stage
from tacit.types import InputError, Item

TRAIN, VALID = tiny_lists.random_lists(65, seed=1), tiny_lists.random_lists(30, seed=2)
HISTORIES, KNOWLEDGE = tiny_lists.random_histories(), tiny_lists.knowledge()
CONFIG = RerankerConfig(epochs=4, batch=32, lr=3e-3)


def weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([tensor.flatten().float() for tensor in model.state_dict().values()])


def test_minibatches_hold_every_row_once_and_never_one_alone() -> None:
    assert [rows.tolist() for rows in minibatches(np.arange(5), 2)] == [[0, 1], [2, 3, 4]]
    assert [rows.tolist() for rows in minibatches(np.arange(4), 2)] == [[0, 1], [2, 3]]
    assert [rows.tolist() for rows in minibatches(np.arange(3), 4)] == [[0, 1, 2]]
    for n in range(2, 40):
        found = minibatches(np.arange(n), 4)
        assert np.array_equal(np.concatenate(found), np.arange(n))
        assert all(2 <= len(rows) <= 5 for rows in found)


@pytest.mark.parametrize("texts", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_every_reranker_learns_which_items_are_liked(name: str, texts: bool) -> None:
    """65 lists in batches of 32: the last one joins its neighbours. Large steps would throw SetRank where τ is flat."""
    model, knowledge = tiny_lists.reranker(name, texts), KNOWLEDGE if texts else None
    before = selection_metrics(VALID, score_lists(model, VALID, knowledge, histories=HISTORIES))
    config = replace(CONFIG, name=name, epochs=10, patience=10, lr=2e-3 if name == "setrank" else 1e-2)
    result = train_ranker(model, TRAIN, VALID, knowledge, config, seed=0, histories=HISTORIES)
    after = selection_metrics(VALID, score_lists(model, VALID, knowledge, histories=HISTORIES))
    assert after["ndcg"] > before["ndcg"] + 0.1
    best = result.curve[result.best_epoch - 1]
    assert best["valid_ndcg@5"] == pytest.approx(after["ndcg"]) == max(row["valid_ndcg@5"] for row in result.curve)
    assert best["valid_map@5"] == pytest.approx(after["map"])


def judged(
    monkeypatch: pytest.MonkeyPatch, ndcg: list[float], kar_map: list[float], **settings: object
) -> RankerResult:
    """Training with the scores of each epoch given."""
    rows = iter([{"ndcg": n, "map": m} for n, m in zip(ndcg, kar_map, strict=True)])
    monkeypatch.setattr(ranker, "selection_metrics", lambda lists, scores: next(rows))
    config = replace(CONFIG, epochs=len(ndcg), **settings)  # type: ignore[arg-type]
    return train_ranker(tiny_lists.reranker("dlcm", False), TRAIN, VALID, None, config, seed=0)


def test_patience_counts_epochs_without_a_better_score(monkeypatch: pytest.MonkeyPatch) -> None:
    """The third epoch in a row that is not above .5 stops it: KAR's rule. An equal score is not better."""
    result = judged(monkeypatch, [0.3, 0.5, 0.4, 0.5, 0.2, 0.9], [0.0] * 6)
    assert (result.best_epoch, len(result.curve)) == (2, 5)


def test_the_row_that_chooses_on_test_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    result = judged(monkeypatch, [0.5, 0.4, 0.3], [0.1, 0.2, 0.3], criterion="map", select="test")
    assert result.best_epoch == 3
    assert set(result.curve[0]) == {"epoch", "loss", "test_ndcg@5", "test_map@5"}


def test_a_kill_at_any_step_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropout included. A finished stage is read, not trained again."""
    config, whole = replace(CONFIG, name="prm_paper"), Stage("ranker", tmp_path / "whole")

    def run(stage: Stage) -> tuple[RankerResult, torch.Tensor]:
        model = tiny_lists.reranker("prm_paper", texts=True, dropout=0.2)
        result = train_ranker(model, TRAIN, VALID, KNOWLEDGE, config, seed=3, stage=stage, histories=HISTORIES)
        return result, weights(model)

    result, finished = run(whole)
    assert whole.done() and whole.summary()["best_epoch"] == result.best_epoch
    honest = ListBatch.of
    for killed_at in (1, 4, 9):
        stage, steps = Stage("ranker", tmp_path / f"killed{killed_at}"), iter(range(killed_at))

        def dying(*given: object, steps=steps):  # type: ignore[no-untyped-def]
            if next(steps, None) is None:
                raise KeyboardInterrupt
            return honest(*given)  # type: ignore[arg-type]

        monkeypatch.setattr(ListBatch, "of", dying)
        with pytest.raises(KeyboardInterrupt):
            run(stage)
        monkeypatch.setattr(ListBatch, "of", honest)
        again, restored = run(stage)
        assert again == result and torch.equal(restored, finished)
        assert stage.log.path.read_bytes() == whole.log.path.read_bytes()

    monkeypatch.setattr(ranker, "_epoch", None)  # calling it would fail
    again, restored = run(whole)
    assert again == result and torch.equal(restored, finished)


def test_seeds_decide(tmp_path: Path) -> None:
    def run(seed: int) -> torch.Tensor:
        model = tiny_lists.reranker("dlcm", texts=False)
        train_ranker(model, TRAIN, VALID, None, replace(CONFIG, epochs=1), seed)
        return weights(model)

    assert torch.equal(run(0), run(0))
    assert not torch.equal(run(0), run(1))


@pytest.mark.parametrize("name", NAMES)
def test_scores_equal_those_of_one_list_at_a_time(name: str) -> None:
    model = tiny_lists.reranker(name, texts=True).eval()
    past = Past(HISTORIES, model.n_items)
    texts = torch.randn(len(VALID), tiny_lists.DIM, generator=torch.Generator().manual_seed(1))
    own = score_lists(model, VALID, KNOWLEDGE, batch=7, histories=HISTORIES)
    given = score_lists(model, VALID, KNOWLEDGE, batch=7, histories=HISTORIES, user_vectors=texts)
    assert own.shape == VALID.items.shape and own.dtype == np.float32
    with torch.no_grad():
        for row in range(len(VALID)):
            one = ListBatch.of(VALID.take(np.array([row])), past=past)
            np.testing.assert_allclose(own[row], model(one, KNOWLEDGE)[0], rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(given[row], model(one, KNOWLEDGE, texts[[row]])[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_mixed_precision_trains(name: str) -> None:
    model = tiny_lists.reranker(name, texts=True)
    config = replace(CONFIG, name=name, epochs=1)
    result = train_ranker(model, TRAIN, VALID, KNOWLEDGE, config, seed=0, dtype="bfloat16", histories=HISTORIES)
    assert np.isfinite(result.curve[0]["loss"])
    assert all(p.dtype == torch.float32 for p in model.parameters())


def test_biases_do_not_decay() -> None:
    model = tiny_lists.reranker("dlcm", texts=True)
    decayed, kept = ranker._optimizer(model, replace(CONFIG, weight_decay=0.1)).param_groups
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.1, 0.0)
    named = {id(p): name for name, p in model.named_parameters()}
    assert all("bias" in named[id(p)] for p in kept["params"])
    assert len(decayed["params"]) + len(kept["params"]) == len(named)


def test_a_new_reranker_reads_the_items_attributes() -> None:
    items = [Item("a", "A", "", {"first_genre": ("war",)}), Item("b", "B", "", {}), Item("c", "C", "", {})]
    model = ranker.new_reranker(replace(CONFIG, specific=3), items, text_dim=8, seed=0)
    assert model.tokens.attributes.tolist() == [[1], [0], [0]]
    assert model.tokens.adaptor is not None and model.tokens.adaptor.specific == 3


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"criterion": "mrr"}, "criterion"),
        ({"select": "train"}, "select"),
        ({"batch": 1}, "batch"),
        ({"epochs": 0}, "epochs"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, object], named: str) -> None:
    with pytest.raises(InputError, match=f"ranker.{named}"):
        config = replace(CONFIG, **settings)  # type: ignore[arg-type]
        train_ranker(tiny_lists.reranker("dlcm", False), TRAIN, VALID, None, config, seed=0)


def test_too_few_lists_and_a_lost_loss_are_refused() -> None:
    model = tiny_lists.reranker("dlcm", False)
    with pytest.raises(InputError, match="1 training lists and 30"):
        train_ranker(model, TRAIN.take(np.array([0])), VALID, None, CONFIG, seed=0)
    torch.nn.init.constant_(model.tokens.item.weight, float("nan"))
    with pytest.raises(InputError, match="finite"):
        train_ranker(model, TRAIN, VALID, None, CONFIG, seed=0)
    with pytest.raises(ValueError, match="histories"):
        score_lists(tiny_lists.reranker("dlcm_paper", False), VALID)
