"""Freed memory goes back, where the C library can; and nothing breaks where it cannot."""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tacit.run.processes import release_memory, return_large_blocks

PIECES, PIECE = 4000, 20_000  # 80 MB in pieces too small to be mapped on their own


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="this C library gives nothing back")
def test_what_was_freed_between_pieces_in_use_goes_back() -> None:
    pieces = [np.ones(PIECE, dtype=np.uint8) for _ in range(PIECES)]
    kept = pieces[::50]
    del pieces
    before = resident()
    release_memory()
    assert before - resident() > 0.5 * PIECES * PIECE and all(piece.all() for piece in kept)


@pytest.mark.parametrize("taken", [1, 0])
def test_the_c_library_is_told_from_which_size_on_blocks_go_back(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By <malloc.h>: M_MMAP_THRESHOLD is -3, M_TRIM_THRESHOLD -1; 1 is yes. What it is worth is measured by
    benchmarks/sharding_memory.py."""
    told = list[tuple[int, int]]()

    def mallopt(which: int, size: int) -> int:
        told.append((which, size))
        return taken

    library = SimpleNamespace(malloc_trim=lambda pad: 1, mallopt=mallopt)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    assert return_large_blocks() == bool(taken)
    assert told == [(-3, 2**20), (-1, 2**20)][: 1 + taken]


def test_a_library_without_it_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    collected: list[bool] = []
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    monkeypatch.setattr(gc, "collect", lambda: collected.append(True))
    release_memory()
    assert collected == [True] and not return_large_blocks()
