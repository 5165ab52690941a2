"""What a setting's number may be, declared where the setting is: ``epochs: int = at_least(1, default=3)``.

``run.config.load`` checks every value against its limits and refuses it by key, value and what is allowed. Numbers that
are not finite are refused whether or not they have limits. What settings ask of each other, such as heads that divide a
width, a class tells by ``conflicts``.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

N = TypeVar("N", int, float)
Rate = TypeVar("Rate", float, "float | None")
_KEY, _COUNT = "limits", "count"
# No setting has a use for numbers beyond it, and where one is squared or multiplied it still is no infinity.
LARGEST = 1e9


@dataclass(frozen=True)
class Limits:
    """low ≤ x ≤ high, or low < x where ``open`` is set."""

    low: float = -LARGEST
    high: float = LARGEST
    open: bool = False

    def hold(self, value: float) -> bool:
        """Whether ``value`` is one of these numbers; nan and the infinities never are."""
        return value <= self.high and (value > self.low if self.open else value >= self.low)

    def allowed(self, value: float) -> str:
        """What is allowed, in words for one who gave ``value``: the usual high end is said where it is passed."""
        if self.high == LARGEST and not (math.isfinite(value) and value > LARGEST):
            below = f"above {self.low:g}" if self.open else f"at least {self.low:g}"
            return "a finite number" if self.low == -LARGEST and not math.isfinite(value) else below
        low = f"above {self.low:g} and at most" if self.open else f"between {self.low:g} and"
        return f"{low} {self.high:g}"


@runtime_checkable
class Together(Protocol):
    """A settings class, some of whose settings ask something of each other."""

    def conflicts(self) -> Iterator[tuple[str, object, str]]:
        """(key, its value, what it must be) of what does not go together."""
        ...


def _field(limits: Limits, default: Any) -> Any:
    return dataclasses.field(default=default, metadata={_KEY: limits})


def at_least(low: float, *, default: N, high: float = LARGEST) -> N:
    return typing.cast(N, _field(Limits(low, high), default))


def above(low: float, *, default: N, high: float = LARGEST) -> N:
    return typing.cast(N, _field(Limits(low, high, open=True), default))


def between(low: float, high: float, *, default: N) -> N:
    return typing.cast(N, _field(Limits(low, high), default))


def share(*, default: float) -> float:
    """A number from 0 to 1."""
    return between(0.0, 1.0, default=default)


def learning_rate(*, default: Rate) -> Rate:
    return typing.cast(Rate, _field(Limits(0.0, 1.0, open=True), default))


def random_seed(*, default: int) -> int:
    """What every generator of ours takes: numpy's, torch's, and those of 32 bits."""
    return between(0, 2**31 - 1, default=default)


def finite(*, default: N) -> N:
    """Any finite number: said, so that a setting without limits is not one that was forgotten."""
    return typing.cast(N, _field(Limits(), default))


def weights(count: int) -> dict[str, Any]:
    """The metadata of a field with a list: so many numbers of at least 0, not all of them 0."""
    return {_KEY: Limits(0.0), _COUNT: count}


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
    """(dotted key, value, what is allowed) of everything in filled ``settings`` that is not allowed: numbers beyond
    their limits, lists of weights, and what the classes' own ``conflicts`` tell of settings that do not go together."""
    alone = True  # each setting of this class is allowed by itself
    for field in dataclasses.fields(typing.cast(Any, settings)):
        value, key = getattr(settings, field.name), f"{prefix}{field.name}"
        if dataclasses.is_dataclass(value):
            yield from broken(value, f"{key}.")
            continue
        for wrong in _not_allowed(value, field.metadata.get(_KEY) or Limits(), field.metadata.get(_COUNT)):
            alone = False
            yield key, *wrong
    if alone and isinstance(settings, Together):
        yield from ((f"{prefix}{key}", value, allowed) for key, value, allowed in settings.conflicts())


def _not_allowed(value: Any, limits: Limits, count: int | None) -> Iterator[tuple[object, str]]:
    values = list(value.values()) if isinstance(value, dict) else value
    for number in values if isinstance(values, list | tuple) else (values,):
        if isinstance(number, int | float) and not isinstance(number, bool) and not limits.hold(number):
            yield number, limits.allowed(number)
    if count and (len(value) != count or not any(value)):
        yield value, f"{count} numbers, not all of them 0"
