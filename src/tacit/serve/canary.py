"""A candidate beside the current version: who is given it, what its sessions come to, and when it grows or is ended.

A session that begins while the canary runs is given the candidate by the hash of its name (``pointer.Canary``), with
the share in force at that moment as its probability, and stays with it. Its outcome is what happened until ``window_s``
after it began, whoever looks when: sessions count in the order in which they began, each once its window has passed, so
that looking often is what ``offpolicy.sequential`` allows it to be.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tacit.events.schema import Event
from tacit.events.store import Record, Store, chunks, records
from tacit.events.tables import exposures
from tacit.offpolicy.sequential import Trial, confidence_sequence, evidence_of_worse
from tacit.run.limits import above, at_least, share
from tacit.serve.pointer import Canary

log = logging.getLogger(__name__)
SETTLE_MS = 3_000  # after a share was changed: until every server has seen it, sessions do not count


@dataclass
class CanaryConfig:
    first_share: float = share(default=0.05)  # of sessions
    second_share: float = share(default=0.5)
    sessions: int = at_least(1, default=200)  # of the candidate at each share, before the next; then it becomes current
    alpha: float = above(0.0, high=1.0, default=0.05)  # of ever ending a candidate that is not worse, whichever signal
    margin: float = share(default=0.0)  # how much lower a signal may be
    tolerance: float = share(default=0.1)  # a larger loss in any signal must be ruled out before it becomes current
    window_s: float = above(0.0, default=1800.0)
    per_person: int = at_least(1, default=3)  # a person's later sessions do not count
    check_s: float = above(0.0, default=10.0)


def _accepted(event: Event) -> bool:
    return event.kind in ("accept", "more_like_this") or (event.kind == "thumb" and event.value == 1)


def _clicked(event: Event) -> bool:
    return event.kind in ("click", "expand")


def _refused(event: Event) -> bool:
    return event.kind in ("not_for_me", "dismiss") or (event.kind == "thumb" and event.value == -1)


# Name → did it happen in a session, and is that good? Outcomes are turned so that more is better.
SIGNALS: dict[str, tuple[Callable[[Event], bool], bool]] = {
    "accepted": (_accepted, True),
    "clicked": (_clicked, True),
    "refused": (_refused, False),
}


@dataclass(frozen=True)
class Signal:
    """What one signal tells: shares of sessions in which it came, the difference's interval at any time, the largest
    loss that this leaves possible, and the evidence that the candidate is worse, of which 1/α is enough."""

    of_candidate: float | None
    of_current: float | None
    low: float
    high: float
    loss: float
    evidence: float


@dataclass(frozen=True)
class Look:
    """What the log tells now, and what is to be done."""

    action: Literal["wait", "grow", "promote", "roll back"]
    because: str
    sessions: int  # of the candidate
    beside: int  # of the current version
    signals: dict[str, Signal]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Watch:
    """Reads on where it stopped. One of these looks at one canary's sessions; for another one, make another."""

    def __init__(self, store: Store, canary: Canary, current: str, config: CanaryConfig) -> None:
        self.store, self.canary, self.current, self.config = store, canary, current, config
        self.trials: dict[str, list[Trial]] = {name: [] for name in SIGNALS}
        self._since: list[int] = []  # when each session that counts began
        self._read_to = canary.shares[0][0] - 1
        self._persons = Counter[str]()

    def grown(self, canary: Canary) -> Watch:
        """The same canary with another share."""
        self.canary = canary
        return self

    def look(self, now_ms: int) -> Look:
        until = now_ms - int(self.config.window_s * 1000)
        for session in _begun(self.store, self._read_to, until):
            self._count(session)
        self._read_to = max(self._read_to, until)
        return decide(self.trials, self._at_this_share(), self.canary, self.config)

    def _count(self, session: Sequence[Record]) -> None:
        """A session whose first turn is ``session[0]``, if it was given its version by the hash and by nothing else."""
        first = session[0].exposure
        share = _share_at(self.canary, first.created_ms)
        if share is None or first.policy_version not in (self.canary.version, self.current):
            return
        candidate = first.policy_version == self.canary.version
        if candidate != (self.canary.place(first.session_id) < share):
            return
        self._persons[first.user] += 1
        if self._persons[first.user] > self.config.per_person:
            return
        end = first.created_ms + int(self.config.window_s * 1000)
        seen = [event for record in session for received, event in record.events if received <= end]
        self._since.append(first.created_ms)
        for name, (happened, good) in SIGNALS.items():
            outcome = any(happened(event) for event in seen) == good
            self.trials[name].append(Trial(candidate, share, float(outcome)))

    def _at_this_share(self) -> int:
        """Sessions of the candidate that began since the share in force is."""
        since, trials = self.canary.shares[-1][0], next(iter(self.trials.values()))
        return sum(trial.candidate and begun >= since for begun, trial in zip(self._since, trials, strict=True))


def decide(trials: dict[str, list[Trial]], at_this_share: int, canary: Canary, config: CanaryConfig) -> Look:
    """End it where any signal tells that it is worse, at α shared among the signals; else grow by the plan."""
    signals = {name: _signal(rows, SIGNALS[name][1], config) for name, rows in trials.items()}
    enough = len(signals) / config.alpha
    rows = next(iter(trials.values()))
    candidate = sum(trial.candidate for trial in rows)
    worse = [name for name, signal in signals.items() if signal.evidence >= enough]

    def look(action: Literal["wait", "grow", "promote", "roll back"], because: str) -> Look:
        return Look(action, because, candidate, len(rows) - candidate, signals)

    if worse:
        said = "; ".join(_said(name, signals[name]) for name in worse)
        return look("roll back", f"worse than the current version in what people do: {said}")
    if at_this_share < config.sessions:
        return look(
            "wait", f"{at_this_share} of {config.sessions} sessions at a share of {canary.share:.0%}, none tells"
        )
    if canary.share < config.second_share:
        return look("grow", f"{at_this_share} sessions at a share of {canary.share:.0%}, no signal is worse")
    open_loss = {name: signal.loss for name, signal in signals.items() if signal.loss > config.tolerance}
    if open_loss:
        said = ", ".join(f"{name} may be {loss:.1%} worse" for name, loss in open_loss.items())
        return look("wait", f"too few sessions to rule out a loss above {config.tolerance:.0%}: {said}")
    return look("promote", f"{at_this_share} sessions at a share of {canary.share:.0%}, no signal is worse")


def _signal(trials: Sequence[Trial], good: bool, config: CanaryConfig) -> Signal:
    evidence = evidence_of_worse(trials, config.margin)
    low, high = confidence_sequence(trials, config.alpha / len(SIGNALS))
    loss = -low
    if not good:
        low, high = -high, -low
    most = float(evidence.max()) if len(evidence) else 1.0
    return Signal(_rate(trials, True, good), _rate(trials, False, good), low, high, loss, most)


def _rate(trials: Sequence[Trial], candidate: bool, good: bool) -> float | None:
    """Share of the sessions of one version in which the signal came; None where it had none."""
    outcomes = [trial.outcome if good else 1.0 - trial.outcome for trial in trials if trial.candidate == candidate]
    return sum(outcomes) / len(outcomes) if outcomes else None


def _said(name: str, signal: Signal) -> str:
    def percent(rate: float | None) -> str:
        return "none" if rate is None else f"{rate:.1%}"

    return f"{name} in {percent(signal.of_candidate)} of its sessions, {percent(signal.of_current)} of the others"


def _share_at(canary: Canary, begun_ms: int) -> float | None:
    """The share in force when a session began; None before it, and while servers may not have seen it yet."""
    found = None
    for since, value in canary.shares:
        if since <= begun_ms:
            found = value if begun_ms >= since + SETTLE_MS else None
    return found


def _begun(store: Store, after_ms: int, until_ms: int) -> list[list[Record]]:
    """Sessions whose first turn was logged after one moment and until another, by when they began."""
    if until_ms <= after_ms:
        return []
    with store.reading() as connection:
        opened = [
            record.exposure
            for record in records(connection, exposures.c.created_ms > after_ms, exposures.c.created_ms <= until_ms)
            if record.exposure.turn == 0
        ]
        found: dict[str, list[Record]] = {}
        for names in chunks(dict.fromkeys(exposure.session_id for exposure in opened)):
            for record in records(connection, exposures.c.session_id.in_(names)):
                found.setdefault(record.exposure.session_id, []).append(record)
    begun = [session for session in found.values() if session[0].exposure.turn == 0]
    fresh = [session for session in begun if session[0].exposure.created_ms > after_ms]  # else: its turn 0 asked again
    return sorted(fresh, key=lambda session: (session[0].exposure.created_ms, session[0].exposure.exposure_id))
