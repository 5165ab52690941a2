"""Numbers written as words, and what a number that was read is."""

from __future__ import annotations

from dataclasses import dataclass

from tacit.dialogue.policy.wishes.attributes import Part

_WORDS = (  # from one
    *("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
COUNT = {word: n for n, word in enumerate(_WORDS, 1)} | {
    "a": 1, "an": 1, "couple": 2, "couple of": 2, "a couple of": 2, "few": 3, "a few": 3, "several": 5, "thirty": 30,
    "forty": 40, "fifty": 50, "sixty": 60, "ninety": 90, "hundred": 100, "a hundred": 100,
}  # fmt: skip
COUNTED = (
    r"(?:\d+(?:[.,]\d+)?|(?:a )?couple(?: of)?|(?:a )?few|(?:a )?hundred|"
    + "|".join(
        sorted(
            COUNT.keys() - {"a", "an", "couple", "couple of", "a couple of", "few", "a few", "hundred", "a hundred"}
        )[::-1]
    )
    + r"|an?)"
)


@dataclass(frozen=True, slots=True)
class Said:
    """A number part that ends at character ``end``; ``relative`` is -1 ("older") or 1 ("newer") where it compares."""

    end: int
    part: Part | None
    relative: int = 0


def count(said: str | None) -> float:
    if not said:
        return 1.0
    return float(COUNT.get(said, 0) or said.replace(",", "."))
