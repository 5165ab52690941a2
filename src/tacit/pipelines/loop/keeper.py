"""A command that ends with whoever started it: ``python keeper.py COMMAND ...``, its standard input a pipe.

The pipe closes however the other end's process ends, kill -9 included. Then the command is killed, too, so that nothing
stays behind that holds its locks; where a word came before, it is asked to end (SIGTERM) and may do so in peace. Run by
its path, of the standard library alone: it takes a moment to start and little memory.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import BinaryIO

PEACE_S = 30.0  # that a command which was asked to end has


def keep(command: Sequence[str], pipe: BinaryIO) -> int:
    """The command's exit status, once it has ended."""
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C reaches the command by itself
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    threading.Thread(target=_end_with, args=(pipe, process), daemon=True).start()
    return process.wait()


def _end_with(pipe: BinaryIO, process: subprocess.Popen[bytes]) -> None:
    if pipe.read():
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PEACE_S)
    process.kill()


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1:], sys.stdin.buffer))
