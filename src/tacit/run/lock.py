"""One process a run folder: a second one is refused in a sentence, and a lock dies with the process that held it.

The lock is the system's own (flock) on ``.lock`` in the run folder, so that nothing is left to clean up after a kill:
the file stays, the lock does not. What the file says (process, machine, since when) is for the message alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tacit.run.files import says_when_unwritable
from tacit.types import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

FILE = ".lock"
_held: dict[Path, int] = {}  # lock files of this process → how often they are held


@contextlib.contextmanager
def exclusive(
    folder: str | Path, file: str = FILE, instead: str = "choose another folder with out=..."
) -> Iterator[None]:
    """Hold ``folder``, which is made where it is missing; ``InputError`` when another process holds it.

    The same process may hold a folder more than once. ``file`` is what is locked in it: who locks another does not
    mind. ``instead``: what the sentence offers besides waiting.
    """
    folder = Path(folder)
    with says_when_unwritable(folder):
        folder.mkdir(parents=True, exist_ok=True)
    key = folder.resolve() / file
    if key in _held or fcntl is None:
        _held[key] = _held.get(key, 0) + 1
        try:
            yield
        finally:
            _held[key] -= 1
            if not _held[key]:
                del _held[key]
        return
    with says_when_unwritable(folder / file):
        handle = os.open(folder / file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{folder} is in use by {_holder(handle)}: wait until it has ended, stop it, or {instead}"
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(_self()).encode("utf-8"), 0)
        _held[key] = 1
        try:
            yield
        finally:
            del _held[key]
    finally:
        os.close(handle)  # the lock goes with it


def _self() -> dict[str, object]:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return {"process": os.getpid(), "machine": platform.node(), "since": since}


def _holder(handle: int) -> str:
    try:
        content = json.loads(os.pread(handle, 4096, 0))
        return f"process {content['process']} on {content['machine']} since {content['since']}"
    except (ValueError, KeyError, TypeError):  # it has the lock and has not written its name yet
        return "another process"
