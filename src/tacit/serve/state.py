"""Everything a running server holds, and who may ask it what."""

from __future__ import annotations

import logging
import math
import time
from asyncio import wrap_future
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.requests import Request

from tacit.events.keys import Keys
from tacit.events.schema import Delivery, Words
from tacit.events.writer import Overloaded, Unwritable, Writer
from tacit.serve.aggregates import Aggregates
from tacit.serve.buckets import Buckets
from tacit.serve.conversations import Sessions
from tacit.serve.engine import Engine
from tacit.serve.http import Problem
from tacit.serve.ingest import PATH, Answers
from tacit.serve.live import Live
from tacit.serve.settings import Rates, Settings
from tacit.serve.tokens import FORM, Scope, Tokens, Who, read_browser_token

log = logging.getLogger(__name__)
DAY_MS = 86_400_000
LATE_S = 1.0


class Metrics:
    """For Prometheus. Labels are of our own making alone: nothing that anybody sent."""

    def __init__(self, state: State) -> None:
        self.registry = own = CollectorRegistry()
        self.requests = Counter("tacit_requests", "Answers by route and status", ["route", "status"], registry=own)
        self.stored = self.requests.labels(PATH, "200")
        self.first_byte = Histogram("tacit_first_byte_seconds", "Of a turn", registry=own)
        self.reply = Histogram("tacit_reply_seconds", "Of a whole turn", registry=own)
        self.turns = Counter("tacit_turns", "Turns by decision", ["decision"], registry=own)
        self.tokens = Counter("tacit_prompt_tokens", "Read anew, or kept of the turn before", ["how"], registry=own)
        self.explored = Counter("tacit_explored_slates", "Slates with a place drawn by epsilon", registry=own)
        self.unlogged = Counter("tacit_unlogged_turns", "Turns that could not be logged", registry=own)
        self.events = Counter("tacit_events", "Events by verdict", ["verdict"], registry=own)
        self.shed = Counter("tacit_shed", "Requests refused for load, by reason", ["reason"], registry=own)
        self.deliveries = Counter("tacit_deliveries", "Exposures by what became of them", ["state"], registry=own)
        self.commit = Histogram("tacit_commit_seconds", "Until events are on disk", registry=own)
        self.policy = Gauge("tacit_policy_info", "1 for each policy that is served", ["model", "version"], registry=own)
        waiting = Gauge("tacit_waiting", "What waits, by queue", ["queue"], registry=own)
        waiting.labels("chat").set_function(lambda: state.engine.waiting)
        waiting.labels("log").set_function(lambda: state.writer.waiting)
        Gauge("tacit_active_turns", "Turns being written", registry=own).set_function(lambda: state.engine.active)


@dataclass
class State:
    settings: Settings
    live: Live
    engine: Engine
    writer: Writer
    keys: Keys
    tokens: Tokens
    aggregates: Aggregates
    static: Path
    log_ok: bool = True  # did the last exposure reach the disk?
    sessions: Sessions = field(init=False)
    metrics: Metrics = field(init=False)
    answers: Answers = field(default_factory=Answers)
    beat_s: float = math.inf  # when the event loop last came round, by the monotonic clock
    _rates: tuple[Buckets, Buckets, Buckets] = field(init=False)

    def __post_init__(self) -> None:
        self.sessions = Sessions(self.writer.store, self.settings.past_sessions)
        self.metrics = Metrics(self)
        rates: Rates = self.settings.rates
        self._rates = (
            Buckets(rates.overall_per_s, rates.overall_burst),
            Buckets(rates.token_per_s, rates.token_burst),
            Buckets(rates.session_per_s, rates.session_burst),
        )

    def forget(self, user: str) -> None:
        """From memory, a person who was deleted, or agrees no longer."""
        self.sessions.forget(user)
        self.engine.forget(user)

    @property
    def late(self) -> bool:
        """Whether the event loop has more to do than it can: what comes now would wait for too long."""
        return time.monotonic() - self.beat_s > LATE_S

    @property
    def page(self) -> bool:
        return self.settings.page or self.settings.dev

    def who(self, request: Request, scope: Scope | None, token: str | None = None) -> Who:
        """401 and 403 where the token is none, or may not; 429 where it asks too often. ``token``: from the body."""
        return self.speaker(request.headers.get("authorization", ""), scope, token)

    def speaker(self, authorization: str, scope: Scope | None, token: str | None = None) -> Who:
        """``who``, of the header alone."""
        kind, _, value = authorization.partition(" ")
        value = value.strip() if kind.lower() == "bearer" else token or ""
        who = self.known(value)
        if who is None:
            self.limit("overall", 0)
            raise Problem(401, "a valid token is needed", "unauthorized")
        self.limit("overall", 0)
        if who.session is None:
            self.limit(who.name, 1)
        else:
            self.limit(who.session, 2)
        if scope is not None and not who.may(scope):
            raise Problem(403, f"the token lacks the scope {scope}", "forbidden")
        return who

    def known(self, token: str, grace_ms: int = 0) -> Who | None:
        if token.startswith(FORM):
            return read_browser_token(self.keys, token, self.writer.now_ms() - grace_ms, frozenset({"chat"}))
        return self.tokens.who(token) if token else None

    def limit(self, key: str, which: int) -> None:
        wait = self._rates[which].wait_s(key)
        if wait > 0.0:
            self.metrics.shed.labels("rate").inc()
            self.aggregates.hour().shed += 1
            raise Problem(429, "too many requests: try again later", "rate_limited", wait)

    async def deliver(self, delivery: Delivery, said: str) -> None:
        """What became of an exposure; a log that cannot take it leaves the exposure undelivered."""
        self.metrics.deliveries.labels(delivery.state).inc()
        try:
            words = Words(exposure_id=delivery.exposure_id, said=said) if said else None
            await wrap_future(self.writer.deliver(delivery, words))
        except (Overloaded, Unwritable) as error:
            log.warning("a delivery was not logged: %s", type(error).__name__)
