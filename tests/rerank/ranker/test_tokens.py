"""What a reranker sees: attributes, texts computed once, and a past that ends where the list begins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny_lists
import torch
from torch import Tensor

from tacit.rerank.lists.lists import Histories, Lists
from tacit.rerank.lists.past import Past
from tacit.rerank.ranker.tokens import Knowledge, ListBatch, ListTokens, MatchTokens, PersonalTokens, item_attributes
from tacit.types import InputError, Item


def test_attributes_are_numbered_from_one_and_keys_do_not_share_values() -> None:
    items = [
        Item("a", "A", "", {"genre": ("drama", "war"), "brand": ("x",)}),
        Item("b", "B", "", {"genre": ("war",), "brand": ("drama",)}),
        Item("c", "C", "", {"genre": ("drama",)}),
    ]
    table, n = item_attributes(items, ["genre", "brand"])
    assert table.tolist() == [[1, 2], [3, 4], [1, 0]]
    assert n == 4


def example() -> tuple[Histories, Lists]:
    """User 0 consumed 5 7 5 8, user 1 consumed 7; the lists begin at places 2 and 0 of these histories, and at 3."""
    histories = tiny_lists.histories([[5, 7, 5, 8], [7]])
    items = np.array([[5, 7, 8], [7, 5, 1], [8, 5, 7]], dtype=np.int32)
    users, start = np.array([0, 1, 0], dtype=np.int32), np.array([2, 0, 3], dtype=np.int32)
    return histories, Lists(users, items, np.zeros((3, 3), np.int8), np.zeros((3, 3), np.bool_), start)


def test_the_past_by_hand() -> None:
    histories, lists = example()
    past = Past(histories, n_items=10)
    assert past.recent(lists, 3).tolist() == [[-1, 5, 7], [-1, -1, -1], [5, 7, 5]]
    assert past.seen(lists).tolist() == [[True, True, False], [False, False, False], [False, True, True]]


def test_the_past_equals_a_walk_through_the_histories() -> None:
    histories, lists = tiny_lists.random_histories(), tiny_lists.random_lists(40)
    past = Past(histories, tiny_lists.N_ITEMS)
    for row in range(len(lists)):
        before = histories.of(int(lists.users[row]), int(lists.start[row]))[0].tolist()
        assert past.seen(lists)[row].tolist() == [item in before for item in lists.items[row]]
        assert past.recent(lists)[row].tolist() == ([-1] * 20 + before)[-20:]


def test_nothing_after_the_start_of_a_list_is_read() -> None:
    histories, lists = tiny_lists.random_histories(), tiny_lists.random_lists(40)
    future = histories.items.copy()
    for user in range(tiny_lists.N_USERS):
        first = histories.offsets[user] + max(lists.start[lists.users == user], default=0)
        future[first : histories.offsets[user + 1]] = 0
    changed = Past(replace(histories, items=future), tiny_lists.N_ITEMS)
    past = Past(histories, tiny_lists.N_ITEMS)
    assert np.array_equal(past.seen(lists), changed.seen(lists))
    assert np.array_equal(past.recent(lists), changed.recent(lists))


def one_by_one(tokens: ListTokens, batch: ListBatch, knowledge: Knowledge) -> Tensor:
    """KAR's way: both sides adapted anew for each candidate of each list."""
    assert tokens.adaptor is not None
    lists = []
    for user, items in zip(batch.users, batch.items, strict=True):
        rows = []
        for item in items:
            texts = tokens.adaptor(knowledge.user[user][None], knowledge.item[item][None])
            attributes = [tokens.attribute(value) for value in tokens.attributes[item]]
            rows.append(torch.cat([tokens.item(item), *attributes, texts[0][0], texts[1][0]]))
        lists.append(torch.stack(rows))
    return torch.stack(lists)


def test_texts_computed_once_equal_ten_computations_a_list() -> None:
    """Values and the gradient of every parameter."""
    tokens, knowledge = tiny_lists.reranker("dlcm", texts=True).tokens, tiny_lists.knowledge()
    batch = ListBatch.of(tiny_lists.random_lists(16))
    assert batch.items.unique().numel() < batch.items.numel() and batch.users.unique().numel() < 16
    weights = torch.randn(16, 10, tokens.width, generator=torch.Generator().manual_seed(0))
    found = []
    for values in (tokens(batch, knowledge, None), one_by_one(tokens, batch, knowledge)):
        tokens.zero_grad()
        (values * weights).sum().backward()
        gradients = [p.grad.clone() for p in tokens.parameters() if p.grad is not None]
        found.append([values, *gradients])
    assert len(found[0]) == 1 + 2 + len(list(tokens.adaptor.parameters()))  # type: ignore[union-attr]
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)


def test_the_personal_tokens_by_a_loop() -> None:
    model, knowledge = tiny_lists.reranker("prm_paper", texts=True), tiny_lists.knowledge()
    tokens = model.tokens
    assert isinstance(tokens, PersonalTokens) and tokens.adaptor is not None
    lists, histories = tiny_lists.random_lists(8), tiny_lists.random_histories()
    values = tokens(ListBatch.of(lists, past=Past(histories, tiny_lists.N_ITEMS)), knowledge, None)
    assert values.shape == (8, 10, tokens.width)

    def fields(item: int) -> Tensor:
        return torch.cat([tokens.item.weight[item], *(tokens.attribute.weight[v] for v in tokens.attributes[item])])

    for row in range(8):
        user = int(lists.users[row])
        before = histories.of(user, int(lists.start[row]))[0].tolist()
        mean = torch.stack([fields(item) for item in before[-20:]]).mean(0)
        for column, item in enumerate(lists.items[row].tolist()):
            texts = tokens.adaptor(knowledge.user[[user]], knowledge.item[[item]])
            own, liking = torch.cat([fields(item), texts[1][0]]), torch.cat([mean, texts[0][0]])
            parts = [norm(x) for norm, x in zip(tokens.norms, (own, liking, own * liking), strict=True)]
            expected = torch.cat([*parts, torch.tensor([float(item in before)])])
            torch.testing.assert_close(values[row, column], expected, rtol=1e-3, atol=1e-4)


def test_a_user_without_a_past_has_a_mean_of_zero() -> None:
    tokens = tiny_lists.reranker("dlcm_paper", texts=False).tokens
    assert isinstance(tokens, PersonalTokens)
    assert not tokens._mean(torch.full((2, 20), -1)).any()


def test_what_is_missing_is_said() -> None:
    batch, knowledge = ListBatch.of(tiny_lists.random_lists(2)), tiny_lists.knowledge()
    with pytest.raises(ValueError, match="needs knowledge"):
        tiny_lists.reranker("dlcm", texts=True)(batch)
    with pytest.raises(ValueError, match="takes none"):
        tiny_lists.reranker("dlcm", texts=False)(batch, knowledge)
    with pytest.raises(ValueError, match="hand in the histories"):
        tiny_lists.reranker("prm_paper", texts=False)(batch)


def test_a_match_is_the_product_of_the_users_text_and_the_items_place() -> None:
    _, lists = example()
    knowledge = Knowledge(torch.randn(2, 3), torch.randn(10, 3), places=torch.randn(10, 3))
    batch = ListBatch.of(lists)
    torch.manual_seed(0)
    tokens = MatchTokens(10, torch.zeros(10, 1, dtype=torch.long), 0, 3, 5)
    found = tokens(batch, knowledge, None)
    assert found.shape == (3, 3, tokens.width)
    plain = ListTokens.forward(tokens, batch, knowledge, None)
    assert torch.equal(found[..., :-3], plain)
    assert torch.equal(found[1, 2, -3:], knowledge.user[1] * knowledge.places[1])
    other = torch.ones(3, 3)
    assert torch.equal(tokens(batch, knowledge, other)[..., -3:], knowledge.places[batch.items])
    assert MatchTokens(10, torch.zeros(10, 1, dtype=torch.long), 0, None, 5)(batch, None, None).shape[-1] == 64


def test_a_match_needs_places() -> None:
    _, lists = example()
    tokens = MatchTokens(10, torch.zeros(10, 1, dtype=torch.long), 0, 3, 5)
    with pytest.raises(InputError, match="needs some components"):
        tokens(ListBatch.of(lists), Knowledge(torch.randn(2, 3), torch.randn(10, 3)), None)
