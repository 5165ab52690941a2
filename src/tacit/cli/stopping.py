"""Ctrl-C, SIGTERM and a closed terminal: one sentence, the shell's exit code, and nothing half written left behind.

The signal becomes an exception, so that every file and folder that is being written cleans up after itself. A second
one ends the process at once, as if there were no handler.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from types import FrameType

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Stopped(KeyboardInterrupt):
    """The process was asked to stop, by signal ``number``."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def raise_on_signals() -> None:
    """From now on signals that ask to stop raise ``Stopped``; those that the process was started to ignore stay so."""
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)


def _raise(number: int, _: FrameType | None) -> None:
    for other in _SIGNALS:
        if signal.getsignal(other) is _raise:
            signal.signal(other, signal.SIG_DFL)
    raise Stopped(number)


def tell(stop: KeyboardInterrupt, goes_on: bool) -> int:
    """Say on stderr that it stopped; the exit code, 128 and the signal's number, as shells have it."""
    with contextlib.suppress(OSError):  # the terminal may be gone
        # On a terminal the cursor stands behind the ^C that it showed, or behind a bar that was never ended.
        start = "\n" if sys.stderr.isatty() else ""
        print(f"{start}tacit: stopped{'; the same command goes on' if goes_on else ''}", file=sys.stderr, flush=True)
    return 128 + (stop.number if isinstance(stop, Stopped) else signal.SIGINT)
