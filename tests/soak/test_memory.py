"""Too little memory (`ulimit -v`): one sentence or a death that harms nothing, and the next run goes on."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from whole_runs import SYSTEMS, begin, differing, finish, sentences

STEPS = 6


def peak(words: list[str], out: Path) -> tuple[int, int]:
    """(at the first file written, at most): the address space of an unhindered run, in bytes."""
    child = begin(words, out)
    first = most = 0
    threading.Thread(target=child.communicate, daemon=True).start()
    while child.poll() is None:
        try:
            lines = Path(f"/proc/{child.pid}/status").read_text().splitlines()
        except OSError:
            break
        sizes = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmPeak")]
        most = max([most, *sizes])
        if (out / "run.json").exists() and not first:
            first = most
        time.sleep(0.05)
    assert child.wait() == 0
    return first, most


def at_most(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the size of a process is read from /proc")
@pytest.mark.parametrize("system", SYSTEMS)
def test_too_little_memory_harms_nothing(system: str, tmp_path: Path) -> None:
    words = SYSTEMS[system](tmp_path / "data")
    began = time.monotonic()
    first, most = peak(words, tmp_path / "whole")
    patience_s = 5 * (time.monotonic() - began)  # OpenBLAS was seen to hang when short of memory
    ended = []
    for step in range(STEPS):
        size = first + (most - first) * step // STEPS
        code, said = finish(words, tmp_path / "run", at_most(size), patience_s)
        print(f"{system}: {size:,} of {most:,} bytes: exit {code}: {sentences(said)}{said[-300:] if code == 1 else ''}")
        by_openblas = code == 1 and "OpenBLAS error: Memory allocation" in said  # it ends the process by itself
        assert code == 0 or (code == 2 and len(sentences(said)) == 1) or code < 0 or by_openblas, said
        ours = said.partition("Exception ignored in atexit callback")[0]  # torch's own last words may want memory, too
        assert "Traceback" not in ours, said
        ended.append(code)
    assert set(ended) != {0}
    code, said = finish(words, tmp_path / "run")
    assert code == 0, said
    assert differing(tmp_path / "run", tmp_path / "whole") == []
