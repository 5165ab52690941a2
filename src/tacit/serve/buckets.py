"""Rates: a bucket that fills steadily, and is emptied by one a request."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable


class Buckets:
    """One bucket a key, of ``burst`` that fills by ``per_second``. The oldest are forgotten, which fills them."""

    def __init__(
        self, per_second: float, burst: float, most: int = 50_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.per_second, self.burst, self._most, self._clock = per_second, burst, most, clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, key: str) -> float:
        """0.0, and one is taken; else seconds until there is one, and nothing is taken."""
        now = self._clock()
        level, then = self._levels.pop(key, (self.burst, now))
        level = min(self.burst, level + (now - then) * self.per_second)
        wait = 0.0 if level >= 1.0 else (1.0 - level) / self.per_second
        self._levels[key] = (level - 1.0 if wait == 0.0 else level), now
        while len(self._levels) > self._most:
            self._levels.popitem(last=False)
        return wait
