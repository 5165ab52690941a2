"""Processes of one thread each, for work in many small matrices: two of them do more than two threads in one."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import torch

from tacit.run.network import quiet_progress_bars

LARGE_BLOCK = 2**20  # bytes
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of <malloc.h>


@contextlib.contextmanager
def processes(count: int, begin: Callable[..., None] | None = None, *known: Any) -> Iterator[ProcessPoolExecutor]:
    """A pool of ``count``; each begins with ``begin(*known)``. Left by an error, what still waits is not begun."""
    release_memory()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, spawn, _begin, (begin, known)) as pool:
        try:
            yield pool
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            if not isinstance(error, Exception):  # asked to stop: what they are at would take minutes
                _end(multiprocessing.active_children())
            raise


def _end(workers: list[multiprocessing.process.BaseProcess]) -> None:
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join()


def _begin(begin: Callable[..., None] | None, known: tuple[Any, ...]) -> None:
    """One thread, no bars beside the parent's, and no life after it: a killed run must leave no second one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its workers
    torch.set_num_threads(1)
    quiet_progress_bars()
    sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (open as long as the process)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    if begin is not None:
        begin(*known)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        with contextlib.suppress(OSError):
            multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def release_memory() -> None:
    """Collect what only cycles hold, and hand the C library's free pages back.

    A trainer's batches of many lengths leave gigabytes of free pieces between used ones, which glibc keeps for later.
    Where there is no ``malloc_trim`` (macOS, musl) only the first half is done.
    """
    gc.collect()
    trim = _of_c_library("malloc_trim")
    if trim is not None:
        trim(0)


def return_large_blocks() -> bool:
    """From now on a block of a megabyte or more goes back to the system as soon as it is freed, at the price of fresh
    pages for the next one; False where the C library cannot be told (macOS, musl).

    Left alone, glibc raises that limit to 32 MB as blocks are freed, and keeps what is smaller for later: a layer's
    weights that come together and part again, over and over, then take more memory than a whole model does
    (mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD).
    """
    tell = _of_c_library("mallopt") if _of_c_library("malloc_trim") is not None else None  # musl's does nothing
    return tell is not None and all(tell(which, LARGE_BLOCK) == 1 for which in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD))


def _of_c_library(name: str) -> Any:
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):  # the last is what Windows says to None
        return None
