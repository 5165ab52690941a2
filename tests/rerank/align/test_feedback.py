"""Feedback of a ranker on texts: by hand, against a slow twin, across folds, and with real rerankers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from tacit.metrics.lists import in_order, kar_map, ndcg
from tacit.rerank.align.feedback import (
    ModelOnTexts,
    RerankerScorer,
    Rows,
    context,
    folds,
    read_groups,
    score_samples,
    write_groups,
)
from tacit.rerank.lists.lists import Histories, Lists
from tacit.rerank.lists.past import Past
from tacit.rerank.ranker.features import Featured
from tacit.rerank.ranker.listwise import FeatureBatch, Listwise
from tacit.rerank.ranker.rerankers import NAMES, Knowledge, ListBatch, build_reranker
from tacit.types import Floats32, Ints32, Turn


def lists_of(users: Sequence[int], labels: Sequence[Sequence[int]]) -> Lists:
    """Lists with these labels; the items and the rest do not matter."""
    shape = np.shape(labels)
    items = np.arange(shape[0] * shape[1], dtype=np.int32).reshape(shape)
    start = np.zeros(len(users), dtype=np.int32)
    return Lists(np.array(users, np.int32), items, np.array(labels, np.int8), np.array(labels) > 0, start)


def numbers(users: Sequence[int], texts: Sequence[tuple[str, ...]]) -> Floats32:
    """An encoder: a text is the numbers it spells."""
    return np.array([[float(word) for word in text.split()] for (text,) in texts], dtype=np.float32)


class Obedient:
    """A ranker that scores the candidates of every list as the text says, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, rows: Rows, vectors: Floats32) -> tuple[Floats32, Floats32]:
        self.asked += rows.tolist()
        return vectors, vectors[:, 0] + rows.astype(np.float32)


def users_of(*numbers: int) -> Ints32:
    return np.array(numbers, dtype=np.int32)


def test_folds_are_disjoint_and_hold_every_training_user_once() -> None:
    users = np.arange(10, 33, dtype=np.int32)
    parts = folds(users, 5, seed=3)
    assert sorted(len(part) for part in parts) == [4, 4, 5, 5, 5]
    assert np.array_equal(np.sort(np.concatenate(parts)), users)
    assert all(np.array_equal(a, b) for a, b in zip(parts, folds(users, 5, seed=3), strict=True))
    assert not np.array_equal(parts[0], folds(users, 5, seed=4)[0])


def test_a_score_by_hand() -> None:
    """User 7's lists have their positive at the text's first and second place: NDCG@5 1 and 1/log2(3), AP 1 and ½."""
    lists = lists_of([3, 7, 7], [[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    scorer = RerankerScorer([Obedient()], [users_of(3, 7)], lists, numbers)
    ((score, channels),) = scorer.score([context(7, "p")], [Turn("agent", "3 2 1")])
    second = 1 / np.log2(3)
    assert score == channels["ndcg"] == pytest.approx((1 + second) / 2)
    assert (channels["even"], channels["odd"]) == (pytest.approx(1), pytest.approx(second))
    assert channels["map"] == pytest.approx(0.75)
    assert channels["fit"] == pytest.approx(-(3 + 1 + 3 + 2) / 2)  # the obedient ranker's loss is 3 + the list's row
    assert channels["lists"] == 2
    first, last = (3.0 - place - np.log(np.exp([3.0, 2.0, 1.0]).sum()) for place in (0, 1))
    assert (channels["likelihood_even"], channels["likelihood_odd"]) == (pytest.approx(first), pytest.approx(last))
    by_likelihood = RerankerScorer([Obedient()], [users_of(3, 7)], lists, numbers, reward="likelihood")
    assert by_likelihood.score([context(7, "p")], [Turn("agent", "3 2 1")]) == [(channels["likelihood"], channels)]


def test_every_user_is_scored_by_the_ranker_of_the_own_fold_alone() -> None:
    lists = lists_of([0, 1, 2, 3, 0, 1, 2, 3], [[1, 0]] * 8)
    rankers, parts = [Obedient(), Obedient()], [users_of(1, 2), users_of(0, 3)]
    scorer = RerankerScorer(rankers, parts, lists, numbers)
    scorer.score([context(u, "p") for u in (0, 1, 2, 3, 1)], [Turn("agent", "1 0")] * 5)
    assert sorted(rankers[0].asked) == [1, 1, 2, 5, 5, 6] and sorted(rankers[1].asked) == [0, 3, 4, 7]


def test_a_user_outside_the_training_users_is_refused() -> None:
    scorer = RerankerScorer([Obedient()], [users_of(0, 1)], lists_of([0, 1, 9], [[1, 0]] * 3), numbers)
    with pytest.raises(ValueError, match=r"\[9\].*2 training users.*leak"):
        scorer.score([context(0, "p"), context(9, "p")], [Turn("agent", "1 0")] * 2)


def test_a_user_without_lists_scores_nothing() -> None:
    scorer = RerankerScorer([Obedient()], [users_of(0, 1)], lists_of([0], [[1, 0]]), numbers)
    ((score, channels),) = scorer.score([context(1, "p")], [Turn("agent", "1 0")])
    assert score == 0 and set(channels.values()) == {0.0}


def test_the_batched_scores_equal_those_of_one_list_at_a_time() -> None:
    draw = np.random.default_rng(0)
    users = draw.integers(0, 6, 40)
    labels = draw.random((40, 10)) < 0.3
    lists = lists_of(users.tolist(), labels.astype(int).tolist())
    asked = draw.integers(0, 6, 17)
    vectors = draw.normal(size=(17, 10)).astype(np.float32)
    turns = [Turn("agent", " ".join(map(str, vector))) for vector in vectors]
    scorer = RerankerScorer([Obedient(), Obedient()], [users_of(0, 2, 4), users_of(1, 3, 5)], lists, numbers, batch=7)
    for (_, channels), user, vector in zip(
        scorer.score([context(u, "") for u in asked], turns), asked, vectors, strict=True
    ):
        mine = np.flatnonzero(users == user)
        ordered = [in_order(vector[None], lists.labels[row : row + 1]) for row in mine]
        each = [float(ndcg(one, 5)[0]) for one in ordered]
        assert channels["ndcg"] == pytest.approx(np.mean(each))
        assert channels["map"] == pytest.approx(np.mean([kar_map(one, 5)[0] for one in ordered]))
        assert channels["fit"] == pytest.approx(-np.mean([vector[0] + row for row in mine]), rel=1e-5)
        assert channels["even"] == pytest.approx(np.mean(each[::2]))
        assert channels["odd"] == pytest.approx(np.mean(each[1::2]))
        assert channels["lists"] == len(mine)


def test_samples_come_back_as_groups_in_their_order_also_from_a_file(tmp_path: Path) -> None:
    lists = lists_of([0, 1], [[1, 0], [0, 1]])
    scorer = RerankerScorer([Obedient()], [users_of(0, 1)], lists, numbers)
    texts = [["1 0", "0 1", "2 0"], ["0 1"]]
    groups = score_samples(scorer, [0, 1], ["first", "second"], texts)
    assert [[o.sample.text for o in g.options] for g in groups] == texts
    assert [o.context.turns[0].text for g in groups for o in g.options] == ["first"] * 3 + ["second"]
    assert [o.score for o in groups[0].options] == [1, pytest.approx(1 / np.log2(3)), 1]
    assert {o.by for g in groups for o in g.options} == {"ranker"}
    write_groups(groups, tmp_path / "groups.jsonl")
    assert read_groups(tmp_path / "groups.jsonl") == groups


@pytest.mark.parametrize("name", NAMES)
def test_real_rerankers_read_the_given_texts_in_place_of_their_own(name: str) -> None:
    """Scores and losses equal those of a reranker whose knowledge says these texts about the users, list by list."""
    n_users, n_items, dim = 4, 12, 6
    draw = np.random.default_rng(0)

    def vectors(n: int) -> npt.NDArray[np.float32]:
        return draw.normal(size=(n, dim)).astype(np.float32)

    offsets = np.arange(n_users + 1) * 3
    ratings = np.ones(3 * n_users, np.float32)
    histories = Histories(
        offsets, draw.integers(0, n_items, 3 * n_users).astype(np.int32), ratings, np.ones(4, np.int32)
    )
    labels = (draw.random((8, 5)) < 0.4).astype(np.int8)
    items = draw.integers(0, n_items, (8, 5)).astype(np.int32)
    lists = Lists(np.arange(8, dtype=np.int32) % n_users, items, labels, labels > 0, np.full(8, 2, np.int32))
    model = build_reranker(name, n_items, torch.zeros(n_items, 1, dtype=torch.long), 1, dim)
    past = Past(histories, n_items) if model.reads_past else None
    user, item, places = (torch.from_numpy(vectors(n)) for n in (n_users, n_items, n_items))
    knowledge = Knowledge(user, item, places=places)
    rows, given = np.array([5, 0, 5, 3]), vectors(4)
    scores, losses = ModelOnTexts(model, lists, knowledge, past)(rows, given)
    for i, row in enumerate(rows):
        mine = knowledge.user.clone()
        mine[int(lists.users[row])] = torch.from_numpy(given[i])
        batch = ListBatch.of(lists.take(rows[i : i + 1]), past=past)
        with torch.no_grad():
            slow = model(batch, replace(knowledge, user=mine))
        np.testing.assert_allclose(scores[i], slow[0].numpy(), rtol=1e-4, atol=1e-5)
        assert losses[i] == pytest.approx(float(model.loss(slow, batch.labels)), rel=1e-4, abs=1e-6)


def test_the_listwise_ranker_reads_them_too() -> None:
    draw = np.random.default_rng(0)
    features, relations = (draw.normal(size=(6, 5, *rest)).astype(np.float32) for rest in ((3,), (5, 2)))
    lists = lists_of(range(6), [[1, 0, 0, 1, 0], [0, 1, 0, 0, 0]] * 3)
    featured = Featured(lists, ("a", "b", "c"), features, relations)
    knowledge = Knowledge(torch.randn(6, 4), torch.randn(30, 4))
    model = Listwise(3, 2, text_dim=4, width=8)
    torch.nn.init.normal_(model.texts.out.weight)  # type: ignore[union-attr]
    rows, given = np.array([4, 1]), draw.normal(size=(2, 4)).astype(np.float32)
    scores, losses = ModelOnTexts(model, featured, knowledge)(rows, given)
    knowledge.user[rows] = torch.from_numpy(given)
    with torch.no_grad():
        slow = model(FeatureBatch.of(featured.take(rows)), knowledge)
    np.testing.assert_allclose(scores, slow.numpy(), rtol=1e-4, atol=1e-5)
    log_p = torch.log_softmax(slow, dim=-1)
    np.testing.assert_allclose(losses, [-(log_p[0, 0] + log_p[0, 3]) / 2, -log_p[1, 1]], rtol=1e-4)
