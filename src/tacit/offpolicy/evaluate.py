"""From a log to what may be said of another policy: estimates, diagnostics, checks, verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tacit.metrics.intervals import Estimate
from tacit.metrics.weights import effective_sample_size
from tacit.offpolicy import checks
from tacit.offpolicy import estimators as e
from tacit.offpolicy import ratios as r
from tacit.offpolicy.diagnostics import (
    Diagnostics,
    calibration,
    ends,
    quantile,
    tail_index,
    unsupported_mass,
)
from tacit.offpolicy.estimators import Terms
from tacit.offpolicy.inference import intervals
from tacit.offpolicy.log import Log
from tacit.offpolicy.reward_model import Predicted, cross_fitted, worth_of_click
from tacit.offpolicy.verdict import LEADING, Check, Primary, Rules, Verdict, verdict
from tacit.run.limits import at_least, random_seed
from tacit.types import Floats64

LOGGED = "logged"
NO_VERSION = "logged"  # what drew the log, where it names no version
SMALL_VERSION = 200  # versions with fewer rounds are not judged by themselves


@dataclass(frozen=True)
class Settings:
    draws: int = at_least(100, default=1000)  # resamples of persons
    folds: int = at_least(2, default=5)  # of the reward model
    seed: int = random_seed(default=0)  # of both
    rules: Rules = field(default_factory=Rules)


@dataclass(frozen=True)
class Evaluation:
    """``estimates`` are rewards a round by estimator, ``differences`` the same minus ``logged_value``, paired."""

    loggers: tuple[str, ...]
    target: str
    reward: str
    rounds: int
    sessions: int
    persons: int
    logged_value: Estimate
    estimates: dict[str, Estimate]
    differences: dict[str, Estimate]
    diagnostics: Diagnostics
    checks: dict[str, Check]
    primary: Primary
    verdict: Verdict
    because: list[str]

    def as_json(self) -> dict[str, Any]:
        """The form of ``ope.json``. None stands for what is not finite, such as an end that an interval has not."""
        return {
            "format": 1,
            "loggers": list(self.loggers),
            "target": self.target,
            "rounds": self.rounds,
            "sessions": self.sessions,
            "persons": self.persons,
            "reward": self.reward,
            "logged_value": ends(self.logged_value),
            "estimates": {
                name: ends(value) | _of_difference(self.differences[name]) for name, value in self.estimates.items()
            },
            "diagnostics": self.diagnostics.as_json(),
            "checks": {name: {"passed": check.passed, "said": check.said} for name, check in self.checks.items()},
            "primary": self.primary,
            "verdict": self.verdict,
            "because": self.because,
        }


def _of_difference(difference: Estimate) -> dict[str, float | None]:
    told = ends(difference)
    return {"difference": told["value"], "difference_low": told["low"], "difference_high": told["high"]}


def evaluate(
    log: Log,
    settings: Settings | None = None,
    target: str = "target",
    reward: str = "reward",
    more_checks: Mapping[str, Check] | None = None,
) -> Evaluation:
    """What the policy whose probabilities are ``log.target`` would have earned a round, and whether to believe it.

    ``target`` and ``reward`` are names. ``more_checks``: what the caller looked at itself; one that failed counts.
    """
    settings = settings or Settings()
    generator = np.random.default_rng(settings.seed)
    predicted = cross_fitted(log, generator, settings.folds)
    weights = r.slate_ratios(r.decision_ratios(log), r.place_ratios(log))
    terms = estimators(log, predicted) | _of_clicks(log, generator, settings.folds)
    inner = _inner_terms(log, weights)
    contrasts = _contrasts(terms) | {name: {name: 1.0} for name in inner if name.startswith("mean ")}
    contrasts |= _gaps(terms, inner)
    found = intervals(terms | inner, contrasts, log.clusters, generator, settings.draws)
    for name in ("DM", f"DM - {LOGGED}"):  # chance among the rounds is the least of what may be wrong with it
        if name in found:
            found[name] = replace(found[name], low=-math.inf, high=math.inf)
    diagnostics, looked = _diagnose(log, weights, predicted, found)
    return _conclude(log, settings, target, reward, terms, found, diagnostics, looked | dict(more_checks or {}))


def estimators(log: Log, predicted: Predicted | None = None) -> dict[str, Terms]:
    """Every estimator that the log has what it needs for, by name, after what the log earned."""
    decisions, places = r.decision_ratios(log), r.place_ratios(log)
    whole, counts, total = r.slate_ratios(decisions, places), log.counts, log.slate_rewards
    marginals = r.marginal_ratios(log)
    terms = {
        LOGGED: e.logged_value(total, counts),
        "IPS": e.ips(whole, total, counts),
        "SNIPS": e.snips(whole, total, counts),
    }
    if log.places > 1:
        inverse = r.pseudo_inverse_weights(decisions, marginals)
        terms["PI"] = e.pseudo_inverse(inverse, total, counts)
        terms["snPI"] = e.self_normalised_pi(inverse, total, counts)
    if log.by_place:
        rewards = np.where(log.shown, log.rewards, 0.0)
        prefixes = r.prefix_ratios(decisions, places)
        terms["IIPS"] = e.iips(decisions[:, None] * marginals, rewards, counts)
        terms["RIPS"] = e.rips(prefixes, rewards, counts)
        terms["snRIPS"] = e.snrips(prefixes, rewards, counts)
        if predicted is not None:
            before = np.hstack([decisions[:, None], prefixes[:, :-1]])
            q = (predicted.q, predicted.q_target)
            terms["cascade-DR"] = e.cascade_dr(prefixes, before, rewards, *q, counts)
            if predicted.of_slates is not None:
                terms["DM"] = e.direct_method(predicted.of_slates, counts)
    return terms


def _of_clicks(log: Log, generator: np.random.Generator, folds: int) -> dict[str, Terms]:
    """CIPS, and CDR with the mean worth of a click of other persons, where the log tells probabilities of clicks."""
    if log.logged_click is None or not log.by_place:
        return {}
    ratios, rewards = r.click_ratios(log), np.where(log.shown, log.rewards, 0.0)
    terms = {"CIPS": e.cips(ratios, rewards, log.counts)}
    if log.clicks is not None and log.target_clicks is not None:
        clicks = np.where(log.shown, log.clicks, 0.0)
        worth = worth_of_click(log, clicks, generator, folds)
        q = np.repeat(worth[:, None], log.places, axis=1)
        terms["CDR"] = e.cdr(ratios, clicks, rewards, q, worth * log.target_clicks, log.counts)
    return terms


def _contrasts(terms: Mapping[str, Terms]) -> dict[str, dict[str, float]]:
    """Each estimate, and each less what the log earned."""
    levels = {name: {name: 1.0} for name in terms}
    return levels | {f"{name} - {LOGGED}": {name: 1.0, LOGGED: -1.0} for name in terms if name != LOGGED}


def _inner_terms(log: Log, weights: Floats64) -> dict[str, Terms]:
    """Mean weights, and SNIPS on parts of the log: what checks compare."""
    counts, total = log.counts, log.slate_rewards
    terms = {"mean weight": e.logged_value(weights, counts)}
    prefixes = r.prefix_ratios(r.decision_ratios(log), r.place_ratios(log))
    if log.places > 1 or log.logged_decision is not None:
        for k in range(log.places):
            terms[f"mean place {k}"] = e.logged_value(prefixes[:, k], counts)
    parts = {}
    for name, rows in _versions(log).items():
        terms[f"mean version {name}"] = e.logged_value(weights, counts * rows)
        parts[f"version {name}"] = rows
    if log.uniform is not None and log.uniform.any() and not log.uniform.all():
        parts["uniform"] = log.uniform
    for name, rows in parts.items():
        terms[f"of {name}"] = e.snips(weights, total, counts * rows)
        terms[f"without {name}"] = e.snips(weights, total, counts * ~rows)
    return terms


def _versions(log: Log) -> dict[str, Any]:
    """Rows of each policy that drew many rounds, where several did."""
    if log.versions is None:
        return {}
    names, counts = np.unique(log.versions.astype(str), return_counts=True)
    if len(names) < 2:
        return {}
    text = log.versions.astype(str)
    return {name: text == name for name, count in zip(names.tolist(), counts, strict=True) if count >= SMALL_VERSION}


def _gaps(terms: Mapping[str, Terms], inner: Mapping[str, Terms]) -> dict[str, dict[str, float]]:
    gaps = {f"gap {name}": {"SNIPS": 1.0, name: -1.0} for name in ("snRIPS", "cascade-DR") if name in terms}
    if terms["SNIPS"].numerators.shape == terms.get("snRIPS", terms["IPS"]).numerators.shape:
        gaps.pop("gap snRIPS", None)  # of one place, the two are the same
    parts = [name.removeprefix("of ") for name in inner if name.startswith("of ")]
    return gaps | {f"part {name}": {f"of {name}": 1.0, f"without {name}": -1.0} for name in parts}


def _diagnose(
    log: Log, weights: Floats64, predicted: Predicted, found: Mapping[str, Estimate]
) -> tuple[Diagnostics, dict[str, Check]]:
    weighted = log.counts * weights
    prefixes = r.prefix_ratios(r.decision_ratios(log), r.place_ratios(log)) * log.counts[:, None]
    ess, total = effective_sample_size(weighted), float(weighted.sum())
    by_place = tuple(one for name, one in found.items() if name.startswith("mean place "))
    recounted, table = checks.recount(log)
    shown = log.shown if log.by_place else np.zeros_like(log.shown)
    diagnostics = Diagnostics(
        ess=ess,
        ess_share=ess / log.n,
        ess_by_place=tuple(effective_sample_size(column) for column in prefixes.T),
        ess_by_version={name: effective_sample_size(weighted[rows]) for name, rows in _all_versions(log).items()},
        max_weight_share=float(weighted.max()) / total if total > 0.0 else 1.0,
        weight_p99=quantile(weights, 0.99),
        weight_p999=quantile(weights, 0.999),
        tail_index=tail_index(weights),
        unsupported_mass=unsupported_mass(log, weighted, found["mean weight"]),
        mean_weight=found["mean weight"],
        mean_weight_by_place=by_place,
        q_calibration=calibration(predicted.q[shown], log.rewards[shown]) if shown.any() else (),
        recount=table,
    )
    of_versions = {n.removeprefix("mean version "): one for n, one in found.items() if n.startswith("mean version ")}
    looked = {
        "mean weight": checks.mean_weight(found["mean weight"], by_place, of_versions),
        "drawn by chance": checks.drawn_by_chance(log),
        "A/A": checks.on_itself(log),
        "estimators agree": checks.agreement(_named(found, "gap ")),
        "versions agree": checks.versions_agree(_named(found, "part version ")),
        "uniform rounds": checks.uniform_truth(found.get("part uniform")),
        "one probability": checks.one_probability(log),
        "inverse counts": checks.inverse_counts(log),
        "recount": recounted,
        "rounding": checks.rounding(log),
        "uniform share": checks.mixture_floor(log),
        "explored share": checks.explored_share(log),
    }
    return diagnostics, looked


def _named(found: Mapping[str, Estimate], start: str) -> dict[str, Estimate]:
    return {name.removeprefix(start): one for name, one in found.items() if name.startswith(start)}


def _all_versions(log: Log) -> dict[str, Any]:
    if log.versions is None:
        return {}
    text = log.versions.astype(str)
    return {name: text == name for name in np.unique(text).tolist()}


def _conclude(
    log: Log,
    settings: Settings,
    target: str,
    reward: str,
    terms: Mapping[str, Terms],
    found: Mapping[str, Estimate],
    diagnostics: Diagnostics,
    looked: dict[str, Check],
) -> Evaluation:
    names = [name for name in terms if name != LOGGED]
    differences = {name: found[f"{name} - {LOGGED}"] for name in names}
    leading = {name: differences[name] for name in LEADING if name in differences}
    found_verdict, because = verdict(
        leading, diagnostics.ess, diagnostics.ess_share, diagnostics.unsupported_mass, looked, settings.rules
    )
    if diagnostics.tail_index is not None and diagnostics.tail_index < 2.0:
        because.append(
            f"The largest weights fall off slowly (tail index {diagnostics.tail_index:.2g}, below 2): intervals may be "
            "too narrow."
        )
    return Evaluation(
        loggers=tuple(_all_versions(log)) or (NO_VERSION,),
        target=target,
        reward=reward,
        rounds=log.n,
        sessions=_count(log.sessions),
        persons=_count(log.users),
        logged_value=found[LOGGED],
        estimates={name: found[name] for name in names},
        differences=differences,
        diagnostics=diagnostics,
        checks=looked,
        primary=settings.rules.primary,
        verdict=found_verdict,
        because=because,
    )


def _count(names: Any) -> int:
    """Different names, the empty one left out; 0 where there are none."""
    return 0 if names is None else len({str(name) for name in names if name is not None and name != ""})
