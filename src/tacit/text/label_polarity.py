"""What the labels of a sentiment classifier are worth in [-1, 1], read off their names or told by a setting."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from tacit.types import InputError

_NEUTRAL = frozenset({"neutral", "neu", "mixed", "none"})
_STRONG = "very|strongly|strong|extremely|highly|overwhelmingly"
_WEAK = "slightly|somewhat|weakly|weak|mildly|moderately|fairly|rather|mostly"
_SIDED = re.compile(rf"(?:(?P<strong>{_STRONG})|(?P<weak>{_WEAK}))?\s*(?:(?P<up>pos|positive)|neg|negative)")
_NUMBERS = {word: k for k, word in enumerate(("zero", "one", "two", "three", "four", "five"))}
_STARS = re.compile(
    rf"(?P<n>\d+(?:\.\d+)?|{'|'.join(_NUMBERS)})\s*stars?|stars?\s*(?P<m>\d+(?:\.\d+)?|{'|'.join(_NUMBERS)})|(?P<signs>[★⭐]+)☆*"
)
_UNNAMED = re.compile(r"label (\d+)")


def label_polarity(labels: Sequence[str], name: str, polarity: Mapping[str, float] | None = None) -> list[float]:
    """A polarity in [-1, 1] for each label: as ``polarity`` says; by sides and their strength; by stars; or, where two
    or three are unnamed (LABEL_0, ...), in their order from worst to best. InputError where a label is none of these.
    """
    if polarity:
        return _told(labels, name, polarity)
    plain = [" ".join(re.sub(r"[_\-]+", " ", label.lower().replace("sentiment", " ")).split()) for label in labels]
    found = _by_side(plain) or _by_stars(plain) or _by_order(plain)
    if found is None:
        raise InputError(
            f"signals.sentiment={name}: its labels {', '.join(labels)} have no known polarity; say it by "
            f"signals.sentiment_labels={{{labels[0] if labels else 'label'}: -1.0, ...}}, or use a model with "
            "positive/negative labels, or package.module:function."
        )
    return found


def _told(labels: Sequence[str], name: str, polarity: Mapping[str, float]) -> list[float]:
    missing = [label for label in labels if label not in polarity]
    strange = [label for label in polarity if label not in labels]
    if missing or strange:
        raise InputError(
            f"signals.sentiment_labels must name every label of {name} ({', '.join(labels)}) and no other; wrong is "
            f"{(missing or strange)[0]!r}."
        )
    for label, value in polarity.items():
        if not (math.isfinite(value) and -1.0 <= value <= 1.0):
            raise InputError(f"signals.sentiment_labels.{label}={value}: give a number from -1 to 1.")
    return [float(polarity[label]) for label in labels]


def _by_side(labels: Sequence[str]) -> list[float] | None:
    """Positive and negative, each as strong as said: the strengths that occur stand evenly between 0 and 1."""
    levels: list[int] = []
    for label in labels:
        sided = _SIDED.fullmatch(label)
        if sided is None and label not in _NEUTRAL:
            return None
        strength = 0 if sided is None else 3 if sided["strong"] else 1 if sided["weak"] else 2
        levels.append(strength if sided is None or sided["up"] else -strength)
    if len(set(levels)) != len(levels) or not levels or not min(levels) < 0 < max(levels):
        return None
    strengths = sorted({abs(level) for level in levels} - {0})
    return [math.copysign((strengths.index(abs(v)) + 1) / len(strengths), v) if v else 0.0 for v in levels]


def _by_stars(labels: Sequence[str]) -> list[float] | None:
    """In proportion to the number of stars, whatever the order of the labels."""
    matches = [_STARS.fullmatch(label) for label in labels]
    counts = [_count(match) for match in matches if match is not None]
    if len(counts) != len(labels) or len(set(counts)) != len(counts) or len(counts) < 2:
        return None
    low, high = min(counts), max(counts)
    return [2.0 * (count - low) / (high - low) - 1.0 for count in counts]


def _count(match: re.Match[str]) -> float:
    if match["signs"]:
        return float(len(match["signs"]))
    number = match["n"] or match["m"]
    return float(_NUMBERS[number]) if number in _NUMBERS else float(number)


def _by_order(labels: Sequence[str]) -> list[float] | None:
    numbers = [int(match[1]) for match in map(_UNNAMED.fullmatch, labels) if match]
    if len(numbers) != len(labels) or sorted(numbers) != list(range(len(labels))) or len(labels) not in (2, 3):
        return None
    return [float(np.linspace(-1.0, 1.0, len(labels))[number]) for number in numbers]
