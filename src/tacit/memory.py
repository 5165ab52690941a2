"""Memory that a stage has freed, given back to the system before others need it."""

from __future__ import annotations

import ctypes
import gc


def give_back() -> None:
    """Collect what only cycles hold, and hand the C library's free pages back.

    A trainer's batches of many lengths leave gigabytes of free pieces between used ones, which glibc keeps for later.
    Where there is no ``malloc_trim`` (macOS, musl) only the first half is done.
    """
    gc.collect()
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # the last is what Windows says to None
        return
    trim(0)
