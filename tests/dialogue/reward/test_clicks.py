"""Which items are clicked: the appeal of a slate by hand, and what is learnt where the truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tacit.dialogue.reward.clicks import MIN_CLICKS, ClickModel, fold_of, unseen_appeal
from tacit.dialogue.reward.features import CARD_FACTS, CARDS
from tacit.types import Floats64

TASTE, POPULARITY = CARD_FACTS.index("taste"), CARD_FACTS.index("popularity")


def slates(*rows: list[float], fact: int = TASTE) -> torch.Tensor:
    """Cards whose one fact is given, place by place; all others are 0."""
    cards = torch.full((len(rows), CARDS, len(CARD_FACTS)), torch.nan)
    for turn, values in enumerate(rows):
        cards[turn, : len(values)] = 0.0
        cards[turn, : len(values), fact] = torch.tensor(values)
    return cards


def test_the_appeal_of_two_cards_by_hand() -> None:
    """Log-odds 0 and ln 3: chances ½ and ¾; the second place counts 1 / log2(3)."""
    second = 1 / math.log2(3)
    appeal = ClickModel().appeal(slates([0.0, math.log(3)], [math.log(3)], []))
    assert appeal.tolist() == pytest.approx([(0.5 + second * 0.75) / (1 + second), 0.75, 0.0])


def test_before_any_click_what_is_like_the_named_items_appeals() -> None:
    model = ClickModel()
    near, far = model.appeal(slates([0.9], [0.1])).tolist()
    assert near > far
    assert model.appeal(slates([3.0], [-3.0], fact=POPULARITY)).tolist() == [0.5, 0.5]


def world(turns: int, seed: int) -> tuple[Floats64, Floats64]:
    """Five cards a turn. Popular ones stand first; a click follows taste and place, and popularity not at all."""
    dice = np.random.default_rng(seed)
    cards = np.full((turns, CARDS, len(CARD_FACTS)), np.nan)
    cards[:, :5] = dice.normal(size=(turns, 5, len(CARD_FACTS)))
    cards[:, :5, POPULARITY] = -np.sort(-cards[:, :5, POPULARITY], axis=1)
    odds = 1.5 * cards[:, :5, TASTE] - 1.0 * np.arange(5)
    clicked = np.full((turns, CARDS), np.nan)
    clicked[:, :5] = dice.random((turns, 5)) < 1 / (1 + np.exp(-odds))
    return cards, clicked


def test_what_is_learnt_is_the_item_and_not_its_place() -> None:
    cards, clicked = world(2000, 0)
    model = ClickModel().fit(cards, clicked)
    own = (model.weight / model.spread).tolist()
    assert own[TASTE] == pytest.approx(1.5, abs=0.15) and own[POPULARITY] == pytest.approx(0.0, abs=0.15)
    assert float(model.bias - (model.weight * model.mean / model.spread).sum()) == pytest.approx(0.0, abs=0.15)
    seen = np.isfinite(clicked)
    naive = np.corrcoef(cards[..., POPULARITY][seen], clicked[seen])[0, 1]
    assert naive > 0.2, "counting clicks alone would take popularity for a merit"


def test_too_few_clicks_teach_nothing() -> None:
    cards, clicked = world(200, 1)
    rare = np.where(np.cumsum(np.nan_to_num(clicked).ravel()).reshape(clicked.shape) < MIN_CLICKS, clicked, np.nan)
    model, fresh = ClickModel().fit(cards, rare), ClickModel()
    for name, value in model.state_dict().items():
        assert torch.equal(value, fresh.state_dict()[name]), name


def test_clicks_that_were_not_observed_are_not_read_as_none() -> None:
    cards, clicked = world(600, 2)
    half = clicked.copy()
    half[300:] = np.nan
    whole, part = ClickModel().fit(cards[:300], clicked[:300]), ClickModel().fit(cards, half)
    torch.testing.assert_close(part.weight, whole.weight)


def test_a_dialogues_own_clicks_do_not_tell_its_appeal() -> None:
    cards, clicked = world(400, 3)
    ids = [f"d{turn // 4}" for turn in range(400)]
    other = clicked.copy()
    mine = np.array([fold_of(name) == fold_of("d7") for name in ids])
    other[mine] = 1.0 - other[mine]
    tensor = torch.tensor(cards, dtype=torch.float32)
    before, after = unseen_appeal(tensor, clicked, ids), unseen_appeal(tensor, other, ids)
    assert torch.equal(before[torch.tensor(mine)], after[torch.tensor(mine)])
    assert not torch.allclose(before[torch.tensor(~mine)], after[torch.tensor(~mine)])
