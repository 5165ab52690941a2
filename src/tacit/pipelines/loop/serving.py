"""The real server in a process of its own, stopped when it is no longer needed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx

from tacit.pipelines.loop import keeper
from tacit.types import InputError

START_S = 180.0


@contextlib.contextmanager
def serving(run: Path, state: Path, port: int, options: Sequence[str]) -> Iterator[str]:
    """The address of ``tacit serve``; what it says goes to ``STATE.log``. It ends with this process, even with one that
    is killed: else the server would hold its folder when the loop goes on."""
    serve = [sys.executable, "-m", "tacit.cli.main", "serve", str(run), "--page", "--state", str(state)]
    command = [sys.executable, str(keeper.__file__), *serve, "--port", str(port), *options]
    state.parent.mkdir(parents=True, exist_ok=True)
    with open(state.with_suffix(".log"), "ab") as said:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=said, stderr=said, env=_alone())
    base = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(process, base, state.with_suffix(".log"))
        yield base
    finally:
        process.communicate(b"stop")


def _wait_until_ready(process: subprocess.Popen[bytes], base: str, log: Path) -> None:
    end = time.monotonic() + START_S
    with httpx.Client(base_url=base, trust_env=False, timeout=5) as http:
        while process.poll() is None and time.monotonic() < end:
            with contextlib.suppress(httpx.TransportError):
                if http.get("/readyz").status_code == 200:
                    return
            time.sleep(0.2)
    raise InputError(f"The server did not start: {log} says why.")


def _alone() -> dict[str, str]:
    """One thread: a second one on a busy core makes small models slower."""
    return {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
