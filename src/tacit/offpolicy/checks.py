"""Do the logged probabilities describe what was drawn? Each check says in one sentence what it found.

Checks compare with intervals of 99.9 %, or p below 0.001, since many are made on each log: an honest one must pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from tacit.metrics.intervals import Estimate
from tacit.offpolicy.estimators import Terms, ips, logged_value, rips, snips, snrips
from tacit.offpolicy.inference import covers
from tacit.offpolicy.log import Log
from tacit.offpolicy.ratios import decision_ratios, place_ratios, prefix_ratios, slate_ratios
from tacit.offpolicy.verdict import Check
from tacit.types import Bools, Floats64, Ints64

WIDER = 3.2905 / 1.9600  # from 95 to 99.9 %
RARE = 1e-3
FEW = 5.0  # the least count that is expected in a cell of a chi-square test
EXACT = 1e-9
SELDOM, DRAWN = 0.01, 25  # below, and of fewer draws, a sum of 1 / p is too uneven to be tested
CLOSE = 1e-5  # two probabilities in float32 are one


def mean_weight(slates: Estimate, places: Sequence[Estimate], versions: Mapping[str, Estimate]) -> Check:
    """On average a ratio of probabilities is 1, over slates, over prefixes, and for each policy that drew."""
    named = {"of slates": slates}
    named |= {f"up to place {k}": one for k, one in enumerate(places, start=1)}
    named |= {f"of version {name}": one for name, one in versions.items()}
    for what, one in named.items():
        if not covers(one, 1.0, WIDER):
            side = "below" if one.value < 1.0 else "above"
            why = (
                "the policy shows what was never served, or the logged probabilities are too large"
                if one.value < 1.0
                else "the logged probabilities are too small"
            )
            return Check(False, f"The mean weight {what} is {one.value:.3g}, {side} 1 by more than chance: {why}.")
    return Check(True, f"The mean weight is {slates.value:.3g}, 1 as far as the log can tell.")


def drawn_by_chance(log: Log) -> Check:
    """Of a log in which nothing was, another policy's slates can be weighed by a model of clicks alone."""
    if log.deterministic:
        return Check(
            False,
            "Every logged probability is 1: nothing was drawn by chance, so that the log cannot speak of other slates. "
            "CIPS and CDR may be looked at; they are as right as the click model behind them.",
        )
    return Check(True, "What was served was drawn by chance.")


def on_itself(log: Log) -> Check:
    """A/A: judged by its own log, every estimator must return what the log earned, to the last digits."""
    own = log.on_itself()
    decisions, places = decision_ratios(own), place_ratios(own)
    whole, prefixes = slate_ratios(decisions, places), prefix_ratios(decisions, places)
    truth = logged_value(own.slate_rewards, own.counts).value
    found: dict[str, Terms] = {
        "IPS": ips(whole, own.slate_rewards, own.counts),
        "SNIPS": snips(whole, own.slate_rewards, own.counts),
    }
    if own.by_place:
        rewards = np.where(own.shown, own.rewards, 0.0)
        found["RIPS"] = rips(prefixes, rewards, own.counts)
        found["snRIPS"] = snrips(prefixes, rewards, own.counts)
    scale = max(1.0, float(np.abs(own.slate_rewards).max(initial=0.0)))
    off = [name for name, terms in found.items() if not abs(terms.value - truth) <= EXACT * scale]
    if off:
        return Check(False, f"On its own log {off[0]} is not what the log earned: the table is damaged.")
    return Check(True, "Judged by its own log, the served policy earns exactly what the log earned.")


def agreement(gaps: Mapping[str, Estimate]) -> Check:
    """``gaps``: SNIPS, which assumes least, minus another. Apart by more than chance, one assumes too much."""
    for name, gap in gaps.items():
        if not covers(gap, 0.0, WIDER):
            return Check(
                False,
                f"SNIPS and {name} differ by {gap.value:+.3g}, more than chance: places influence each other, "
                "or probabilities of places are wrong.",
            )
    if not gaps:
        return Check(None, "One estimator alone: there is nothing to compare.")
    return Check(True, f"SNIPS agrees with {' and '.join(gaps)} within their intervals.")


def versions_agree(gaps: Mapping[str, Estimate]) -> Check:
    """``gaps``: SNIPS from the rounds of one policy that drew, minus SNIPS from the others'."""
    for name, gap in gaps.items():
        if not covers(gap, 0.0, WIDER):
            return Check(False, f"The rounds of version {name} say {gap.value:+.3g} other than the rest: find out why.")
    if not gaps:
        return Check(None, "One policy drew all rounds, so that none can be left out.")
    return Check(True, "Leaving any one served version out changes nothing beyond chance.")


def uniform_truth(gap: Estimate | None) -> Check:
    """``gap``: SNIPS from the rounds that were drawn uniformly, minus SNIPS from the others."""
    if gap is None:
        return Check(None, "No rounds were drawn wholly uniformly, which would be a second opinion.")
    if not covers(gap, 0.0, WIDER):
        return Check(False, f"Rounds drawn uniformly say {gap.value:+.3g} other than the rest: something is wrong.")
    return Check(True, "Rounds drawn uniformly say the same within their interval.")


def rounding(log: Log) -> Check:
    """Probabilities that all have one to three decimals were rounded on the way into the log."""
    values = np.unique(log.logged[log.shown])
    for decimals, distinct in ((1, 6), (2, 10), (3, 50)):
        if len(values) >= distinct and np.allclose(values, np.round(values, decimals), rtol=0.0, atol=1e-7):
            return Check(False, f"All logged probabilities have {decimals} decimals: log them unrounded.")
    return Check(True, "The logged probabilities are not rounded.")


def mixture_floor(log: Log) -> Check:
    """With a share ε drawn uniformly among m items, none has a probability below ε / m."""
    if log.epsilon is None or log.candidates is None:
        return Check(None, "The log does not say which share was drawn uniformly, among how many items.")
    left = log.candidates[:, None] - np.arange(log.places)
    with np.errstate(divide="ignore", invalid="ignore"):
        floor = np.where(left > 0, log.epsilon[:, None] / left, 0.0)
    below = log.shown & (log.logged < floor * (1.0 - 1e-6))
    if below.any():
        return Check(
            False,
            f"{int(below.any(axis=1).sum())} rounds have a probability below what uniform draws alone give: "
            "the share drawn uniformly is not in the logged probabilities.",
        )
    return Check(True, "No logged probability is below what uniform draws alone give.")


def explored_share(log: Log) -> Check:
    """Of slates with k places, chance draws at least one in 1 − (1 − ε)^k."""
    if log.epsilon is None or log.explored is None:
        return Check(None, "The log does not mark what was drawn by chance.")
    rounds = log.recommends
    expected = 1.0 - (1.0 - log.epsilon) ** log.shown.sum(axis=1)
    variance = float((expected * (1.0 - expected))[rounds].sum())
    found, mean = int(log.explored[rounds].sum()), float(expected[rounds].sum())
    p = float(stats.norm.sf(max(0.0, abs(found - mean) - 0.5) / np.sqrt(variance)) * 2) if variance > 0.0 else 1.0
    if variance == 0.0 and found != round(mean):
        p = 0.0
    said = f"{found} of {int(rounds.sum())} slates are marked as explored; {mean:.4g} were to be expected"
    return Check(p >= RARE, said + ("." if p >= RARE else ": the mark, or the share drawn uniformly, is wrong."))


def inverse_counts(log: Log) -> Check:
    """Σ 1 / p over the rounds that drew an item estimates in how many of all n it could be drawn: n is the most.

    E[1{drawn} / p] is 1 where the item was to be had and 0 elsewhere, whatever the contexts, the items before it and
    the policy, so that no context need be named; its variance is E[1{drawn} (1 − p) / p²]. Tested by place and item,
    from above, with Bonferroni's share of the error for each. Rounds with p below ``SELDOM`` count 0, which keeps the
    terms small and the test valid.
    """
    if log.items is None:
        return Check(None, "Items have no names, so that their probabilities cannot be added up.")
    found, cells = list[tuple[float, str, int, float, int]](), 0
    for k in range(log.places):
        rows = log.shown[:, k]
        names, item = np.unique(log.items[rows, k].astype(str), return_inverse=True)
        p, cells = log.logged[rows, k], cells + len(names)
        often = p >= SELDOM
        drawn = np.bincount(item[often], minlength=len(names))
        rounds = np.bincount(item[often], 1.0 / p[often], len(names))
        spread = np.bincount(item[often], (1.0 - p[often]) / p[often] ** 2, len(names))
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where((drawn >= DRAWN) & (spread > 0.0), (rounds - len(p)) / np.sqrt(spread), -np.inf)
        if len(z):
            most = int(z.argmax())
            found.append((float(z[most]), str(names[most]), int(drawn[most]), float(rounds[most]), len(p)))
    z_most, name, times, rounds_most, n = max(found, default=(-np.inf, "", 0, 0.0, 0))
    if cells * float(stats.norm.sf(z_most)) < RARE:
        return Check(
            False,
            f"Item {name!r} was drawn {times:,} times, which its logged probabilities make {rounds_most:,.0f} rounds "
            f"of {n:,}: they are too small, or another policy's.",
        )
    return Check(True, "No item was drawn oftener than its logged probabilities allow.")


def recount(log: Log) -> tuple[Check, tuple[tuple[float, float, float], ...]]:
    """How often items were really drawn at the first place, against their logged probability, where contexts repeat.

    A chi-square test over (version, context, item) that are expected five times or more; what is left of each context
    counts as one item. Contexts in which any item's probability changed, as while a policy learns, are left out. Also
    the counts by tenths of probability: (mean probability, expected, drawn). Draws are independent given the context,
    whoever the persons are.
    """
    if log.contexts is None or log.items is None:
        return Check(None, "Contexts and items have no names, so that draws cannot be counted."), ()
    cells, context_of, totals = _count(log, np.flatnonzero(log.recommends))
    used = (cells["expected"] >= FEW) & (cells["steady"] > 0.0)
    expected, observed, context = cells["expected"][used], cells["observed"][used], context_of[used]
    n_cells = np.bincount(context, minlength=len(totals))
    rest = np.where(n_cells > 0, totals - np.bincount(context, expected, len(totals)), 0.0)
    rest_observed = np.where(n_cells > 0, totals - np.bincount(context, observed, len(totals)), 0.0)
    whole = np.abs(rest) < FEW  # the items tested are all there is: one of them follows from the others
    statistic = float(((observed - expected) ** 2 / expected).sum())
    statistic += float(((rest_observed - rest) ** 2 / np.maximum(rest, FEW))[~whole].sum())
    freedom = int((n_cells - (whole & (n_cells > 1))).sum())
    if freedom < 1:
        return Check(None, "No context repeats often enough for draws to be counted."), ()
    p = float(stats.chi2.sf(statistic, freedom))
    table = _by_probability(cells["expected"][used] / totals[context_of[used]], cells, used)
    if p < RARE:
        said = f"Items were not drawn as often as their logged probability says (chi-square {statistic:.0f}, {freedom} "
        return Check(
            False, said + f"degrees of freedom, p {p:.1g}): probabilities of another policy, or scaled."
        ), table
    return Check(True, f"Items were drawn as often as logged, in {int(observed.sum())} rounds (p {p:.2g})."), table


def one_probability(log: Log) -> Check:
    """Of one version, in one context, an item has one probability at the first place: nothing stands before it."""
    if log.versions is None or log.contexts is None or log.items is None:
        return Check(None, "Without version, context and item, rounds that must agree on a probability are not known.")
    cells, _, _ = _count(log, np.flatnonzero(log.recommends))
    changed = int(cells["observed"][cells["spread"] > CLOSE].sum())
    if changed:
        return Check(
            False,
            f"In {changed} rounds the same version gave the same item in the same context another probability at the "
            "first place: places are mixed up, the version changed, or the context is not all that it looked at.",
        )
    return Check(True, "The same version, context and item always have the same probability at the first place.")


def _count(log: Log, rows: Ints64) -> tuple[dict[str, Floats64], Ints64, Floats64]:
    """Cells of (version, context, item at the first place), the context of each, and rounds a context."""
    assert log.contexts is not None and log.items is not None
    names = np.array([str(name) for name in log.contexts[rows]])
    if log.versions is not None:
        names = np.array([f"{version}\0{name}" for version, name in zip(log.versions[rows], names, strict=True)])
    _, context = np.unique(names, return_inverse=True)
    _, item = np.unique(log.items[rows, 0].astype(str), return_inverse=True)
    p = log.logged[rows, 0]
    pairs, cell = np.unique(np.stack([context, item]), axis=1, return_inverse=True)
    cell = cell.ravel()
    observed = np.bincount(cell).astype(np.float64)
    mean = np.bincount(cell, p) / observed
    largest, smallest = np.full(len(observed), -np.inf), np.full(len(observed), np.inf)
    np.maximum.at(largest, cell, p)
    np.minimum.at(smallest, cell, p)
    totals = np.bincount(context).astype(np.float64)
    spread = (largest - smallest) / largest
    changes = np.bincount(pairs[0], spread > CLOSE)
    steady = (changes[pairs[0]] == 0.0).astype(np.float64)
    cells = {"observed": observed, "expected": totals[pairs[0]] * mean, "steady": steady, "spread": spread}
    return cells, pairs[0].astype(np.int64), totals


def _by_probability(p: Floats64, cells: dict[str, Floats64], used: Bools) -> tuple[tuple[float, float, float], ...]:
    expected, observed = cells["expected"][used], cells["observed"][used]
    edges = np.unique(np.quantile(p, np.linspace(0.0, 1.0, 11)[1:-1]))
    place = np.searchsorted(edges, p, side="right")
    return tuple(
        (float(p[place == b].mean()), float(expected[place == b].sum()), float(observed[place == b].sum()))
        for b in np.unique(place)
    )
