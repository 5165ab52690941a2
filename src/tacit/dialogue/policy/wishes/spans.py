"""Spans of numbers, ends included, as what a user asks of a numeric attribute: their words, and sets of them."""

from __future__ import annotations

import math

from tacit.dialogue.policy.wishes.attributes import Part

Span = tuple[float, float]


def label(span: Span) -> str:
    low, high = (_plain(end) for end in span)
    if span[0] == span[1]:
        return low
    if math.isinf(span[0]):
        return f"up to {high}"
    return f"from {low}" if math.isinf(span[1]) else f"{low}–{high}"


def _plain(number: float) -> str:
    """Where a quantile ends in fractions that nobody said, without them."""
    return f"{number:.0f}" if math.isfinite(number) and abs(number) >= 100 else f"{number:g}"


def labelled(part: Part, spans: tuple[Span, ...]) -> str:
    """A label for ``spans`` in the way of ``part``'s own: years need no name."""
    said = " or ".join(label(span) for span in spans)
    return f"{part.key} {said}" if part.label.startswith(f"{part.key} ") else said


def complement(spans: tuple[Span, ...], step: float = 1.0) -> tuple[Span, ...]:
    """What lies outside. ``step`` parts two whole numbers: of years 1, and 0 of what is measured, where "nothing that
    takes more than an hour" leaves an hour."""
    outside, low = [], -math.inf
    for start, end in sorted(spans):
        if not math.isinf(start) and start - step >= low:
            outside.append((low, start - step))
        low = max(low, end + step)
    return tuple(outside) if low == math.inf else (*outside, (low, math.inf))


def intersect(first: tuple[Span, ...], second: tuple[Span, ...]) -> tuple[Span, ...]:
    return tuple((max(a, c), min(b, d)) for a, b in first for c, d in second if max(a, c) <= min(b, d))
