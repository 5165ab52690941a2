"""The slate head beside its slow twin: the same logits, gradients and draws, never from vectors of earlier weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import slow_slates
import torch
from torch import Tensor

from tacit.dialogue.policy import slate
from tacit.dialogue.policy.associations import Associations
from tacit.dialogue.policy.plackett_luce import NEG, draw_slates, slate_logprobs
from tacit.dialogue.policy.slate import SlateHead, mask_rows, mask_rows_

N, DIM, WIDTH, KEEP = 700, 8, 6, 5


def head(history: int = N, seed: int = 0, n: int = N) -> SlateHead:
    """Every weight drawn, every third place of the neighbour tables empty; the known items are spread out."""
    dice = torch.Generator().manual_seed(seed)
    rows = torch.randperm(n, generator=dice)[:history].sort().values
    items = torch.randint(n, (history, KEEP), generator=dice, dtype=torch.int32)
    weights = torch.rand(history, KEEP, generator=dice)
    weights[:, ::3] = 0.0
    made = SlateHead(
        torch.randn(n, DIM, generator=dice) / 3, torch.zeros(n).numpy(), Associations(rows, items, weights), WIDTH
    )
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=dice) / 5)
    return made


def asked(seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Windows, states and mentions of four dialogues: none, one, three, and one item twice."""
    dice = torch.Generator().manual_seed(seed)
    mentioned = torch.tensor([[-1, -1, -1], [3, -1, -1], [699, 0, 250], [17, 17, -1]])
    return torch.randn(4, DIM, generator=dice), torch.randn(4, WIDTH, generator=dice), mentioned


@pytest.mark.parametrize("history", [N, 300, 1, 0])
def test_logits_and_gradients_are_those_of_the_slow_twin(history: int) -> None:
    made = head(history)
    weights = [p for p in made.parameters() if p.numel()]
    expected = slow_slates.logits(made, *asked())
    trained = made(*asked())
    torch.testing.assert_close(trained, expected, atol=1e-4, rtol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(made(*asked()), expected, atol=1e-4, rtol=1e-5)
        torch.testing.assert_close(made.neighbours(asked()[2]), slow_slates.neighbours(made, asked()[2]))
    slope = torch.randn(4, N, generator=torch.Generator().manual_seed(2))
    ours = torch.autograd.grad((trained * slope).sum(), weights)
    theirs = torch.autograd.grad((expected * slope).sum(), weights, allow_unused=True)
    for mine, its in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, its, atol=1e-3, rtol=1e-4)


def test_half_precision_texts_give_the_logits_of_their_rounded_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slate, "HALF_FROM", N)
    monkeypatch.setattr(slate, "_PIECE", 256)
    made = head(40)
    assert made.item_text.dtype == torch.float16
    expected, trained = slow_slates.logits(made, *asked()), made(*asked())
    torch.testing.assert_close(trained, expected, atol=1e-4, rtol=1e-5)
    with torch.no_grad():
        assert torch.equal(made(*asked()), trained)  # one way for both: no vectors are kept
        assert made._folded is None
    names = ["from_lm.weight", "item_residual.weight", "item_projection.weight"]
    parts = [made.get_parameter(name) for name in names]
    for mine, its in zip(*(torch.autograd.grad(x.square().sum(), parts) for x in (trained, expected)), strict=True):
        torch.testing.assert_close(mine, its, atol=1e-2, rtol=1e-4)
    wider = made.extended(torch.ones(2, DIM), bias=-1.0)
    assert wider.item_text.dtype == torch.float16 and wider.item_text[-1].tolist() == [1.0] * DIM


def step(kind: Callable[..., torch.optim.Optimizer], **settings: object) -> Callable[[SlateHead], object]:
    def act(made: SlateHead) -> object:
        optimizer = kind(made.parameters(), lr=0.1, **settings)
        made(*asked()).square().sum().backward()
        return optimizer.step()

    return act


def replace_weight(made: SlateHead) -> None:
    made.item_projection.weight = torch.nn.Parameter(made.item_projection.weight.detach() + 1.0)


def replace_data(made: SlateHead) -> None:
    """As ``Module.to`` does."""
    made.item_residual.weight.data = made.item_residual.weight.data + 1.0


@torch.no_grad()
def write_into(made: SlateHead) -> None:
    made.item_residual.weight[-1] += 1.0


@pytest.mark.parametrize(
    "change",
    [
        step(torch.optim.SGD),
        step(torch.optim.AdamW, foreach=False),
        step(torch.optim.AdamW, foreach=True),
        step(torch.optim.AdamW, fused=True),
        replace_weight,
        replace_data,
        write_into,
        lambda made: made.load_state_dict(head(300, seed=9).state_dict()),
        lambda made: made.double().float().to(torch.float64).float(),
        lambda made: made.item_text.mul_(2.0),
    ],
    ids=["sgd", "adam", "adam-foreach", "adam-fused", "new-weight", "new-data", "written", "loaded", "moved", "text"],
)
def test_kept_item_vectors_are_never_stale(change: Callable[[SlateHead], object]) -> None:
    made = head(300)
    with torch.no_grad():
        before = made(*asked())
        assert made.folded() is made.folded()
        copied = copy.deepcopy(made)
        assert copied._folded is None
    change(made)
    with torch.no_grad():
        torch.testing.assert_close(made(*asked()), slow_slates.logits(made, *asked()), atol=1e-3, rtol=1e-4)
        assert torch.equal(copied(*asked()), before)


def test_new_items_do_not_meet_the_vectors_of_the_old_ones() -> None:
    made = head(300)
    with torch.no_grad():
        made(*asked())
        wider = made.extended(torch.ones(1, DIM), bias=0.5)
        torch.testing.assert_close(wider(*asked()), slow_slates.logits(wider, *asked()), atol=1e-4, rtol=1e-5)
        torch.testing.assert_close(wider(*asked())[:, :-1], made(*asked()))


def test_a_head_onto_other_items_keeps_what_it_knows_and_has_the_text_of_the_rest() -> None:
    """Of three items b (row 1) comes along and goes second; a, its neighbour, does not, c does not either."""
    near = torch.tensor([[1, 2], [0, 2], [1, 0]], dtype=torch.int32)
    made = SlateHead(torch.eye(3), torch.zeros(3).numpy(), Associations(torch.arange(3), near, torch.ones(3, 2)), 2)
    with torch.no_grad():
        made.item_residual.weight[1] = torch.tensor([0.0, 0.5, 0.0])
        made.item_bias.copy_(torch.tensor([1.0, 2.0, 3.0]))
        there = made.onto(torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]), torch.tensor([-1, 1]), bias=-1.0)
        assert there.item_bias.tolist() == [-1.0, 2.0]
        assert there.item_vectors().tolist() == [[0.0, 0.0, 1.0], [0.0, 1.5, 0.0]]  # text alone; text and residual
        assert not there.neighbours(torch.tensor([[0, 1]])).any()  # b's neighbours are not here
        window = torch.tensor([[0.0, 1.0, 0.0]])  # scale 10: 10 · 0 − 1, and 10 · 1.5 + 2
        assert there(window, torch.zeros(1, 2), torch.tensor([[-1]])).tolist() == [[-1.0, 17.0]]
        pair = made.onto(torch.eye(3)[[2, 1]], torch.tensor([2, 1]), bias=0.0)
        assert pair.neighbours(torch.tensor([[0]])).tolist() == [[0.0, 1.0]]  # c's neighbour b, which now is second


def test_a_head_onto_its_own_items_is_itself() -> None:
    made = head(300)
    with torch.no_grad():
        there = made.onto(made.item_text, torch.arange(N), bias=9.0)
        torch.testing.assert_close(there(*asked()), made(*asked()))


def test_a_head_of_an_earlier_version_gives_its_logits() -> None:
    """Which had a residual and int64 neighbours for every item, and no ``history``."""
    made = head(N)
    state = {name: tensor for name, tensor in made.state_dict().items() if name != "history"}
    state["near_items"] = state["near_items"].long()
    loaded = SlateHead.empty(N, DIM, {"near": KEEP}, WIDTH)
    loaded.load_state_dict(state)
    with torch.no_grad():
        assert torch.equal(loaded(*asked()), made(*asked()))


def test_masking_in_place_and_beside() -> None:
    logits, rows = torch.zeros(2, 3), torch.tensor([[1, -1], [-1, 2]])
    expected = [[0.0, NEG, 0.0], [0.0, 0.0, NEG]]
    assert mask_rows(logits, rows).tolist() == expected and not logits.any()
    assert mask_rows_(logits, rows).tolist() == expected and logits.tolist() == expected


@pytest.mark.parametrize("n", [3, 256, 257, 1000])
def test_draws_are_those_of_the_whole_distribution_function(n: int) -> None:
    """With the same uniforms, at sizes around a block's, masked items and flat and peaked rows among them."""
    dice = torch.Generator().manual_seed(n)
    scores = torch.randn(500, n, generator=dice) * torch.linspace(0, 8, 500).unsqueeze(1)
    scores[:, 1::7] = NEG
    ours = draw_slates(scores.clone(), 2, torch.Generator().manual_seed(1))
    assert torch.equal(ours, slow_slates.draw_slates(scores, 2, torch.Generator().manual_seed(1)))
    assert not bool((ours % 7 == 1).any())


@pytest.mark.parametrize("n", [4096, 4500])
def test_the_best_are_found_in_files(n: int) -> None:
    """With the best in one file, behind the last whole round of files, and where only two are not out."""
    scores = torch.randn(20, n, generator=torch.Generator().manual_seed(n))
    scores[0, [7, 7 + 3 * 512]] = torch.tensor([10.0, 11.0])
    scores[1, -2:] = torch.tensor([9.0, 8.0])
    scores[2, :] = NEG
    scores[2, [3, 5]] = torch.tensor([-1.0, -2.0])
    best = draw_slates(scores, 2, None)
    assert best[:3].tolist() == [[7 + 3 * 512, 7], [n - 2, n - 1], [3, 5]]
    torch.testing.assert_close(scores.gather(1, best), scores.topk(2).values)


def test_ordered_pairs_are_drawn_as_often_as_their_probabilities_say() -> None:
    """All 12 ordered pairs of weights 1, 2, 3, 4 spread over two blocks; six standard errors of 40,000 draws."""
    scores = torch.full((1, 300), NEG)
    places = [0, 100, 256, 299]
    scores[0, places] = torch.tensor([1.0, 2.0, 3.0, 4.0]).log()
    drawn = draw_slates(scores.expand(40_000, -1), 2, torch.Generator().manual_seed(3))
    for i, first in enumerate(places):
        for j, second in enumerate(places):
            p = 0.0 if i == j else (i + 1) / 10 * (j + 1) / (10 - (i + 1))
            share = float(((drawn[:, 0] == first) & (drawn[:, 1] == second)).double().mean())
            assert abs(share - p) <= 6 * math.sqrt(p * (1 - p) / 40_000)


def test_a_slate_whose_first_item_has_all_the_mass_goes_on() -> None:
    """Steps of 200 nats: float32 holds only the first probability, and each later place needs its own scale."""
    scores = torch.tensor([[0.0, 600.0, 200.0, 400.0]])
    assert draw_slates(scores, 4, torch.Generator()).tolist() == [[1, 3, 2, 0]]
    torch.testing.assert_close(slate_logprobs(scores, torch.tensor([[1, 3, 2, 0]])), torch.zeros(1, 4))


def test_log_probabilities_and_gradients_of_slates_are_those_of_the_slow_twin() -> None:
    dice = torch.Generator().manual_seed(0)
    scores = (3 * torch.randn(6, 40, generator=dice)).requires_grad_(True)
    kept, slates = scores.detach().clone(), draw_slates(scores.detach(), 5, dice)
    ours, theirs = slate_logprobs(scores, slates), slow_slates.slate_logprobs(scores, slates)
    torch.testing.assert_close(ours, theirs)
    assert torch.equal(scores.detach(), kept)
    slope = torch.randn(ours.shape, generator=dice)
    mine, its = (torch.autograd.grad((x * slope).sum(), scores)[0] for x in (ours, theirs))
    torch.testing.assert_close(mine, its)
