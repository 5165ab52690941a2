"""Times: units by their size, days of eight digits, text, and one way of writing a file."""

from __future__ import annotations

import pytest

from tacit.data.times import EIGHT_DIGITS, FROM_A_START, Clock, unit

NOON = 1_738_324_800  # 2025-01-31T12:00:00Z


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (NOON, NOON),
        (NOON + 0.25, NOON + 0.25),
        (NOON * 10**3 + 250, NOON + 0.25),
        (NOON * 10**6 + 250_000, NOON + 0.25),
        (NOON * 10**9 + 250_000_000, NOON + 0.25),
        (f" {NOON}000 ", NOON),
        ("1.7383248e9", NOON),
        ("2025-01-31T12:00:00Z", NOON),
        ("2025-01-31t12:00:00z", NOON),
        ("2025-01-31 13:00:00.25+01:00", NOON + 0.25),
        ("2025-01-31T12:00:00", NOON),  # without a zone: UTC
        ("20250131T120000Z", NOON),
        ("2025-01-31", NOON - 43_200),
        ("2025-W05-5", NOON - 43_200),
        (20250131, NOON - 43_200),
        (20250131.0, NOON - 43_200),
        ("20250131", NOON - 43_200),
        (0, 0),
        (12.5, 12.5),
        ("86400", 86_400),
        (None, None),
        ("", None),
        (" ", None),
    ],
)
def test_one_value(value: object, seconds: float | None) -> None:
    assert Clock().seconds(value) == (None if seconds is None else pytest.approx(seconds, abs=1e-6))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (-1, "negative"),
        ("-5", "negative"),
        (float("nan"), "not a finite"),
        (float("inf"), "not a finite"),
        ("nan", "neither seconds nor a date"),
        ("1e999", "not a finite"),
        (20261331, "neither seconds nor a day"),
        (20260230, "neither seconds nor a day"),
        (20250131.5, "neither seconds nor a day"),
        (19700101, "neither seconds nor a day"),
        (631_151_999, "no time between 1990 and 2100"),
        (202501311200, "no time between"),  # twelve and fourteen digits are no unit either
        (20250131120000, "no time between"),
        (10**400, "no time between"),
        ("9" * 5000, "more digits"),
        ("2101-01-01T00:00:00Z", "not between 1970 and 2100"),
        ("0001-01-01T00:00:00+14:00", "not between 1970 and 2100"),
        ("1969-12-31", "not between 1970 and 2100"),
        ("31.01.2025", "neither seconds nor a date"),
        ("01/31/2025", "neither seconds nor a date"),
        ("1_000", "neither seconds nor a date"),
        ("٢٠٢٥", "neither seconds nor a date"),
        (True, "neither a number nor text"),
        ([], "neither a number nor text"),
    ],
)
def test_refused(value: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Clock().seconds(value)


WAYS = [5, NOON, NOON * 10**3, NOON * 10**6, NOON * 10**9, 20250131, "2025-01-31", "2025-01-31T12:00:00",
        "2025-01-31T12:00:00Z"]  # fmt: skip


@pytest.mark.parametrize("first", WAYS)
@pytest.mark.parametrize("second", WAYS)
def test_one_way_a_file(first: object, second: object) -> None:
    clock = Clock()
    clock.seconds(first)
    if first == second:
        assert clock.seconds(second) == Clock().seconds(second)
    else:
        with pytest.raises(ValueError, match="one way in the whole file"):
            clock.seconds(second)
    assert clock.seconds(first) is not None  # what was refused changes nothing


@pytest.mark.parametrize("day", [20250131, "20250131", "2025-01-31"])
def test_days_are_too_coarse_for_turns(day: object) -> None:
    with pytest.raises(ValueError, match="a day without a time of day"):
        Clock(days=False).seconds(day)


def test_units_do_not_touch() -> None:
    edges = [0, 9_999_999, 10_000_000, 631_152_000, 4_102_444_799, 4_102_444_800, 631_152_000_000]
    ways = []
    for edge in edges:
        try:
            ways.append(unit(edge))
        except ValueError:
            ways.append("")
    assert ways == [FROM_A_START, FROM_A_START, "", "seconds", "seconds", "", "milliseconds"]
    assert unit(19900101) == unit(20991231) == EIGHT_DIGITS
