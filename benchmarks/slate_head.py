"""Ordered slates over a full catalogue, beside the obvious way to draw and to score them.

    OMP_NUM_THREADS=1 python benchmarks/slate_head.py

Drawing: Gumbel noise and one top-k, against K multinomial draws with the drawn item taken out each time.
Scoring: the catalogue summed once, against K full softmaxes. Both ways have one distribution, so only time differs.
Each time is the median of the rounds; the two ways take turns within a round.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from tacit.dialogue.policy.plackett_luce import NEG, draw_slates, slate_logprobs

BATCH, ITEMS, PLACES, ROUNDS = 64, 6924, 5, 15


def draw_one_by_one(logits: Tensor, size: int, generator: torch.Generator) -> Tensor:
    places = []
    for _ in range(size):
        item = torch.multinomial(torch.softmax(logits, dim=-1), 1, generator=generator)
        logits = logits.scatter(1, item, NEG)
        places.append(item)
    return torch.cat(places, dim=1)


def score_one_by_one(logits: Tensor, slates: Tensor) -> Tensor:
    places = []
    for k in range(slates.shape[1]):
        item = slates[:, k : k + 1]
        places.append(torch.log_softmax(logits, dim=-1).gather(1, item))
        logits = logits.scatter(1, item, NEG)
    return torch.cat(places, dim=1)


def with_gradient(score: Callable[[Tensor, Tensor], Tensor], logits: Tensor, slates: Tensor) -> None:
    leaf = logits.clone().requires_grad_(True)
    score(leaf, slates).sum().backward()


def milliseconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - start)


def main() -> None:
    dice = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(BATCH, ITEMS, generator=dice)
    slates = draw_slates(logits, PLACES, dice)
    torch.testing.assert_close(slate_logprobs(logits, slates), score_one_by_one(logits, slates))
    pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "draw": (lambda: draw_slates(logits, PLACES, dice), lambda: draw_one_by_one(logits, PLACES, dice)),
        "score": (lambda: slate_logprobs(logits, slates), lambda: score_one_by_one(logits, slates)),
        "score, with gradient": (
            lambda: with_gradient(slate_logprobs, logits, slates),
            lambda: with_gradient(score_one_by_one, logits, slates),
        ),
    }
    print(f"{BATCH} slates of {PLACES} out of {ITEMS} items, ms")
    for name, ways in pairs.items():
        times = [[milliseconds(way) for way in ways] for _ in range(ROUNDS)]
        ours, other = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"{name:22s} {ours:8.1f}   obvious way {other:8.1f}   ratio {other / ours:5.2f}")


if __name__ == "__main__":
    main()
