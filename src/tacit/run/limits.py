"""What a setting's number may be, declared where the setting is: ``epochs: int = at_least(1, default=3)``.

``run.config.load`` checks every value against its limits and refuses it by key, value and what is allowed. Numbers that
are not finite are refused whether or not they have limits.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

N = TypeVar("N", int, float)
_KEY = "limits"


@dataclass(frozen=True)
class Limits:
    """low ≤ x ≤ high, or low < x where ``open`` is set."""

    low: float = -math.inf
    high: float = math.inf
    open: bool = False

    def hold(self, value: float) -> bool:
        return math.isfinite(value) and value <= self.high and (value > self.low if self.open else value >= self.low)

    def __str__(self) -> str:
        below = f"above {self.low:g}" if self.open else f"at least {self.low:g}"
        if math.isinf(self.high):
            return "a finite number" if math.isinf(self.low) else below
        return f"{below} and at most {self.high:g}" if self.open else f"between {self.low:g} and {self.high:g}"


def _field(limits: Limits, default: Any) -> Any:
    return dataclasses.field(default=default, metadata={_KEY: limits})


def at_least(low: float, *, default: N) -> N:
    return typing.cast(N, _field(Limits(low), default))


def above(low: float, *, default: N, high: float = math.inf) -> N:
    return typing.cast(N, _field(Limits(low, high, open=True), default))


def between(low: float, high: float, *, default: N) -> N:
    return typing.cast(N, _field(Limits(low, high), default))


def share(*, default: float) -> float:
    """A number from 0 to 1."""
    return between(0.0, 1.0, default=default)


def finite(*, default: N) -> N:
    """Any finite number: said, so that a setting without limits is not one that was forgotten."""
    return typing.cast(N, _field(Limits(), default))


def numbers(cls: Any, prefix: str = "") -> Iterator[tuple[str, Limits | None]]:
    """(dotted key, its limits) of every number in a tree of settings classes, lists of numbers included."""
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        kind = hints[field.name]
        if dataclasses.is_dataclass(kind):
            yield from numbers(kind, f"{prefix}{field.name}.")
        elif {int, float} & {kind, *typing.get_args(kind)}:
            yield f"{prefix}{field.name}", field.metadata.get(_KEY)


def broken(settings: object, prefix: str = "") -> Iterator[tuple[str, object, str]]:
    """(dotted key, value, what is allowed) of every number in filled ``settings`` that its limits do not hold."""
    for field in dataclasses.fields(typing.cast(Any, settings)):
        value, key = getattr(settings, field.name), f"{prefix}{field.name}"
        if dataclasses.is_dataclass(value):
            yield from broken(value, f"{key}.")
            continue
        limits = field.metadata.get(_KEY) or Limits()
        for one in value if isinstance(value, list | tuple) else (value,):
            if isinstance(one, int | float) and not isinstance(one, bool) and not limits.hold(one):
                yield key, one, str(limits)
