"""Every number that is printed, of both systems: ``ranks``, ``lists``, ``texts``, and ``intervals`` around them."""

from __future__ import annotations

from importlib import import_module

_MODULES = ("intervals", "lists", "ranks", "results", "texts")


def __getattr__(name: str) -> object:
    """``tacit.metrics.ranks`` works without an import of its own."""
    if name in _MODULES:
        return import_module(f"tacit.metrics.{name}")
    raise AttributeError(f"module 'tacit.metrics' has no attribute '{name}'")
