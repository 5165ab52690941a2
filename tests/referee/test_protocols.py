"""Names of protocols, and candidates that are the same for every system."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.catalog import Catalog
from tacit.referee.protocols import NAMES, Protocol, named
from tacit.referee.ranks import draw_negatives, rank_full, rank_sampled
from tacit.types import InputError, Item


@dataclass(frozen=True)
class Case:
    gold: int
    mentioned: tuple[int, ...] = ()
    place: str = "d:1"


def catalog(n: int, counts: list[int] | None = None) -> Catalog:
    return Catalog([Item(f"i{k:04}", f"Film {k}", "") for k in range(n)], counts)


def test_every_name_is_a_protocol() -> None:
    assert [named(name).name for name in NAMES] == list(NAMES)
    assert named("standard") == Protocol("standard")
    assert named("popularity-999-masked") == Protocol("popularity-999-masked", 999, "popularity", "mentioned")
    assert named("uniform-99").candidates(6924) == "1 + 99 uniform"
    assert named("popularity-99").candidates(40) == "1 + 39 by popularity"
    assert named("full").candidates(6924) == "full catalogue 6\u202f924"


@pytest.mark.parametrize(
    "name", ["", "fulll", "uniform", "uniform-0", "uniform-1e3", "uniform-999999999", "sampled-9-masked"]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="choose of standard, full"):
        named(name)


def test_what_each_protocol_masks() -> None:
    masked = {name: (named(name).masked("all"), named(name).masked("new")) for name in NAMES}
    assert masked["standard"] == masked["sampled-99"] == (False, True)
    assert masked["full"] == masked["uniform-99"] == masked["popularity-99"] == (False, False)
    assert masked["full-masked"] == masked["uniform-99-masked"] == masked["popularity-99-masked"] == (True, True)


@pytest.mark.parametrize("drawn", ["uniform", "popularity"])
def test_a_draw_is_the_case_s_own_whatever_the_order_of_files(drawn: str) -> None:
    """Another order of contexts, and of the catalogue, gives the same items to the same case."""
    counts = list(range(60))
    one = catalog(60, counts)
    back = Catalog(one.items[::-1], counts[::-1])
    cases = [Case(gold, place=f"d:{gold}") for gold in range(20)]
    mirrored = [Case(59 - case.gold, place=case.place) for case in cases[::-1]]
    first = draw_negatives(cases, one, 9, 1, drawn)  # type: ignore[arg-type]
    second = draw_negatives(mirrored, back, 9, 1, drawn)[::-1]  # type: ignore[arg-type]
    for mine, yours in zip(first.tolist(), second.tolist(), strict=True):
        assert sorted(one.items[row].id for row in mine) == sorted(back.items[row].id for row in yours)
    assert all(case.gold not in row and len(set(row)) == 9 for case, row in zip(cases, first.tolist(), strict=True))


def test_negatives_by_popularity_follow_the_counts() -> None:
    """One item is drawn of counts 1, 2, 7 and none: shares .1, .2, .7, 0; what nobody named comes last of all."""
    few = catalog(5, [0, 1, 2, 7, 0])
    cases = [Case(0, place=f"d:{n}") for n in range(4000)]
    drawn = draw_negatives(cases, few, 1, 0, "popularity")[:, 0]
    assert np.bincount(drawn, minlength=5) / 4000 == pytest.approx([0, 0.1, 0.2, 0.7, 0], abs=0.025)
    assert draw_negatives(cases[:50], few, 4, 0, "popularity")[:, 3].tolist() == [4] * 50


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(["uniform", "popularity"]))
def test_all_others_as_negatives_are_the_full_catalogue(seed: int, drawn: str) -> None:
    generator = np.random.default_rng(seed)
    items = catalog(20, generator.integers(0, 5, 20).tolist())
    groups = [[Case(gold, tuple(generator.integers(0, 20, 4).tolist()), f"d:{gold}")] for gold in range(20)]
    scores = generator.integers(0, 6, (20, 20)).astype(float)
    negatives = draw_negatives([group[0] for group in groups], items, 99, seed, drawn)  # type: ignore[arg-type]
    sampled, full = rank_sampled(scores, groups, negatives), rank_full(scores, groups)
    assert sampled.full.tolist() == full.full.tolist()
    assert sampled.masked.tolist() == full.masked.tolist() != full.full.tolist()


def test_sampled_ranks_tend_to_the_full_ones() -> None:
    """E[rank among 1 + m] = 1 + m (r − 1) / (N − 1): 1 + 99 · 200 / 499 = 40.68 at r = 201 of 500."""
    items, scores = catalog(500), -np.arange(500.0)
    cases = [Case(200, place=f"d:{n}") for n in range(1500)]
    negatives = draw_negatives(cases, items, 99, 0)
    ranks = rank_sampled(np.broadcast_to(scores, (1500, 500)), [[case] for case in cases], negatives).full
    assert ranks.mean() == pytest.approx(1 + 99 * 200 / 499, abs=0.5)
