"""What a policy must not do for its gain, on logged contexts: one guard, one function, one limit.

Each takes what was measured of the candidate and of the current policy on the same contexts, and says in a sentence
whether it holds. What could not be measured does not hold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from tacit.run.limits import at_least, share


@dataclass(frozen=True)
class Reason:
    """What one rule says. ``passed`` is None where it could not be looked at."""

    rule: str
    passed: bool | None
    said: str


@dataclass
class GuardLimits:
    contexts: int = at_least(1, default=100)  # on fewer nothing is measured
    longest: float = at_least(1.0, default=1.25)  # mean words of a reply, of the current policy's
    shortest: float = share(default=0.5)
    diversity: float = share(default=0.7)  # effective number of items shown, of the current policy's
    coverage: float = share(default=0.7)  # different items shown, of the current policy's
    kl: float = at_least(0.0, default=3.0)  # nats a turn, of decision and slate
    refused: float = share(default=0.05)  # how much larger the share of slates that are refused may be
    # An item alarms when its share of all places rises by both: standard errors, and a share of all places.
    rise_sigmas: float = at_least(0.0, default=4.0)
    rise: float = share(default=0.03)


@dataclass(frozen=True)
class Side:
    """Of one policy on the contexts. ``shown``: how often each item stood in a slate."""

    words: float  # mean of a reply
    shown: Mapping[str, int] = field(default_factory=dict)

    @property
    def places(self) -> int:
        return sum(self.shown.values())


@dataclass(frozen=True)
class Measured:
    """``kl``: KL(candidate || current) a turn, nats, infinite where the current one could not have shown a slate.
    ``refused``, ``refused_current``: share of slates in which a person refused an item or left; the candidate's weighed
    by importance. None: there is nothing to take it from."""

    contexts: int
    candidate: Side
    current: Side
    kl: float | None = None
    refused: float | None = None
    refused_current: float | None = None


def all_guards(measured: Measured | None, exam: bool | None, limits: GuardLimits) -> list[Reason]:
    if measured is None or measured.contexts < limits.contexts:
        found = 0 if measured is None else measured.contexts
        said = f"Guards were measured on {found} logged contexts; {limits.contexts} are needed."
        return [Reason("guards", None, said), reward_exam(exam)]
    candidate, current = measured.candidate, measured.current
    return [
        reply_length(candidate.words, current.words, limits),
        diversity(effective_items(candidate.shown), effective_items(current.shown), limits),
        coverage(len(candidate.shown), len(current.shown), limits),
        divergence(measured.kl, limits),
        refused(measured.refused, measured.refused_current, limits),
        poisoning(candidate, current, limits),
        reward_exam(exam),
    ]


def effective_items(shown: Mapping[str, int]) -> float:
    """exp of the entropy of the shares: n items shown equally often count n, one that is shown always counts 1."""
    total = sum(shown.values())
    return (
        math.exp(-sum(count / total * math.log(count / total) for count in shown.values() if count)) if total else 0.0
    )


def reply_length(words: float, words_current: float, limits: GuardLimits) -> Reason:
    """A reward of time spent pays for length; a reply that is cut short says nothing."""
    low, high = limits.shortest * words_current, limits.longest * words_current
    return Reason(
        "reply length",
        low <= words <= high,
        f"Replies have {words:.1f} words on average, those of the current policy {words_current:.1f}; "
        f"{low:.1f} to {high:.1f} are allowed.",
    )


def diversity(items: float, items_current: float, limits: GuardLimits) -> Reason:
    least = limits.diversity * items_current
    said = f"Slates show {items:.1f} effective items, the current policy's {items_current:.1f}; {least:.1f} are needed."
    return Reason("diversity", items >= least, said)


def coverage(items: int, items_current: int, limits: GuardLimits) -> Reason:
    least = limits.coverage * items_current
    said = f"Slates show {items} different items, the current policy's {items_current}; {least:.0f} are needed."
    return Reason("coverage", items >= least, said)


def divergence(kl: float | None, limits: GuardLimits) -> Reason:
    if kl is None:
        return Reason("KL to the logger", None, "How far the policy is from the current one was not measured.")
    if not math.isfinite(kl):
        return Reason("KL to the logger", False, "The policy shows what the current one never could have shown.")
    said = f"A turn is {kl:.2f} nats from the current policy; {limits.kl:g} are allowed."
    return Reason("KL to the logger", kl <= limits.kl, said)


def refused(rate: float | None, rate_current: float | None, limits: GuardLimits) -> Reason:
    if rate is None or rate_current is None or not (math.isfinite(rate) and math.isfinite(rate_current)):
        return Reason("refusals", None, "The log does not tell how often slates of the policy would be refused.")
    most = rate_current + limits.refused
    said = f"{rate:.1%} of the slates would be refused, {rate_current:.1%} were; {most:.1%} are allowed."
    return Reason("refusals", rate <= most, said)


def poisoning(candidate: Side, current: Side, limits: GuardLimits) -> Reason:
    """One item that rises alone, as when somebody's sessions were made to push it.

    σ is the standard error of a difference of two shares, √(s(1-s)/n + s'(1-s')/n'), with half a place added to each
    count, so that an item that was never shown has one.
    """
    alarms = []
    for item in sorted({*candidate.shown, *current.shown}):
        share, error = _share(candidate.shown.get(item, 0), candidate.places)
        before, error_before = _share(current.shown.get(item, 0), current.places)
        rise = share - before
        if rise > limits.rise and rise > limits.rise_sigmas * math.hypot(error, error_before):
            alarms.append((rise, f"{item} from {before:.1%} to {share:.1%}"))
    if alarms:
        named = "; ".join(said for _, said in sorted(alarms, reverse=True)[:3])
        return Reason("poisoning alarm", False, f"Single items rise in what is shown: {named}.")
    return Reason("poisoning alarm", True, f"No item's share of what is shown rises by more than {limits.rise:.1%}.")


def reward_exam(passed: bool | None) -> Reason:
    if passed is None:
        return Reason("reward exam", None, "No examination of the reward it was trained on is there.")
    if passed:
        return Reason("reward exam", True, "The reward it was trained on passed its examination.")
    return Reason("reward exam", False, "The reward it was trained on failed its examination.")


def _share(count: int, places: int) -> tuple[float, float]:
    """A share and its standard error, half a place added on each side."""
    share = (count + 0.5) / (places + 1.0)
    return share, math.sqrt(share * (1.0 - share) / (places + 1.0))
