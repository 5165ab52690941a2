"""Ways that take turns in one process: medians of CPU seconds, so that what else the machine does costs all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def race(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median CPU seconds of each way over ``rounds``, after one that does not count."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            start = time.process_time()
            way()
            if turn:
                times[name].append(time.process_time() - start)
    return {name: statistics.median(found) for name, found in times.items()}
