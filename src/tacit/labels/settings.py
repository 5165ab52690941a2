"""What a label depends on beside the log. Every number here is hashed into ``label_fn``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tacit.run.limits import above, at_least, between, weights


@dataclass
class LabelSettings:
    window_s: float = at_least(0.0, default=1800.0)  # an exposure is mature once its session was silent for so long
    expiry_days: int = between(0, 30, default=1)  # days after an exposure's own on which its events are looked for
    sessions_per_account: int = at_least(1, default=3)  # an account counts as at most so many sessions
    visibility_cap: float = at_least(1.0, default=10.0)  # no seen item stands for more than so many of its place
    # shares of an item's engagement: dwell, click, what was said of it
    item_parts: list[float] = field(default_factory=lambda: [0.25, 0.35, 0.4], metadata=weights(3))
    # shares of a turn's engagement: dwell, scroll depth, click, going on, what was said of it
    turn_parts: list[float] = field(default_factory=lambda: [0.2, 0.1, 0.25, 0.15, 0.3], metadata=weights(5))
    alpha: float = at_least(0.0, default=0.5)  # of the reward: engagement
    beta: float = at_least(0.0, default=0.25)  # relevance
    gamma: float = at_least(0.0, default=0.25)  # sentiment shift
    ridge: float = above(0.0, default=1.0)  # of the dwell regressions, in rows
    valley_rows: int = at_least(2, default=500)  # with fewer dwell times there is no skip threshold

    def conflicts(self) -> Iterator[tuple[str, object, str]]:
        if not self.alpha + self.gamma:
            yield "alpha", self.alpha, "above 0, or gamma must: relevance alone is no feedback"
