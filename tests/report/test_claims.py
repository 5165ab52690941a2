"""What is said of a difference never goes beyond its printed interval."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tacit.metrics.results import Row
from tacit.report.claims import EQUAL, HIGHER, LOWER, OPEN, claim, point, sentence
from tacit.report.figures import FIRST, Bar, bars
from tacit.report.page import value


def gap(value: float | None, low: float | None, high: float | None, n: int = 100) -> Row:
    return Row("d", "p", "new", "HR", 5, value, low, high, n, "ppo", 0, against="sft")


@pytest.mark.parametrize(
    ("value", "low", "high", "word"),
    [
        (0.01, 0.001, 0.02, HIGHER),
        (-0.01, -0.02, -0.001, LOWER),
        (0.01, -0.001, 0.02, OPEN),
        (0.01, 0.0, 0.02, OPEN),  # it touches zero
        (0.0045, 0.000003, 0.0138, OPEN),  # it is printed as 0.0000
        (-0.0045, -0.0138, -0.00004, OPEN),
        (0.0, 0.0, 0.0, EQUAL),
        (0.0, -0.01, 0.01, OPEN),  # equal on average is not equal
        (0.01, None, None, OPEN),
        (0.01, None, 0.02, OPEN),
        (0.01, 0.001, None, OPEN),
        (0.01, 0.001, math.inf, OPEN),  # no end is no gain
        (-0.01, -math.inf, -0.001, OPEN),
        (0.0, -math.inf, math.inf, OPEN),
        (0.01, math.nan, math.nan, OPEN),
        (None, None, None, OPEN),
        (2500.0, 1200.4, 3000.0, HIGHER),  # thousands are printed with a space
    ],
)
def test_a_claim_follows_the_printed_interval(
    value: float | None, low: float | None, high: float | None, word: str
) -> None:
    assert claim(gap(value, low, high), 4) == word
    assert claim(gap(value, low, high)) == word


def test_what_is_not_told_says_of_how_many_persons() -> None:
    row = replace(gap(0.01, None, None), unit="seekers", clusters=3)
    assert sentence([("HR@5", row)], 2) == ("<strong>Not told from zero</strong> in HR@5 (+0.01, not told (3 seekers))")
    assert value(row).small == "not told (3 seekers)"
    assert point("x", [("HR@5", row)]).startswith('<li class="">')


def test_bars_without_ends_are_drawn_without_a_line() -> None:
    def drawn(low: float | None, high: float | None) -> str:
        return bars({"x": [Bar("sft", 0.5, low, high, FIRST)]}, "salt")

    assert drawn(-math.inf, math.inf) == drawn(None, None) != drawn(0.4, 0.6)


def test_fewer_decimals_claim_less() -> None:
    row = gap(0.004, 0.0004, 0.008)
    assert claim(row, 4) == HIGHER and claim(row, 3) == OPEN


def test_every_measure_is_named_with_its_numbers() -> None:
    rows = [("HR@1", gap(0.02, 0.01, 0.03)), ("HR@5", gap(-0.03, -0.04, -0.02)), ("<b>", gap(0.0, -0.1, 0.1))]
    rows += [("HR@9", gap(0.02, 0.01, 0.03)), ("same", gap(0.0, 0.0, 0.0)), ("unknown", gap(None, None, None))]
    assert sentence(rows, 2) == (
        "<strong>Higher</strong> in HR@1 (+0.02, 0.01 to 0.03) and HR@9 (+0.02, 0.01 to 0.03).<br>"
        "<strong>Lower</strong> in HR@5 (−0.03, −0.04 to −0.02).<br>"
        "<strong>Not told from zero</strong> in &lt;b&gt; (0.00, −0.10 to 0.10).<br>"
        "<strong>Equal in every case</strong>: same"
    )
    one = sentence(rows[:1], 3, ":")
    assert one == "<strong>Higher</strong>: HR@1 (+0.020, 0.010 to 0.030)"


def test_a_line_shows_good_and_bad_alike() -> None:
    up, down = ("a", gap(0.1, 0.05, 0.2)), ("b", gap(-0.1, -0.2, -0.05))
    assert point("x", [up]).startswith('<li class="up">') and point("x", [down]).startswith('<li class="down">')
    both = point("New items", [up, down])
    assert both.startswith('<li class="">') and "<b>New items</b> (100 cases)" in both
    assert point("x", [("a", gap(0.1, 0.05, 0.2, n=19))]) == "<li><b>x</b> (19 cases): too few to say anything.</li>"
    assert point("x", []) == point("x", [("a", gap(None, None, None))]) == ""
