"""The slate head beside a bare product and top-k, and ordered slates beside the obvious way to draw and to score them.

    OMP_NUM_THREADS=1 python benchmarks/slate_head.py [rounds]

Of 64 dialogues with eight mentioned items each. *Acting*: query, logits, directed counts, masks, one draw of five;
*greedy* takes the best five, as the bare way does; *counts* are the directed ones alone, a hundred items a feature.
*Training*: logits with a gradient; *step*: forward and backward, against those of a bare product that trains as many
item vectors. All ways have one distribution, so only time differs; CPU seconds.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from racing import race
from tacit.catalog import Catalog
from tacit.dialogue.policy.associations import Associations
from tacit.dialogue.policy.directed import DirectedCounts, DirectedTerm
from tacit.dialogue.policy.plackett_luce import NEG, draw_slates, slate_logprobs
from tacit.dialogue.policy.slate import SlateHead, mask_rows_
from tacit.types import Dialogue, Item, Turn

BATCH, PLACES, DIM, WIDTH, NEIGHBOURS = 64, 5, 384, 192, 100


def head(n: int) -> SlateHead:
    near = torch.randint(n, (n, NEIGHBOURS), dtype=torch.int32)
    known = Associations(torch.arange(n), near, torch.rand(n, NEIGHBOURS))
    made = SlateHead(torch.nn.functional.normalize(torch.randn(n, DIM), dim=-1), np.zeros(n), known, WIDTH)
    torch.nn.init.normal_(made.item_residual.weight, std=0.02)
    return made


def term(n: int) -> DirectedTerm:
    catalog = Catalog([Item(str(i), f"Film {i}", "") for i in range(n)])
    items = np.sort(np.random.default_rng(0).integers(n, size=(n, NEIGHBOURS)), axis=1).ravel()
    starts = np.arange(0, n * NEIGHBOURS + 1, NEIGHBOURS)
    counts = sparse.csr_matrix((np.ones(len(items), np.float32), items, starts), shape=(n, n))
    features = tuple(f"item {i}" for i in range(n))
    return DirectedTerm(DirectedCounts(catalog, features, counts, np.full(n, NEIGHBOURS, np.float32)))


def draw_one_by_one(logits: Tensor, generator: torch.Generator) -> Tensor:
    places = []
    for _ in range(PLACES):
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


def main(rounds: int, n: int) -> None:
    torch.manual_seed(0)
    dice, ours = torch.Generator().manual_seed(0), head(n)
    window, state = torch.randn(BATCH, DIM), torch.randn(BATCH, WIDTH)
    mentioned, directed = torch.randint(n, (BATCH, 8)), term(n)
    said = [Dialogue("d", "u", (Turn("user", "these", tuple(map(str, row))),)) for row in mentioned.tolist()]
    scratch = torch.zeros(BATCH, n)
    vectors, query, slope = ours.item_vectors().detach(), torch.randn(BATCH, DIM), torch.randn(BATCH, n)
    bare_vectors, bare_query = vectors.clone().requires_grad_(), query.clone().requires_grad_()

    @torch.no_grad()
    def logits() -> Tensor:
        return mask_rows_(directed.add_(ours(window, state, mentioned), said), mentioned)

    @torch.no_grad()
    def counts() -> Tensor:
        return directed.add_(scratch, said)

    def step() -> None:
        ours.zero_grad()
        ours(window, state, mentioned).backward(slope)

    def bare_step() -> None:
        bare_vectors.grad = None
        (bare_query @ bare_vectors.T).backward(slope)

    drawn_from = logits()
    slates = draw_slates(drawn_from, PLACES, dice)
    torch.testing.assert_close(slate_logprobs(drawn_from, slates), score_one_by_one(drawn_from, slates))
    times = race(
        {
            "bare": lambda: (query @ vectors.T).topk(PLACES),
            "acting": lambda: draw_slates(logits(), PLACES, dice),
            "greedy": lambda: draw_slates(logits(), PLACES, None),
            "counts": counts,
            "training": lambda: ours(window, state, mentioned),
            "bare step": bare_step,
            "step": step,
            "draw": lambda: draw_slates(drawn_from, PLACES, dice),
            "draw one by one": lambda: draw_one_by_one(drawn_from, dice),
            "score": lambda: slate_logprobs(drawn_from, slates),
            "score one by one": lambda: score_one_by_one(drawn_from, slates),
        },
        rounds,
    )
    beside = {"step": "bare step", "draw": "draw one by one", "score": "score one by one"}
    for name, seconds in times.items():
        other = beside.get(name, "bare")
        print(f"{n:7d} items  {name:18s} {1000 * seconds:8.1f} ms   {seconds / times[other]:5.2f} x {other}")


if __name__ == "__main__":
    for size in (10_000, 100_000):
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 9, size)
