"""May this policy be served? A pure function of what the log says of it (``ope.json``) and of its guards.

Every rule gives a reason, passed or not, so that a refusal says all that is in the way. Nothing passes by default: what
is missing, not finite or not to be had counts as not passed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tacit.offpolicy.guards import GuardLimits, Measured, Reason, all_guards
from tacit.offpolicy.verdict import LEADING, Primary, deciding
from tacit.run.limits import at_least, finite, share
from tacit.types import InputError

FORMAT = 1
BETTER = "better"
ALWAYS = "SNIPS"  # must be there; assumes nothing of how people read a slate
_REMEDY = "make it again by `tacit ope`."


@dataclass
class GateConfig:
    primary: Primary = "both"  # whose interval decides, of SNIPS and snRIPS; the report must have been made by the same
    gain: float = finite(default=0.0)  # what the lower end of the gain's interval must be above, a round
    ess: float = at_least(0.0, default=200.0)
    ess_share: float = share(default=0.01)
    unsupported: float = share(default=0.05)
    need_exam: bool = True  # must there be an examination of the reward?
    guards: GuardLimits = field(default_factory=GuardLimits)


@dataclass(frozen=True)
class Decision:
    passed: bool
    reasons: tuple[Reason, ...]

    @property
    def why(self) -> str:
        """One line: what the gain is, or what is in the way."""
        wrong = [reason.said for reason in self.reasons if reason.passed is not True]
        return " ".join(wrong) or " ".join(reason.said for reason in self.reasons if reason.rule.startswith("gain"))

    def to_json(self) -> dict[str, Any]:
        return {"passed": self.passed, "reasons": [asdict(reason) for reason in self.reasons]}


def decide(
    report: Mapping[str, Any],
    measured: Measured | None,
    exam: bool | None,
    policy: str,
    current: str | None,
    config: GateConfig | None = None,
) -> Decision:
    """``policy`` and ``current`` are versions of the registry: the one that asks, and the one it would follow."""
    config = config or GateConfig()
    guards = [
        reason
        for reason in all_guards(measured, exam, config.guards)
        if config.need_exam or reason.rule != "reward exam" or reason.passed is not None
    ]
    reasons = (*_of_report(report, policy, current, config), *guards)
    return Decision(all(reason.passed is True for reason in reasons), reasons)


def read_report(path: Path) -> tuple[dict[str, Any], bytes]:
    """``ope.json`` and its bytes; ``InputError`` where it is none."""
    try:
        content = path.read_bytes()
        report = json.loads(content)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): {_REMEDY}") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path} is damaged, it holds no JSON: {_REMEDY}") from None
    if not isinstance(report, dict) or "verdict" not in report or "target" not in report:
        raise InputError(f"{path} is no report of an off-policy evaluation: {_REMEDY}")
    if report.get("format") != FORMAT:
        raise InputError(f"{path} has format {report.get('format')!r}, and this version reads {FORMAT}: update tacit.")
    return report, content


def _of_report(report: Mapping[str, Any], policy: str, current: str | None, config: GateConfig) -> Iterator[Reason]:
    yield _about(report, policy)
    yield _logged_by(report, current)
    yield _verdict(report)
    yield from _checks(report)
    yield _floor(report, "ess", config.ess, "effective sample", "{:.0f} effective rounds; {:g} are needed.")
    yield _floor(report, "ess_share", config.ess_share, "effective share", "{:.2%} of the rounds count; {:.2%} must.")
    yield _support(report, config)
    yield _estimator(report, config)
    for name in LEADING:
        must = name in (ALWAYS, config.primary)
        if must or name in _mapping(report, "estimates"):
            decides = name in deciding(config.primary)
            yield _gain(report, name, config) if decides else _sign(report, name)


def _about(report: Mapping[str, Any], policy: str) -> Reason:
    said = f"The report is about {report.get('target')}, the policy is {policy}."
    return Reason("the policy", report.get("target") == policy, said)


def _logged_by(report: Mapping[str, Any], current: str | None) -> Reason:
    loggers = report.get("loggers")
    named = [str(one) for one in loggers] if isinstance(loggers, list) else []
    said = f"The log was drawn by {', '.join(named) or 'nobody that is named'}; {current or 'nothing'} is current."
    return Reason("the logger", current in named, said)


def _verdict(report: Mapping[str, Any]) -> Reason:
    because = report.get("because")
    told = " ".join(str(one) for one in because) if isinstance(because, list) else ""
    said = f"The evaluation says: {report.get('verdict')}. {told}".strip()
    return Reason("verdict", report.get("verdict") == BETTER, said)


def _checks(report: Mapping[str, Any]) -> Iterator[Reason]:
    """Each that failed; one that the log does not allow to make is the evaluation's affair, and refuses nothing."""
    checks, failed = _mapping(report, "checks"), False
    for name, check in checks.items():
        passed = check.get("passed", False) if isinstance(check, Mapping) else False
        if passed is not True and passed is not None:
            failed = True
            yield Reason(f"check: {name}", False, str(check.get("said", "")) if isinstance(check, Mapping) else "")
    if not checks:
        yield Reason("checks", None, "The report holds no check of the log's own probabilities.")
    elif not failed:
        yield Reason("checks", True, f"None of the {len(checks)} checks of the log failed.")


def _floor(report: Mapping[str, Any], key: str, least: float, rule: str, form: str) -> Reason:
    value = _number(report, "diagnostics", key)
    if value is None:
        return Reason(rule, None, f"The report does not tell {key}.")
    return Reason(rule, value >= least, form.format(value, least))


def _support(report: Mapping[str, Any], config: GateConfig) -> Reason:
    value = _number(report, "diagnostics", "unsupported_mass")
    if value is None:
        return Reason(
            "support", None, "The report does not tell how much of what the policy does was hardly ever served."
        )
    said = f"{value:.2%} of what the policy does was hardly ever served; {config.unsupported:.2%} is allowed."
    return Reason("support", value <= config.unsupported, said)


def _estimator(report: Mapping[str, Any], config: GateConfig) -> Reason:
    """Reports of before there was a choice were made by both."""
    named = report.get("primary", "both")
    said = f"The verdict rests on {named}, named before the log was read; the gate asks for {config.primary}."
    return Reason("estimator", named == config.primary, said)


def _sign(report: Mapping[str, Any], name: str) -> Reason:
    value = _number(report, "estimates", name, "difference")
    if value is None:
        return Reason(f"sign of {name}", None, f"The report has no gain by {name}.")
    said = f"{name}: {value:+.4g} a round; it must be above 0 beside the estimator that decides."
    return Reason(f"sign of {name}", value > 0.0, said)


def _gain(report: Mapping[str, Any], name: str, config: GateConfig) -> Reason:
    low = _number(report, "estimates", name, "difference_low")
    value = _number(report, "estimates", name, "difference")
    if low is None or value is None:
        return Reason(f"gain by {name}", None, f"The report has no gain by {name} with a lower end.")
    reward = report.get("reward") or "reward"
    said = f"{name}: {value:+.4g} {reward} a round, at least {low:+.4g}; more than {config.gain:g} is needed."
    return Reason(f"gain by {name}", low > config.gain and value >= low, said)


def _mapping(report: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = report.get(key)
    return value if isinstance(value, Mapping) else {}


def _number(report: Mapping[str, Any], *keys: str) -> float | None:
    """A finite number at a path; None for everything else."""
    value: Any = report
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None
