"""One reader of times for dialogues, interactions and events: whatever a file writes, Unix seconds come out.

A number says its unit by its size: between 1990 and 2100 the ranges of seconds, milliseconds, microseconds and
nanoseconds lie far apart. Below ``SHORT`` it counts seconds from a start of the file's own; eight digits that are a day
(20260131) are that day, never seconds. Text is ISO 8601; without a zone it is taken as UTC. One file writes one way.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime
from typing import Final

EARLIEST, LATEST = 631_152_000, 4_102_444_800  # 1990-01-01 and 2100-01-01 in Unix seconds
SHORT = 10_000_000  # seconds (115 days) up to which a number may count from any start
PER_SECOND: Final = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
FROM_A_START, EIGHT_DIGITS = "seconds from a start", "days of eight digits"
ZONED, UNZONED, DAY = "text with a zone", "text without a zone", "days as text"

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}|\d{4}-?W\d{2}(-?\d)?", re.ASCII)
_REMEDY = "write Unix seconds, or a date and time like 2025-01-31T12:00:00Z"


def unit(number: float) -> str:
    """How ``number`` writes a time: a key of ``PER_SECOND``, ``FROM_A_START`` or ``EIGHT_DIGITS``; else ValueError."""
    if isinstance(number, float) and not math.isfinite(number):
        raise ValueError(f"is not a finite number: {_REMEDY}")
    if number < 0:
        raise ValueError(f"is negative: {_REMEDY}")
    if number < SHORT:
        return FROM_A_START
    if 10**7 <= number < 10**8:
        _eight_digits(number)
        return EIGHT_DIGITS
    for name, per_second in PER_SECOND.items():
        if EARLIEST * per_second <= number < LATEST * per_second:
            return name
    raise ValueError(f"is no time between 1990 and 2100 in any unit from seconds to nanoseconds: {_REMEDY}")


def to_seconds(number: float, unit: str) -> float:
    """Seconds of a number in that ``unit``: since 1970, or since the file's own start."""
    return _eight_digits(number) if unit == EIGHT_DIGITS else number / PER_SECOND.get(unit, 1)


class Clock:
    """Reads the times of one file. The first one fixes how they are written; a later one in another way is refused.

    With ``days=False`` a day without a time of day is refused, too: for what lies seconds apart, such as turns.
    """

    def __init__(self, days: bool = True) -> None:
        self.days = days
        self.way: str | None = None  # how the times seen so far are written

    def seconds(self, value: object) -> float | None:
        """Seconds; None for None and blank text. A ValueError is a predicate ("is negative: ..."), for any subject."""
        if isinstance(value, str):
            value = value.strip() or None
        if value is None:
            return None
        if isinstance(value, str) and _NUMBER.fullmatch(value):
            value = float(value) if re.search(r"[.eE]", value) else _whole(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            way = unit(value)
            seconds = to_seconds(value, way)
        elif isinstance(value, str):
            way, seconds = _text(value)
        else:
            raise ValueError(f"is neither a number nor text: {_REMEDY}")
        if not self.days and way in (DAY, EIGHT_DIGITS):
            raise ValueError(f"is a day without a time of day: {_REMEDY}")
        if self.way not in (None, way):
            raise ValueError(f"is written as {way}, earlier ones as {self.way}: write one way in the whole file")
        self.way = way
        return seconds


def _whole(digits: str) -> int:
    if len(digits) > 30:  # no unit is that small, and Python refuses to read very long ones
        raise ValueError(f"has more digits than any time: {_REMEDY}")
    return int(digits)


def _text(text: str) -> tuple[str, float]:
    try:
        moment = datetime.fromisoformat(f"{text[:-1]}+00:00" if text[-1] in "zZ" else text)
        zoned = moment.tzinfo is not None
        seconds = (moment if zoned else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(f"is neither seconds nor a date and time: {_REMEDY}") from None
    if not 0 <= seconds < LATEST:
        raise ValueError(f"is not between 1970 and 2100: {_REMEDY}")
    return ZONED if zoned else DAY if _DAY.fullmatch(text) else UNZONED, seconds


def _eight_digits(number: float) -> float:
    try:
        if number == int(number) and 1990 <= number // 10_000 < 2100:
            day = date(int(number) // 10_000, int(number) // 100 % 100, int(number) % 100)
            return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    except ValueError:
        pass
    raise ValueError(f"is neither seconds nor a day of eight digits: {_REMEDY}")
