"""What may be said of a policy: one rule, on what was estimated and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tacit.metrics.intervals import Estimate
from tacit.run.limits import at_least, share

Verdict = Literal["better", "worse", "not told apart", "insufficient evidence"]


@dataclass(frozen=True)
class Rules:
    """The least a log must offer."""

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

    Evidence is insufficient below the floors of effective sample size, above the limit of unsupported mass, or when a
    check failed. Else a policy is better when every lower bound is above 0, worse when every upper bound is below 0.
    """
    rules = rules or Rules()
    lacking = []
    if not ess >= rules.ess:
        lacking.append(f"The log speaks of this policy with {ess:.0f} effective rounds; {rules.ess:g} are needed.")
    if not ess_share >= rules.ess_share:
        lacking.append(
            f"Only {_percent(ess_share)} of the rounds count effectively; {_percent(rules.ess_share)} are needed: "
            "the policy is too far from the one that was served."
        )
    if not unsupported_mass <= rules.unsupported:
        lacking.append(
            f"{_percent(unsupported_mass)} of what the policy would do was hardly ever served; "
            f"{_percent(rules.unsupported)} is allowed."
        )
    lacking += [check.said for check in checks.values() if check.passed is False]
    if lacking:
        return "insufficient evidence", lacking
    told = [_told(name, estimate) for name, estimate in differences.items()]
    ends = list(differences.values())
    if not ends or not all(np.isfinite([one.low, one.high]).all() for one in ends):
        return "insufficient evidence", [*told, "An interval has no ends: too few persons."]
    if all(one.low > 0.0 for one in ends):
        return "better", told
    if all(one.high < 0.0 for one in ends):
        return "worse", told
    return "not told apart", told


def _told(name: str, estimate: Estimate) -> str:
    where = "above" if estimate.low > 0.0 else "below" if estimate.high < 0.0 else "on both sides of"
    return (
        f"{name}: the difference from what was served is {estimate.value:+.4g}, "
        f"95 % interval {estimate.low:+.4g} to {estimate.high:+.4g}, {where} 0."
    )


def _percent(part: float) -> str:
    return f"{100.0 * part:.2g} %"
