"""Whether people are served better: which versions are compared, the difference by person, and what the page says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import polars as pl
import pytest

from tacit.pipelines.loop import closing, closing_page
from tacit.pipelines.loop.closing import Compared, last_or_best
from tacit.pipelines.loop.place import Loop
from tacit.pipelines.loop.settings import LoopConfig


def gate(version: str, current: str = "v0", primary: str = "snRIPS", **gain: float | None) -> dict[str, Any]:
    return {
        "version": version,
        "current": current,
        "primary": primary,
        "gain": {name: [value, None, None] for name, value in gain.items()},
    }


def test_the_version_that_is_served_in_the_end_is_compared() -> None:
    gates = {"round-1": gate("v1", snRIPS=0.3), "round-2": gate("v2", snRIPS=0.1)}
    assert last_or_best(gates, "v0", "v2") == Compared("promoted", "round-2", "v2")


def test_where_none_was_promoted_it_is_the_candidate_the_log_speaks_best_of() -> None:
    """By the estimator that decides; what is the first version over again, or was not told, is none."""
    gates = {
        "round-1": gate("v0", snRIPS=0.9),
        "round-2": gate("v2", snRIPS=0.1, SNIPS=0.4),
        "round-3": gate("v3", snRIPS=0.2, SNIPS=0.3),
        "round-4": gate("v4", snRIPS=None),
    }
    assert last_or_best(gates, "v0", "v0") == Compared("not promoted", "round-3", "v3")
    by_snips = {name: {**one, "primary": "SNIPS"} for name, one in gates.items()}
    assert last_or_best(by_snips, "v0", "v0") == Compared("not promoted", "round-2", "v2")
    both = {name: {**one, "primary": "both"} for name, one in gates.items()}
    assert last_or_best(both, "v0", "v0") == Compared("not promoted", "round-3", "v3")
    assert last_or_best({"round-1": gate("v0", snRIPS=0.0)}, "v0", "v0") is None


def talks(folder: Path, version: str, felt: Mapping[str, tuple[float, str]]) -> None:
    """Of each person the hidden utility of its conversation and how it ended; two turns each."""
    rows = [
        {"dialogue": name, "hidden_total": hidden, "hidden_utility": hidden, "ended": ended if turn else None}
        for name, (hidden, ended) in felt.items()
        for turn in (0, 1)
    ]
    folder.mkdir(exist_ok=True)
    pl.DataFrame(rows, schema_overrides={"ended": pl.String}).write_parquet(folder / f"{version}.parquet")


def found(folder: Path, gains: Sequence[float], current: str = "v2") -> dict[str, Any]:
    """Eight people who feel 0.1 to 0.8 with the first version, and so much more with ``current``. What versions said is
    in place: it is not done again."""
    levels = [0.1 * k for k in range(1, 9)]
    first = {f"d{k}": (level, "left") for k, level in enumerate(levels)}
    later = {name: (first[name][0] + gain, "accepted") for name, gain in zip(first, gains, strict=True)}
    worst = {name: (level - 0.05, "cut") for name, (level, _) in first.items()}
    for version, felt in (("v0", first), ("v2", later), ("worst", worst)):
        talks(folder / "fresh", version, felt)
    gates = {"round-1": gate("v1", snRIPS=-0.1), "round-2": gate("v2", snRIPS=0.2)}
    loop = SimpleNamespace(folder=folder, config=LoopConfig(), current=current)
    return closing.serve_fresh(cast(Loop, loop), gates, "worst")


def test_gains_are_paired_by_person(tmp_path: Path) -> None:
    """People differ by .1 to .8, and each gains .1: the gain is told without doubt, the levels are not."""
    told = found(tmp_path, [0.1] * 8)
    assert told["people"] == 8 and told["first"]["hidden utility"]["value"] == pytest.approx(0.45)
    promoted, worst = told["others"]
    assert (promoted["role"], promoted["name"], worst["role"]) == ("promoted", "round-2", "refused")
    assert promoted["gain"]["hidden utility"]["value"] == pytest.approx(0.1)
    assert promoted["gain"]["hidden utility"]["low"] == pytest.approx(0.1)
    assert promoted["hidden utility"]["low"] < 0.45 < promoted["hidden utility"]["high"]
    assert worst["gain"]["hidden utility"]["value"] == pytest.approx(-0.05)
    assert promoted["accepted"]["value"] == 1.0 and told["first"]["left"]["value"] == 1.0


def test_other_people_are_not_compared(tmp_path: Path) -> None:
    talks(tmp_path, "a", {"d0": (0.1, "left"), "d1": (0.2, "left")})
    talks(tmp_path, "b", {"d0": (0.1, "left"), "d2": (0.2, "left")})
    one, other = (closing.per_user(pl.read_parquet(tmp_path / f"{name}.parquet")) for name in "ab")
    with pytest.raises(ValueError, match="the same people"):
        closing.compare(one, other)


@pytest.mark.parametrize(
    ("gains", "current", "good", "said"),
    [
        ([0.1] * 8, "v2", True, "People are served better: hidden utility +0.100 [0.100, 0.100], what"),
        ([-0.1] * 8, "v2", False, "People are served worse: "),
        ([0.4, -0.3] * 4, "v2", None, "That people are served better is not shown: "),
        ([0.1] * 8, "v0", None, "Nothing was promoted. The best candidate, not promoted (round-2)"),
    ],
)
def test_the_page_says_better_only_where_the_interval_does(
    tmp_path: Path, gains: list[float], current: str, good: bool | None, said: str
) -> None:
    told = found(tmp_path, gains, current)
    shown, sentence = closing_page.served_better(told)
    assert shown is good and said in sentence and "8 people" in sentence
    ((worse, of_the_worst),) = closing_page.controls(told)
    assert worse is True and "−0.050 [−0.050, −0.050]" in of_the_worst
    assert "v2" in closing_page.section(told) and "emulated" in closing_page.section(told)


def test_the_page_says_so_where_no_candidate_was_another() -> None:
    shown, sentence = closing_page.served_better({"people": 8, "others": []})
    assert shown is None and "the first version over again" in sentence
