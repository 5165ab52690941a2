"""Few weights over a head: where they start, what they add, and a policy that holds them."""

from __future__ import annotations

import math

import torch
from ppo_fakes import catalog, tiny_policy

from tacit.dialogue.policy.slate import mask_rows
from tacit.dialogue.train.outcomes.recalibration import ItemOdds, Read, Recalibration
from tacit.types import Dialogue, Judgement, Turn

CONTEXTS = [
    Dialogue("a", "u", (Turn("user", "a film please, nothing with a lake"),)),
    Dialogue("b", "u", (Turn("user", "I love it", mentions=("i3", "i4")), Turn("agent", "good"), Turn("user", "more"))),
]


def judged(id: str, item: str, liked: bool | None, seen: bool | None) -> Dialogue:
    return Dialogue(id, "u", (), {item: Judgement(True, seen, liked)})


def odds() -> ItemOdds:
    generator = torch.Generator().manual_seed(3)
    return ItemOdds(torch.randn(12, generator=generator), torch.randn(12, generator=generator))


def test_odds_by_hand() -> None:
    """Liked: 3 of 4 answers, so the mean is (3 + 1) / (4 + 2) = 2/3. Item 0 (2 of 2): (2 + 2/3) / (0 + 1/3) = 8,
    against odds of 2: log 4. Item 1 (1 of 2): (1 + 2/3) / (1 + 1/3) = 1.25: log .625. An item without an answer: 0."""
    forms = [judged("a", "i0", True, None), judged("b", "i0", True, None)]
    forms += [judged("c", "i1", True, None), judged("d", "i1", False, None)]
    counted = ItemOdds.counted(forms, catalog(), shrink=1.0)
    torch.testing.assert_close(counted.liked[:3], torch.tensor([math.log(4.0), math.log(0.625), 0.0]))
    assert not counted.seen.any(), "nobody said what was seen"


def test_at_the_start_the_logits_are_the_policys_own() -> None:
    policy = tiny_policy().eval()
    read, weights = Read.of(policy, CONTEXTS), Recalibration(policy.head, odds())
    rows = torch.tensor([1, 0])
    own = policy.slate_logits([CONTEXTS[1], CONTEXTS[0]])
    torch.testing.assert_close(weights.logits(read, rows, masked=False), own, atol=1e-3, rtol=1e-3)
    masked = mask_rows(own, policy.mentioned([CONTEXTS[1], CONTEXTS[0]]))
    torch.testing.assert_close(weights.logits(read, rows), masked, atol=1e-3, rtol=1e-3)


def test_folded_into_the_head_they_make_the_same_policy() -> None:
    policy = tiny_policy().eval()
    policy.head.item_bias.data.copy_(torch.linspace(-1, 1, 12))
    read, weights = Read.of(policy, CONTEXTS), Recalibration(policy.head, odds())
    weights.set({"content": 1.5, "bias": 0.5, "near": 2.0, "liked": 0.7, "seen": -0.3})
    wanted = weights.logits(read, torch.arange(2), masked=False)
    weights.fold(policy.head)
    torch.testing.assert_close(policy.slate_logits(CONTEXTS), wanted, atol=1e-3, rtol=1e-3)
