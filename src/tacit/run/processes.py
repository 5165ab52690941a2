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
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # the last is what Windows says to None
        return
    trim(0)
