"""What may be said of a policy: one rule, on what was estimated and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tacit.metrics.intervals import Estimate
from tacit.run.limits import at_least, share

Verdict = Literal["better", "worse", "not told apart", "insufficient evidence"]
Primary = Literal["both", "SNIPS", "snRIPS"]
LEADING = ("SNIPS", "snRIPS")  # what a verdict rests on


@dataclass(frozen=True)
class Rules:
    """The least a log must offer, and whose interval decides. ``primary`` is named before the log is read: picking the
    estimator that says what one likes to hear would make of 2.5 % a larger error rate."""

    primary: Primary = "both"
    ess: float = at_least(0.0, default=200.0)
    ess_share: float = share(default=0.01)
    unsupported: float = share(default=0.05)


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: ``passed`` is None where the log does not let one look; ``said`` is a sentence."""

    passed: bool | None
    said: str


def verdict(
    differences: Mapping[str, Estimate],
    ess: float,
    ess_share: float,
    unsupported_mass: float,
    checks: Mapping[str, Check],
    rules: Rules | None = None,
) -> tuple[Verdict, list[str]]:
    """(verdict, why in sentences). ``differences``: of SNIPS, and of snRIPS where places have rewards, from what the
    log earned.

    Evidence is insufficient below the floors of effective sample size, above the limit of unsupported mass, when a
    check failed, or when the primary estimator is not to be had. Else a policy is better when every lower bound that
    decides is above 0, worse when every such upper bound is below 0, and the other estimate has the same sign.
    """
    rules = rules or Rules()
    lacking = []
    if rules.primary != "both" and rules.primary not in differences:
        lacking.append(f"{rules.primary} was named to decide, and the log does not tell it: places have no rewards.")
    if not ess >= rules.ess:
        lacking.append(f"The log speaks of this policy with {ess:.0f} effective rounds; {rules.ess:g} are needed.")
    if not ess_share >= rules.ess_share:
        lacking.append(
            f"Only {percent(ess_share)} of the rounds count effectively; {percent(rules.ess_share)} are needed: "
            "the policy is too far from the one that was served."
        )
    if not unsupported_mass <= rules.unsupported:
        lacking.append(
            f"{percent(unsupported_mass)} of what the policy would do was hardly ever served; "
            f"{percent(rules.unsupported)} is allowed."
        )
    lacking += [check.said for check in checks.values() if check.passed is False]
    if lacking:
        return "insufficient evidence", lacking
    named = deciding(rules.primary)
    told = [_told(name, estimate, name in named) for name, estimate in differences.items()]
    ends = [one for name, one in differences.items() if name in named]
    signs = [one.value for name, one in differences.items() if name not in named]
    if not ends or not all(np.isfinite([one.low, one.high]).all() for one in ends):
        return "insufficient evidence", [*told, "An interval has no ends: too few persons."]
    if all(one.low > 0.0 for one in ends) and all(sign > 0.0 for sign in signs):
        return "better", told
    if all(one.high < 0.0 for one in ends) and all(sign < 0.0 for sign in signs):
        return "worse", told
    return "not told apart", told


def deciding(primary: Primary) -> tuple[str, ...]:
    """The estimators whose intervals decide; of the others among ``LEADING`` the sign must agree."""
    return LEADING if primary == "both" else (primary,)


def _told(name: str, estimate: Estimate, decides: bool) -> str:
    if not np.isfinite([estimate.low, estimate.high]).all():
        return f"{name}: the difference from what was served is {estimate.value:+.4g}, and no interval can be told."
    if estimate.low == estimate.high == 0.0:
        return f"{name}: exactly what was served, in every resample of persons."
    where = "above" if estimate.low > 0.0 else "below" if estimate.high < 0.0 else "on both sides of"
    return (
        f"{name}: the difference from what was served is {estimate.value:+.4g}, "
        f"95 % interval {estimate.low:+.4g} to {estimate.high:+.4g}, {where} 0"
        + ("." if decides else "; its sign alone counts.")
    )


def percent(part: float) -> str:
    """A share in words, with two digits that count."""
    return f"{100.0 * part:.2g} %" if part < 0.095 else f"{100.0 * part:.0f} %"
