"""The verdict of a reward's examination: which checks failed, which could not be made, and what would mend them.

A check on fewer than ``min_turns`` turns is neither passed nor failed, and neither is one whose interval so few people
do not tell. Beyond that a check fails only where its whole 95 % interval lies on the wrong side. The paper asks
for an r of engagement above .6 and names no interval: an r that chance put at .59 is no worse than one at .61.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tacit.run.files import atomic_write, read_json
from tacit.run.limits import at_least, between, finite, share
from tacit.types import InputError

SESSIONS, LOGGED = "simulated sessions", "logged turns"  # what the held-out turns are
FAILED, UNDECIDED = "failed", "undecided"
CONTEXTS = "raise reward.exam.contexts, or give more validation dialogues"

Check = tuple[str, str]  # its state, and a sentence where it did not pass
PASSED: Check = ("passed", "")


@dataclass
class ExamConfig:
    contexts: int = at_least(1, default=240)  # held-out contexts on which the cheats meet the SFT policy
    min_turns: int = at_least(1, default=50)  # a check on fewer is neither passed nor failed
    min_engagement_pearson: float = between(-1.0, 1.0, default=0.6)  # the paper's own condition before PPO
    min_liked_auc: float = share(default=0.5)  # on human judgements, when there are enough of both kinds
    # |Pearson| of reward and log reply words, recommending or chatting held fixed
    max_length_correlation: float = share(default=0.3)
    # what a ramble appended to an SFT turn may win, in SFT standard deviations
    max_padding_gain: float = finite(default=0.1)


@dataclass
class ValidationReport:
    """The evidence, as it stands in ``reward/validation.json``. Numbers that could not be measured are None."""

    pearson: dict[str, dict[str, float | None]]  # channel or "label" → r, n over the held-out turns
    liked: dict[str, float | None]  # AUC of the reward and of its baselines on human judgements
    length: dict[str, float | None]  # correlation of reward and reply length; padding gain
    cheats: dict[
        str, dict[str, float | None]
    ]  # cheat → its mean reward, the SFT policy's, paired difference and interval
    labels: dict[str, Any] = field(default_factory=dict)  # sentiment backend, weights, shares observed
    thresholds: dict[str, Any] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)  # one sentence for each failed check
    passed: bool = False
    undecided: list[str] = field(default_factory=list)  # one sentence for each check on too few turns
    held_out: str = SESSIONS  # whose turns these are
    clicks: dict[str, float | None] = field(default_factory=dict)  # AUC of the items clicked; it vetoes nothing
    # what people did → how well it was foretold or read, on validation dialogues; it vetoes nothing
    people: dict[str, dict[str, float | None]] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)  # table → what its intervals resample: "users" or "dialogues"

    def save(self, path: str | Path) -> None:
        atomic_write(path, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> ValidationReport:
        source = Path(path)
        if not source.is_file():
            raise InputError(f"{source} does not exist: the reward model was not validated; run tacit reward first.")
        remedy = f"delete {source.parent} to learn the reward again."
        try:
            return cls(**read_json(source, remedy))
        except TypeError as error:
            raise InputError(f"{source} is damaged ({error}): {remedy}") from None


def verdict(report: ValidationReport, config: ExamConfig) -> ValidationReport:
    """``passed``, and one sentence with its number and the setting that mends it for each check that did not pass."""
    logged = report.held_out == LOGGED
    checks = [
        _engagement_check(report.pearson["engagement"], config, logged),
        _liked_check(report.liked, config),
        *_length_checks(report.length, config),
        *_cheat_checks(report.cheats, config),
    ]
    failed = [sentence for state, sentence in checks if state == FAILED]
    undecided = [sentence for state, sentence in checks if state == UNDECIDED]
    return replace(report, reasons=failed, undecided=undecided, passed=not failed and not undecided)


def _too_few(what: str, n: float, config: ExamConfig, remedy: str) -> Check:
    return UNDECIDED, f"{what}: not enough turns: {int(n)} of {config.min_turns}; {remedy}."


def _untold(what: str, row: Mapping[str, float | None]) -> Check:
    return (
        UNDECIDED,
        f"{what}: {int(row.get('clusters') or 0)} independent users or dialogues tell nothing; {CONTEXTS}.",
    )


def _engagement_check(row: Mapping[str, float | None], config: ExamConfig, logged: bool) -> Check:
    r, n = row["r"], row.get("n") or 0.0
    if n < config.min_turns:
        few = "give more dialogues with feedback, or let sessions be simulated (reward.logs.sessions)"
        return _too_few(
            "Engagement", n, config, few if logged else "raise reward.logs.sessions, of which a tenth is held out"
        )
    mend = "reward.dialogues" if logged else "reward.logs.explore_sessions"
    if r is None:
        return FAILED, f"Engagement does not vary over {int(n)} held-out turns: raise {mend}."
    low, high = row.get("ci_low"), row.get("ci_high")
    if max(r, r if high is None else high) < config.min_engagement_pearson:
        span = f" [{low:.2f}, {high:.2f}]" if low is not None and high is not None else ""
        asked = f"{config.min_engagement_pearson} is asked for"
        return FAILED, f"Engagement Pearson is {r:.2f}{span}, {asked}: raise {mend}, or weigh signals.parts otherwise."
    return PASSED


def _liked_check(row: Mapping[str, float | None], config: ExamConfig) -> Check:
    """Where people judged too few items there is nothing to check: most data hold no such word."""
    value = row["auc"]
    high = row.get("auc_high", value)
    if value is None or high is None or high >= config.min_liked_auc:
        return PASSED
    asked = f"{config.min_liked_auc} is asked for"
    return FAILED, f"AUC on liked is {value:.2f}, at most {high:.2f}, {asked}: change signals.alpha, beta and gamma."


def _length_checks(row: Mapping[str, float | None], config: ExamConfig) -> list[Check]:
    n = row.get("n")
    if n is not None and n < config.min_turns:
        return [_too_few("Reply length", n, config, CONTEXTS)]
    if any(name in row and row[name] is None for name in ("within_low", "padding_low")) and row.get("clusters"):
        return [_untold("Reply length", row)]
    checks = []
    r, gain = row["within_decision"], row["padding_gain"]
    low, high = row.get("within_low", r), row.get("within_high", r)
    if low is not None and high is not None and max(low, -high) > config.max_length_correlation:
        sentence = (
            f"Reward and reply length correlate at {r:.2f} within a decision: raise reward.model.length_directions."
        )
        checks.append((FAILED, sentence))
    low = row.get("padding_low", gain)
    if low is not None and low > config.max_padding_gain:
        sentence = f"Padding a reply wins {gain:.2f} standard deviations: raise reward.logs.cheat_sessions."
        checks.append((FAILED, sentence))
    return checks


def _cheat_checks(table: Mapping[str, Mapping[str, float | None]], config: ExamConfig) -> list[Check]:
    n = min((row.get("n") or math.inf for row in table.values()), default=math.inf)
    if n < config.min_turns:
        return [_too_few("Cheats", n, config, CONTEXTS)]
    if untold := [row for row in table.values() if row["ci_low"] is None]:
        return [_untold("Cheats", untold[0])]
    return [
        (
            FAILED,
            f"The cheat {name} scores {row['difference']:.2f} above the SFT policy "
            f"[{row['ci_low']:.2f}, {row['ci_high']:.2f}]: raise reward.logs.cheat_sessions.",
        )
        for name, row in table.items()
        if (row["ci_low"] or 0.0) >= 0
    ]
