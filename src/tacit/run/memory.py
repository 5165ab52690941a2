"""Too little memory said in one sentence, whoever notices it first: Python, torch, the system or a library in Rust."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from tacit.types import InputError

# Torch, safetensors, polars and the system's loader report it as text only. A thread needs memory for its stack.
_SAYS = (
    "can't allocate memory",
    "cannot allocate memory",
    "out of memory",
    "failed to map segment",
    "os error 12)",
    "can't start new thread",
    "can't spawn worker thread",
)
# oneDNN's whole message: where these words go on ("… descriptor for …"), a product is not to be had at all.
_ONEDNN = ("could not create a primitive", "could not execute a primitive")


@contextlib.contextmanager
def says_when_memory_ends() -> Iterator[None]:
    """What was raised for want of memory becomes ``InputError``; all else passes through.

    ``BaseException``, for a panic of a library in Rust is no ``Exception``.
    """
    try:
        yield
    except (InputError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        if not for_want_of_memory(error):
            raise
        raise InputError(
            "The memory that this process may use is too small: end other programs, raise the limit where one is set "
            "(ulimit -v), or choose a smaller model or batch; the same command goes on where this one stopped."
        ) from error


def pass_on_want_of_memory(error: BaseException) -> None:
    """For whoever calls a file damaged because reading it failed: raises ``error`` again where memory was too small."""
    if for_want_of_memory(error):
        raise error


def for_want_of_memory(error: BaseException | None) -> bool:
    """Does the error, or one that it came from, say that there was no memory?"""
    while error is not None:
        if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
            return True
        said = str(error).lower()
        if said.strip() in _ONEDNN or any(words in said for words in _SAYS):
            return True
        error = error.__cause__ or error.__context__
    return False
