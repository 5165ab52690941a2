"""Settings of learning from outcomes."""

from __future__ import annotations

from dataclasses import dataclass

from tacit.run.limits import above, at_least, learning_rate


@dataclass
class OutcomesConfig:
    epochs: int = at_least(1, default=2)
    batch: int = at_least(1, default=256)  # contexts a step
    lr: float = learning_rate(default=0.02)  # five weights of order one
    group: int = at_least(2, default=8)  # slates a context, of group_credit
    slate_size: int = at_least(1, default=10)  # of them
    beta: float = above(0.0, default=1.0)  # of set_dpo
    cap: float = above(0.0, default=5.0)  # of importance's ratios
    grad_clip: float = at_least(0.0, default=1.0)
