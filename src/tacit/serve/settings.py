"""What a server is told: how slates are drawn, how long things last, and how much anybody may ask."""

from __future__ import annotations

from dataclasses import dataclass, field

from tacit.run.limits import above, at_least, share
from tacit.serve.canary import CanaryConfig
from tacit.serve.engine import EngineConfig
from tacit.slates import Mixture


@dataclass
class Rates:
    """Requests: a steady rate a second, and how many at once. Several processes limit at the proxy."""

    session_per_s: float = above(0.0, default=2.0)
    session_burst: float = at_least(1.0, default=30.0)
    token_per_s: float = above(0.0, default=500.0)
    token_burst: float = at_least(1.0, default=2_000.0)
    overall_per_s: float = above(0.0, default=5_000.0)
    overall_burst: float = at_least(1.0, default=10_000.0)


@dataclass
class Settings:
    epsilon: float = share(default=0.02)
    temperature: float = above(0.0, default=1.0)
    top_k: int = at_least(0, default=0)  # 0: no truncation
    greedy: bool = False  # always the likeliest turn, logged as deterministic
    dev: bool = False
    page: bool = False  # may anyone open a session?
    origins: tuple[str, ...] = ()  # other sites whose pages may ask; none by default
    session_s: float = above(0.0, default=3600.0)  # of a browser's token
    exposure_s: float = above(0.0, default=86_400.0)  # later events are refused
    model_s: float = above(0.0, default=30.0)  # a model that says nothing for so long is given up
    body_s: float = above(0.0, default=10.0)  # for a request to arrive
    past_sessions: int = at_least(0, default=3)  # of a person who comes back
    rates: Rates = field(default_factory=Rates)
    engine: EngineConfig = field(default_factory=EngineConfig)
    canary: CanaryConfig = field(default_factory=CanaryConfig)

    def mixture(self) -> Mixture:
        if self.greedy:
            return Mixture(epsilon=0.0, top_k=1)
        return Mixture(self.epsilon, self.temperature, self.top_k or None)
