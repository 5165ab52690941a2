"""Rerankers: sizes of the reference to the unit, its formulas, and what each can and cannot see."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import tiny_lists
import torch
from torch import Tensor, nn

from tacit.rerank.lists.past import Past
from tacit.rerank.ranker.rerankers import (
    DLCM,
    NAMES,
    PRM,
    ListBatch,
    attention,
    attention_loss,
    build_reranker,
    pointwise_loss,
    position_code,
)
from tacit.rerank.ranker.rerankers_paper import DLCMPaper, PRMPaper, list_softmax_loss
from tacit.types import InputError

# items, attributes an item, rows of the attribute table beyond the first
ML_1M, AMAZON = (3706, 1, 18), (17_332, 2, 0)
SIZES = [
    ("dlcm", ML_1M, None, 148_930),
    ("dlcm", ML_1M, 768, 1_402_704),
    ("prm", ML_1M, None, 178_025),
    ("prm", ML_1M, 768, 1_494_519),
    ("setrank", ML_1M, None, 178_025),
    ("setrank", ML_1M, 768, 1_494_519),
    ("dlcm", AMAZON, None, 590_530),
    ("dlcm", AMAZON, 768, 1_844_304),
    ("prm", AMAZON, None, 646_889),
    ("prm", AMAZON, 768, 1_979_767),
]
BODIES = [("dlcm", None, 29_506), ("dlcm", 768, 41_794), ("prm", None, 58_601), ("prm", 768, 133_609)]


def size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("name", "data", "text_dim", "expected"), SIZES)
def test_parameters_are_those_of_the_reference(
    name: str, data: tuple[int, int, int], text_dim: int | None, expected: int
) -> None:
    n_items, fields, n_attributes = data
    attributes = torch.zeros(n_items, fields, dtype=torch.long)
    assert size(build_reranker(name, n_items, attributes, n_attributes, text_dim)) == expected


@pytest.mark.parametrize(("name", "text_dim", "expected"), BODIES)
def test_the_bodies_alone_have_the_sizes_of_the_reference(name: str, text_dim: int | None, expected: int) -> None:
    model = build_reranker(name, 3706, torch.zeros(3706, 1, dtype=torch.long), 18, text_dim)
    assert size(model.body) == expected


def batch_of(n: int, past: bool = True) -> ListBatch:
    known = Past(tiny_lists.random_histories(), tiny_lists.N_ITEMS) if past else None
    return ListBatch.of(tiny_lists.random_lists(n), past=known)


@pytest.mark.parametrize("texts", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_one_seed_gives_one_model_and_leaves_the_global_draws_alone(name: str, texts: bool) -> None:
    torch.manual_seed(5)
    first, second, other = (tiny_lists.reranker(name, texts, seed=seed) for seed in (1, 1, 2))
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(1))
    batch, knowledge = batch_of(4), tiny_lists.knowledge() if texts else None
    scores = [model.eval()(batch, knowledge) for model in (first, second, other)]
    assert scores[0].shape == (4, 10)
    assert torch.equal(scores[0], scores[1]) and not torch.equal(scores[0], scores[2])


@pytest.mark.parametrize(("name", "sees_order"), [(name, name in ("dlcm", "dlcm_match", "prm")) for name in NAMES])
def test_only_the_references_dlcm_and_prm_networks_see_the_order_of_the_shuffled_list(
    name: str, sees_order: bool
) -> None:
    model, knowledge, batch = tiny_lists.reranker(name, texts=True).eval(), tiny_lists.knowledge(), batch_of(4)
    shuffle = torch.randperm(10, generator=torch.Generator().manual_seed(1))
    assert batch.seen is not None
    shuffled = replace(batch, items=batch.items[:, shuffle], seen=batch.seen[:, shuffle])
    first, second = model(batch, knowledge)[:, shuffle], model(shuffled, knowledge)
    assert torch.allclose(first, second, atol=1e-5) != sees_order


@pytest.mark.parametrize("name", NAMES)
def test_who_sees_the_user(name: str) -> None:
    """The references without texts see no user at all; the others do, through the past or through the text."""
    batch, knowledge = batch_of(4), tiny_lists.knowledge()
    assert batch.recent is not None
    other = replace(batch, users=(batch.users + 1) % tiny_lists.N_USERS, recent=batch.recent.roll(1, 0))
    base, reader = (tiny_lists.reranker(name, texts).eval() for texts in (False, True))
    assert torch.equal(base(batch), base(other)) == (not base.reads_past)
    told = replace(batch, users=other.users)
    assert not torch.allclose(reader(batch, knowledge), reader(told, knowledge), atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_given_texts_take_the_place_of_the_users_own(name: str) -> None:
    model, knowledge, batch = tiny_lists.reranker(name, texts=True).eval(), tiny_lists.knowledge(), batch_of(6)
    own = model(batch, knowledge)
    torch.testing.assert_close(model(batch, knowledge, knowledge.user[batch.users]), own)
    assert not torch.allclose(model(batch, knowledge, -knowledge.user[batch.users]), own, atol=1e-6)


def test_dlcm_is_the_first_of_two_softmax_outputs() -> None:
    """The reference's formula, list by list, in training mode (the norms see the batch)."""
    torch.manual_seed(0)
    body, x = DLCM(7), torch.randn(5, 10, 7)
    nn.init.normal_(body.state_norm.weight)
    states, final = body.gru(x)

    def normed(values: Tensor, norm: nn.BatchNorm1d) -> Tensor:
        flat = values.reshape(-1, values.shape[-1])
        mean, variance = flat.mean(0), flat.var(0, correction=0)
        return (values - mean) / (variance + norm.eps).sqrt() * norm.weight + norm.bias

    query = torch.tanh(body.query(normed(final[0], body.final_norm)))
    two = body.head(normed(states, body.state_norm) * query[:, None]).softmax(-1)
    torch.testing.assert_close(body(x).sigmoid(), two[..., 0])
    labels = (torch.rand(5, 10) < 0.3).float()
    torch.testing.assert_close(body.loss(body(x), labels), nn.functional.binary_cross_entropy(two[..., 0], labels))


def test_prm_by_the_formula_of_attention() -> None:
    """Two heads of width 4: softmax(q kᵀ / 2) v, joined, projected, beside the input with its position code."""
    torch.manual_seed(0)
    body, x = PRM(8), torch.randn(3, 10, 8)
    x = x + position_code(10, 8)
    q, k, v = (x @ body.attend.in_proj_weight.T + body.attend.in_proj_bias).chunk(3, dim=-1)
    heads = [
        torch.softmax(q[..., s] @ k[..., s].transpose(1, 2) / 2.0, dim=-1) @ v[..., s]
        for s in (slice(0, 4), slice(4, 8))
    ]
    attended = body.attend.out_proj(torch.cat(heads, dim=-1))
    expected = body.head(torch.cat([attended, x], dim=-1))[..., 0]
    torch.testing.assert_close(body(x - position_code(10, 8)), expected)


def test_the_position_code_by_hand() -> None:
    code = position_code(3, 4)
    assert code[0].tolist() == [0.0] * 4  # the reference's first row, where cos would say 1
    expected = [math.sin(2), math.cos(2), math.sin(0.02), math.cos(0.02)]
    assert code[2].tolist() == pytest.approx(expected)


def test_attention_by_hand() -> None:
    """τ drops what is not positive: e and e² remain, over their sum."""
    found = attention(torch.tensor([[1.0, 2.0, 0.0, -3.0], [-1.0, 0.0, -2.0, -4.0]]), temperature=1.0)
    assert found[0].tolist() == pytest.approx([1 / (1 + math.e), math.e / (1 + math.e), 0.0, 0.0])
    assert found[1].tolist() == [0.0] * 4
    cold = attention(torch.tensor([[9.0, 8.0, -1.0]], requires_grad=True), temperature=0.03)
    assert cold[0].tolist() == pytest.approx([1.0, 0.0, 0.0], abs=1e-9)  # exp(9 / 0.03) alone would overflow


def test_setrank_starts_where_its_loss_has_a_slope() -> None:
    """Logits at or below 0 get no gradient. All of SetRank's begin above; from a bias of 0 this draw never learns."""
    batch = batch_of(30, past=False)
    model = tiny_lists.reranker("setrank", texts=False)
    assert (model(batch) > 0).all()
    bias = model.get_parameter("body.head.4.bias")
    for start, slope in ((1.0, True), (0.0, False)):
        model.zero_grad()
        nn.init.constant_(bias, start)
        model.loss(model(batch), batch.labels).backward()
        assert bool(model.tokens.item.weight.grad.any()) == slope  # type: ignore[union-attr]


def test_losses_by_hand() -> None:
    zeros = torch.zeros(1, 4)
    labels = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    assert float(pointwise_loss(zeros, labels)) == pytest.approx(math.log(2))
    assert float(list_softmax_loss(zeros, labels)) == pytest.approx(math.log(4))
    two = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    scores = torch.tensor([[math.log(3), 0.0, 0.0, 0.0]])  # softmax 1/2 1/6 1/6 1/6
    assert float(list_softmax_loss(scores, two)) == pytest.approx((math.log(2) + math.log(6)) / 2)
    # Attention of the scores 1, 1 is ½ ½ 0 0; of the labels 1 0 0 0. Cross-entropy ln 2 twice, over four candidates.
    assert float(attention_loss(torch.tensor([[1.0, 1.0, 0.0, 0.0]]), labels)) == pytest.approx(math.log(2) / 2)


def test_a_list_without_positives_says_nothing_to_a_list_loss() -> None:
    scores = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    labels = torch.tensor([[0.0, 0, 0, 0], [1, 0, 0, 1], [0, 0, 0, 0]])
    loss = list_softmax_loss(scores, labels)
    assert loss.item() == pytest.approx(list_softmax_loss(scores[1:2], labels[1:2]).item())
    loss.backward()
    assert scores.grad is not None and not scores.grad[[0, 2]].any() and scores.grad[1].any()
    assert list_softmax_loss(scores, torch.zeros(3, 4)).item() == 0.0


def test_the_papers_dlcm_by_a_loop() -> None:
    """First a ranking; then the GRU from the lowest to the highest; then each output against the last state."""
    torch.manual_seed(0)
    body, x = DLCMPaper(6), torch.randn(4, 10, 6)
    for scores, tokens in zip(body(x), x, strict=True):
        first = body.first(tokens)[:, 0]
        order = sorted(range(10), key=lambda i: float(first[i]))
        states, final = body.gru(tokens[order][None])
        queries = body.query(final[0, 0]).tanh().view(3, 64)
        refined = {
            i: float(body.heads.weight[0] @ (queries @ state)) for i, state in zip(order, states[0], strict=True)
        }
        assert scores.tolist() == pytest.approx([float(first[i]) + refined[i] for i in range(10)], abs=1e-5)


def test_the_papers_prm_has_whole_blocks() -> None:
    """Attention (4 · 64² + 4 · 64), FFN 128 and two norms in each block: 33,472 parameters; dropout in training."""
    body = PRMPaper(7, dropout=0.1)
    assert size(body.blocks) == 2 * (4 * 64 * 65 + 64 * 128 + 128 + 128 * 64 + 64 + 4 * 64)
    x = torch.randn(2, 10, 7)
    assert not torch.equal(body(x), body(x))
    body.eval()
    assert torch.equal(body(x), body(x))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(InputError, match=r"ranker\.name=drm .* dlcm, prm, setrank"):
        tiny_lists.reranker("drm", texts=False)
