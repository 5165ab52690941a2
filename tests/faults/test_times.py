"""Any value as a time is seconds within the calendar or one ValueError, and one file is written one way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from fault_examples import FAULTS
from hypothesis import given
from hypothesis import strategies as st

from tacit.data.times import EARLIEST, EIGHT_DIGITS, LATEST, PER_SECOND, Clock, unit

SECONDS = st.integers(EARLIEST, LATEST - 1)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=30),
    st.from_regex(r"[0-9TZ:+\-. eEW]{1,25}", fullmatch=True),
    st.datetimes().map(str),
    st.lists(st.integers(), max_size=2),
)


@FAULTS
@given(st.lists(VALUES, max_size=6), st.booleans())
def test_any_values(values: list[object], days: bool) -> None:
    clock = Clock(days)
    for value in values:
        try:
            seconds = clock.seconds(value)
        except ValueError as error:
            assert type(error) is ValueError and str(error)
            continue
        assert seconds is None or 0 <= seconds < LATEST
        if seconds is not None:
            assert Clock(days).seconds(value) == seconds  # whatever stood before


@FAULTS
@given(SECONDS, st.sampled_from(sorted(PER_SECOND)))
def test_every_unit_is_told_apart(seconds: int, name: str) -> None:
    number = seconds * PER_SECOND[name]
    assert unit(number) == name
    assert Clock().seconds(number) == seconds == Clock().seconds(str(number))


@FAULTS
@given(SECONDS, st.integers(-14 * 60, 14 * 60))
def test_text_says_the_same_in_any_zone(seconds: int, minutes: int) -> None:
    moment = datetime.fromtimestamp(seconds, timezone(timedelta(minutes=minutes)))
    assert Clock().seconds(moment.isoformat()) == seconds
    assert Clock().seconds(datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()) == seconds


@FAULTS
@given(st.dates(datetime(1990, 1, 1).date(), datetime(2099, 12, 31).date()))
def test_days_of_eight_digits_are_never_seconds(day: object) -> None:
    digits = str(day).replace("-", "")
    assert unit(int(digits)) == EIGHT_DIGITS
    assert Clock().seconds(int(digits)) == Clock().seconds(digits) == Clock().seconds(str(day))
