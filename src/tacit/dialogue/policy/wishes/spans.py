"""Spans of numbers, ends included, as what a user asks of a numeric attribute: their words, and sets of them."""

from __future__ import annotations

import math

from tacit.dialogue.policy.wishes.attributes import Part

Span = tuple[float, float]


def label(span: Span) -> str:
    low, high = span
    if low == high:
        return f"{low:g}"
    if math.isinf(low):
        return f"up to {high:g}"
    return f"from {low:g}" if math.isinf(high) else f"{low:g}–{high:g}"


def labelled(part: Part, spans: tuple[Span, ...]) -> str:
    """A label for ``spans`` in the way of ``part``'s own: years need no name."""
    said = " or ".join(label(span) for span in spans)
    return f"{part.key} {said}" if part.label.startswith(f"{part.key} ") else said


def complement(spans: tuple[Span, ...]) -> tuple[Span, ...]:
    """What lies outside, for whole numbers."""
    outside, low = [], -math.inf
    for start, end in sorted(spans):
        if not math.isinf(start) and start - 1 >= low:
            outside.append((low, start - 1))
        low = max(low, end + 1)
    return tuple(outside) if low == math.inf else (*outside, (low, math.inf))


def intersect(first: tuple[Span, ...], second: tuple[Span, ...]) -> tuple[Span, ...]:
    return tuple((max(a, c), min(b, d)) for a, b in first for c, d in second if max(a, c) <= min(b, d))
