"""Pairs, their controls, and the test for noise, on groups small enough to read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tacit.rerank.align import pairs as list_pairs
from tacit.rerank.align.pairs import Pair
from tacit.types import Dialogue, Group, InputError, Sample, Scored, Turn


def option(text: str, ndcg: float, user: str = "u", lists: int = 6, **channels: float) -> Scored:
    """A scored text; channels that are not given follow the NDCG."""
    values = {"ndcg": ndcg, "map": ndcg, "fit": ndcg, "even": ndcg, "odd": ndcg, "lists": float(lists), **channels}
    context = Dialogue(user, user, (Turn("user", f"prompt of {user}"),))
    return Scored(context, Sample((), (), (), (), text), ndcg, "ranker", values)


def group(*options: Scored) -> Group:
    return Group(options)


def noise(users: int, seed: int, shared: float) -> list[Group]:
    """Ten texts a user whose two halves share ``shared`` of their variance."""
    draw = np.random.default_rng(seed)
    groups = []
    for u in range(users):
        common, even, odd = draw.normal(size=(3, 10))
        own = [shared**0.5 * common + (1 - shared) ** 0.5 * half for half in (even, odd)]
        texts = [option(f"{i}", (a + b) / 2, f"{u}", even=a, odd=b) for i, (a, b) in enumerate(zip(*own, strict=True))]
        groups.append(group(*texts))
    return groups


def test_best_against_worst() -> None:
    (pair,) = list_pairs.best_worst([group(option("mid", 0.5), option("best", 0.75), option("worst", 0.25))])
    assert pair == Pair("u", "prompt of u", "best", "worst", 0.5, 6)


def test_a_tie_is_broken_by_map_then_by_the_loss_and_else_dropped() -> None:
    by_map = group(option("a", 0.5, map=0.3), option("b", 0.5, map=0.4))
    by_fit = group(option("a", 0.5, fit=-0.2), option("b", 0.5, fit=-0.3))
    equal = group(option("a", 0.5), option("b", 0.5))
    found = list_pairs.best_worst([by_map, by_fit, equal])
    assert [(p.chosen, p.rejected, p.margin) for p in found] == [("b", "a", 0.0), ("a", "b", 0.0)]
    assert list_pairs.best_worst([by_map, by_fit], min_margin=1e-6) == []


def test_what_shares_the_top_did_not_lose() -> None:
    (pair,) = list_pairs.best_worst([group(option("a", 1.0), option("b", 1.0), option("c", 0.0))])
    assert pair.rejected == "c"


def test_few_lists_are_not_used() -> None:
    few = group(option("a", 1.0, lists=4), option("b", 0.0, lists=4))
    assert list_pairs.best_worst([few]) == []
    assert len(list_pairs.best_worst([few], min_lists=4)) == 1


def test_random_pairs_do_not_look_at_the_score() -> None:
    groups = noise(400, seed=0, shared=1.0)
    drawn = list_pairs.random_pairs(groups, seed=1)
    assert len(drawn) == 400 and all(p.chosen != p.rejected for p in drawn)
    assert 160 < sum(p.margin > 0 for p in drawn) < 240  # 200 ± 4 standard deviations
    assert drawn == list_pairs.random_pairs(groups, seed=1) != list_pairs.random_pairs(groups, seed=2)


def test_swapping_twice_changes_nothing() -> None:
    found = list_pairs.best_worst(noise(5, seed=0, shared=0.5))
    swapped = list_pairs.swapped(found)
    assert [(p.chosen, p.rejected, p.margin) for p in swapped] == [(p.rejected, p.chosen, -p.margin) for p in found]
    assert list_pairs.swapped(swapped) == found


def test_split_half_by_hand() -> None:
    """u: a is best and b worst on both halves, by 0.4 and 0.2. v: odd says c over d by 0.1, even the opposite by 0.3.

    Cases: +0.2, +0.4, -0.3, -0.1, so two of four agree and the mean margin is 0.05. w is all ties.
    """
    u = group(option("a", 1.0, "u", odd=0.9, even=0.7), option("b", 0.0, "u", odd=0.5, even=0.5))
    v = group(option("c", 1.0, "v", odd=0.6, even=0.2), option("d", 0.0, "v", odd=0.5, even=0.5))
    w = group(option("e", 0.5, "w"), option("f", 0.5, "w"))
    found = list_pairs.split_half([u, v, w], seed=0)
    assert found.rate.value == 0.5 and found.margin.value == pytest.approx(0.05)
    assert (found.users, found.tied) == (2, 1)


def test_split_half_by_likelihood_is_still_about_ndcg() -> None:
    """The likelihood says b over a on both halves, NDCG a over b, by 0.4 on the odd lists and 0.2 on the even ones."""
    a = option("a", 1.0, odd=0.9, even=0.7, likelihood_odd=-2.0, likelihood_even=-2.0)
    b = option("b", 0.0, odd=0.5, even=0.5, likelihood_odd=-1.0, likelihood_even=-1.0)
    found = list_pairs.split_half([group(a, b)], seed=0, reward="likelihood")
    assert found.rate.value == 0.0 and found.margin.value == pytest.approx(-0.3)


def test_the_score_decides_before_ndcg() -> None:
    """Scores by likelihood: b is better there, though NDCG prefers a."""
    a, b = option("a", 0.9), option("b", 0.5)
    (pair,) = list_pairs.best_worst([group(replace(a, score=-2.0), replace(b, score=-1.5))])
    assert (pair.chosen, pair.rejected) == ("b", "a") and pair.margin == pytest.approx(0.5)


def test_a_signal_passes_and_noise_is_refused() -> None:
    signal = list_pairs.split_half(noise(200, seed=0, shared=0.3), seed=0)
    assert signal.rate.low > 0.6 and signal.margin.low > 0
    list_pairs.require_signal(signal, force=False)
    noisy = list_pairs.split_half(noise(200, seed=0, shared=0.0), seed=0)
    assert noisy.rate.low < 0.5 < noisy.rate.high and noisy.margin.low < 0 < noisy.margin.high
    with pytest.raises(InputError, match=r"noise.*200 users.*align.force=true"):
        list_pairs.require_signal(noisy, force=False)
    list_pairs.require_signal(noisy, force=True)


def test_three_users_who_agree_are_no_signal() -> None:
    """Both halves of each agree, but three of three happens by luck once in four times."""
    few = list_pairs.split_half(noise(3, seed=0, shared=1.0), seed=0)
    assert few.rate.value == 1.0 and few.rate.ends is None
    with pytest.raises(InputError, match=r"100.0% of the cases \(95 % interval not told, 3 users"):
        list_pairs.require_signal(few, force=False)
    card = json.loads(json.dumps(few.as_json()), parse_constant=lambda name: pytest.fail(name))
    assert (card["rate"]["value"], card["rate"]["low"], card["rate"]["groups"], card["users"]) == (1.0, None, 3, 3)


def test_no_user_with_enough_lists_is_no_signal() -> None:
    nothing = list_pairs.split_half([group(option("a", 1.0, lists=1), option("b", 0.0, lists=1))], seed=0)
    assert nothing.users == 0
    with pytest.raises(InputError, match="noise"):
        list_pairs.require_signal(nothing, force=False)


def test_the_card_counts_everything_once() -> None:
    groups = [
        group(option("a b", 0.6, lists=6), option("c", 0.2, lists=6)),
        group(option("a b", 0.3, lists=60), option("c", 0.1, lists=60)),
        group(option("a", 0.5, lists=2), option("b", 0.1, lists=2)),
        group(option("a", 0.5), option("b", 0.5)),
    ]
    card = list_pairs.pair_card(groups, list_pairs.best_worst(groups))
    assert card["reward"] == pytest.approx(np.mean([o.score for group in groups for o in group.options]))
    assert (card["groups"], card["pairs"], card["few_lists"], card["no_pair"]) == (4, 2, 1, 1)
    assert card["margin"] == pytest.approx(0.3) and card["decided_by_score"] == 2
    margins = [card["margin_by_lists"][band] for band in ("0-9", "10-19", "20-49", "50+")]
    assert margins == [pytest.approx(0.4), None, None, pytest.approx(0.2)]
    assert (card["words_chosen"], card["words_rejected"]) == (2, 1)


def test_exports_can_be_read_by_their_readers(tmp_path: Path) -> None:
    found = [*list_pairs.best_worst(noise(3, seed=0, shared=1.0)), Pair("v", "zwei\nZeilen", "é;", "\u2028", 0.1, 7)]
    list_pairs.export_trl(found, tmp_path / "pairs.jsonl")
    assert list_pairs.read_pairs(tmp_path / "pairs.jsonl") == found
    (tmp_path / "dataset_info.json").write_text('{"other": {"file_name": "other.json"}}')
    list_pairs.export_llama_factory(found, tmp_path)
    info = json.loads((tmp_path / "dataset_info.json").read_text())
    assert set(info) == {"other", "tacit_pairs"} and info["tacit_pairs"]["ranking"] is True
    columns = info["tacit_pairs"]["columns"]
    rows = json.loads((tmp_path / info["tacit_pairs"]["file_name"]).read_text(encoding="utf-8"))
    wanted = [(p.prompt, "", p.chosen, p.rejected) for p in found]
    assert [tuple(row[columns[c]] for c in ("prompt", "query", "chosen", "rejected")) for row in rows] == wanted
