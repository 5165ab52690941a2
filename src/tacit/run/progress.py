"""Progress with time left: a bar on a terminal, a plain line every ten seconds otherwise. Always on stderr."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tacit.run.terminal import printable

_EVERY_S = 10.0


class Ticker:
    """Counts finished steps and says so. ``note`` is a few words beside the count, such as a loss.

    ``total`` 0 is "not known": the steps are counted, without time left.
    """

    def __init__(self, total: int, what: str, bar: Progress | None) -> None:
        self.total = total
        self.what = what = printable(what)
        self.done = 0
        self._bar = bar
        self._task = bar.add_task(what, total=total or None, note="") if bar is not None else None
        self._start = self._said = time.monotonic()
        self._found = 0

    def resume(self, done: int) -> None:
        """Steps that an earlier process did: they count as done and tell nothing about the pace."""
        self.done = self._found = done
        if self._bar is not None and self._task is not None:
            self._bar.reset(self._task, total=self.total or None, completed=done)

    def advance(self, n: int = 1, note: str = "") -> None:
        self.done += n
        note = printable(note)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=n, note=note)
            return
        now = time.monotonic()
        if now - self._said >= _EVERY_S:
            self._said = now
            print(self.line(now - self._start, note), file=sys.stderr, flush=True)

    def line(self, elapsed_s: float, note: str = "") -> str:
        here = self.done - self._found
        left = elapsed_s / here * max(self.total - self.done, 0) if here else float("nan")
        share = f"{self.done}/{self.total} ({self.done / self.total:.0%})" if self.total else str(self.done)
        time_left = f", {_clock(left)} left" if left == left and self.total else ""
        return f"{self.what}: {share}{time_left}{', ' + note if note else ''}"

    def finished(self) -> None:
        elapsed_s = time.monotonic() - self._start
        if self._bar is None and self._said > self._start:
            print(f"{self.what}: done in {_clock(elapsed_s)}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def progress(total: int, what: str) -> Iterator[Ticker]:
    """``with progress(len(batches), "sft") as bar: ... bar.advance(note=f"loss {loss:.2f}")``."""
    if not sys.stderr.isatty():
        ticker = Ticker(total, what, None)
        yield ticker
        ticker.finished()
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield Ticker(total, what, bar)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
