"""Functions of your own as a sentiment backend, by name: which names load, and what must be asked for by hand.

A config, or a run folder, may come from a stranger, and importing a module runs it. So a file may name only what an
installed package has registered as an entry point of the group ``tacit.sentiment``; ``package.module:function`` is
imported where the command line (``--allow-import``) or a caller in Python (``imports_allowed``) says so.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from importlib import metadata
from typing import Any

from tacit.types import InputError

GROUP = "tacit.sentiment"
Function = Callable[[Sequence[str]], Iterable[float]]

_allowed: ContextVar[bool] = ContextVar("imports_allowed", default=False)


@contextlib.contextmanager
def imports_allowed(allowed: bool = True) -> Iterator[None]:
    """Within, settings may name a function as ``package.module:function``."""
    token = _allowed.set(allowed)
    try:
        yield
    finally:
        _allowed.reset(token)


def is_dotted(source: str) -> bool:
    """Whether ``source`` is ``package.module:function``, and not a path or a hub's name."""
    module, colon, attribute = source.partition(":")
    return bool(colon and module and attribute) and "/" not in source and "\\" not in source


def registered(name: str) -> metadata.EntryPoint | None:
    """The entry point of this name that an installed package has."""
    return next(iter(metadata.entry_points(group=GROUP, name=name)), None)


def require_allowed(source: str) -> None:
    """``InputError`` where settings name a function that nobody at the command line asked for. Imports nothing."""
    if is_dotted(source) and not _allowed.get():
        raise InputError(
            f"signals.sentiment={source} would import and run {source.partition(':')[0]}: add --allow-import to the "
            f"command if you trust it, or register the function as an entry point of the group {GROUP}."
        )


def function_of(source: str) -> Function | None:
    """The function that ``source`` names; None where it names none (then it is a classifier of transformers)."""
    point = registered(source)
    try:
        if point is not None:
            function: Any = point.load()
            return function  # type: ignore[no-any-return]
        if not is_dotted(source):
            return None
        require_allowed(source)
        module, _, attribute = source.partition(":")
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError(f"signals.sentiment={source}: {error}; write it as package.module:function.") from error
    return function  # type: ignore[no-any-return]
