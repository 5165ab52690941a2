"""Are simulated users a fair teacher? Their forecasts of what real seekers did next, scored beside trivial ones.

Every predictor says a probability for each act and, where it can, how long the answer takes. Trivial ones are counted
on training seekers; all are scored on seekers that nothing was fitted on, with intervals over seekers. Two users that
are broken on purpose stand in the same table, so that one can see what would give such a user away: one that is always
pleased accepts far more than people do, and one that knows what it cannot know changes its mind once the future is
taken away (``future``), however good or bad its scores look.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import rankdata

from tacit.dialogue.users.acts import ACTS, Decision
from tacit.dialogue.users.crowd import UserWorld
from tacit.dialogue.users.forecast import forecast
from tacit.dialogue.users.speech import mood_of
from tacit.metrics.intervals import Estimate, bootstrap_means, bootstrap_statistics
from tacit.text.sentiment import Vader
from tacit.types import Dialogue, Floats64

LATEST = 8  # later turns count as this one
BINS = 10  # of probability, for the calibration error
BLIND = 100  # moments told again without their future
ALMOST = 0.97  # how sure the user is that has read the next line
SIMULATED = "simulated users"
Guess = tuple[Floats64, Floats64 | None]  # acts [n, 6], log seconds [n]
Predictor = Callable[[Sequence[Decision]], Guess]


@dataclass(frozen=True)
class Scores:
    """One predictor. Log loss in nats, Brier as a sum over acts in [0, 2]; ``gap`` is the mean over acts of the
    calibration error; ``future`` the share of forecasts that change when the future is taken away."""

    name: str
    log_loss: Estimate
    brier: Estimate
    accuracy: Estimate
    macro_f1: Estimate
    gap: float
    accepts: float  # mean probability of an acceptance
    latency: Estimate | None  # Spearman
    future: float
    against: Estimate | None = None  # log loss minus that of the best trivial predictor


class Counted:
    """Rates of acts, and mean log seconds, of training moments with the same key; one more of each act is added."""

    def __init__(self, train: Sequence[Decision], key: Callable[[Sequence[Decision]], Sequence[Hashable]]) -> None:
        self._key = key
        self._rates: dict[Hashable, Floats64] = defaultdict(lambda: np.ones(len(ACTS)))
        logs: dict[Hashable, list[float]] = defaultdict(list)
        for name, moment in zip(key(train), train, strict=True):
            self._rates[name][ACTS.index(moment.act)] += 1
            if moment.gap_s is not None:
                logs[name].append(math.log(moment.gap_s))
        self._logs = {name: float(np.mean(values)) for name, values in logs.items()}
        self._typical = float(np.mean([x for values in logs.values() for x in values])) if logs else 0.0

    def __call__(self, moments: Sequence[Decision]) -> Guess:
        names = self._key(moments)
        rates = np.array([self._rates[name] for name in names])
        return rates / rates.sum(1, keepdims=True), np.array([self._logs.get(name, self._typical) for name in names])


def trivial(train: Sequence[Decision]) -> dict[str, Predictor]:
    """Predictors that know nobody: what anything worth the name must beat."""
    marginal = Counted(train, lambda moments: [0] * len(moments))
    again = float(np.mean([float(moment.last == moment.act) for moment in train if moment.last] or [0.0]))

    def repeated(moments: Sequence[Decision]) -> Guess:
        """The last act with the chance that training seekers repeat theirs; else, and at first, the marginal rates."""
        acts = marginal(moments)[0]
        for i, moment in enumerate(moments):
            if moment.last:
                acts[i] = (1 - again) * acts[i] + again * (np.array(ACTS) == moment.last)
        return acts, None

    return {
        "marginal rates (majority act)": lambda moments: (marginal(moments)[0], None),
        "the last act again": repeated,
        "rates at this turn": Counted(train, lambda moments: [_place(moment) for moment in moments]),
        "rates after the last act": Counted(train, lambda moments: [moment.last for moment in moments]),
        "rates after words of this mood (VADER)": Counted(train, _moods),
        "rates at this turn, with or without a film": Counted(
            train, lambda moments: [(_place(moment), moment.agent.slate is not None) for moment in moments]
        ),
    }


def simulated(world: UserWorld, seed: int) -> Predictor:
    def predict(moments: Sequence[Decision]) -> Guess:
        made = forecast(world, moments, seed)
        return made.acts, np.log(made.latency_s)

    return predict


def broken(world: UserWorld, seed: int) -> dict[str, Predictor]:
    """Users that no one should learn from: pleased with every film, told what the form will say, told the next line."""
    eager = replace(world.config.behaviour, accept_middle=-10.0)
    pleased = replace(
        world,
        config=replace(world.config, behaviour=eager),
        tuning=replace(world.tuning, willing=10.0, speed=1e-6),
    )

    def knows_the_form(moments: Sequence[Decision]) -> Guess:
        made = forecast(world, moments, seed, known=lambda moment: _liked(moment.dialogue))
        return made.acts, np.log(made.latency_s)

    def reads_the_answer(moments: Sequence[Decision]) -> Guess:
        """The act it will see, and the time that will pass."""
        rest = (1 - ALMOST) / (len(ACTS) - 1)
        acts = np.array([[ALMOST if act == moment.act else rest for act in ACTS] for moment in moments])
        return acts, np.log([moment.gap_s or 1.0 for moment in moments])

    return {
        "broken: always pleased": simulated(pleased, seed),
        "broken: knows what the form will say": knows_the_form,
        "broken: reads the answer": reads_the_answer,
    }


def check_all(
    predictors: Mapping[str, Predictor],
    reference: str,
    moments: Sequence[Decision],
    seed: int,
    draws: int = 1000,
) -> list[Scores]:
    """Every predictor on the same moments of unseen seekers; all are held against ``reference``."""
    guesses = {name: predict(moments) for name, predict in predictors.items()}
    base = _losses(guesses[reference][0], moments)
    rows = []
    for name, (acts, seconds) in guesses.items():
        generator = np.random.default_rng([seed, 31])
        paired = bootstrap_means((_losses(acts, moments) - base)[:, None], _seekers(moments), generator, draws)[0]
        row = score(name, acts, seconds, moments, seed, draws)
        told = _changed(predictors[name], moments, np.random.default_rng([seed, 32]))
        rows.append(replace(row, future=told, against=None if name == reference else paired))
    return rows


def score(
    name: str, acts: Floats64, seconds: Floats64 | None, moments: Sequence[Decision], seed: int, draws: int = 1000
) -> Scores:
    """``acts`` [n, 6] probabilities; ``seconds`` [n] any rising function of the expected latency, or None."""
    gold = np.eye(len(ACTS))[[ACTS.index(moment.act) for moment in moments]]
    chosen = np.eye(len(ACTS))[acts.argmax(1)]
    means = np.stack([_losses(acts, moments), ((acts - gold) ** 2).sum(1), (gold * chosen).sum(1)], axis=1)
    seekers, generator = _seekers(moments), np.random.default_rng([seed, 33])
    loss, brier, right = bootstrap_means(means, seekers, generator, draws)
    parts = np.concatenate([gold * chosen, chosen, gold], axis=1)
    f1 = bootstrap_statistics(parts, seekers, lambda sums: macro_f1(sums)[:, None], generator, draws)[0]
    latency = None if seconds is None else _spearman(seconds, moments, generator, draws)
    return Scores(name, loss, brier, right, f1, calibration_error(acts, gold), float(acts[:, 0].mean()), latency, 0.0)


def best(predictors: Mapping[str, Predictor], train: Sequence[Decision]) -> str:
    """The one with the lowest log loss on the training moments themselves."""
    return min(predictors, key=lambda name: float(_losses(predictors[name](train)[0], train).mean()))


def macro_f1(sums: Floats64) -> Floats64:
    """[b] mean over acts of 2·hits / (said + done), of sums [b, 18] of hits, said and done for each act; acts that are
    neither said nor done are left out."""
    hits, said, done = np.split(sums, 3, axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nanmean(2 * hits / (said + done), axis=1))


def calibration_error(acts: Floats64, gold: Floats64) -> float:
    """Mean over acts of Σ_bins n_bin/n · |mean probability − share that did it|, in ten equal bins (Nixon et al.,
    "Measuring calibration in deep learning", 2019: the static, class-wise error)."""
    bins = np.minimum((acts * BINS).astype(int), BINS - 1)
    errors = [
        abs(float((acts[:, k] - gold[:, k])[bins[:, k] == b].sum())) for k in range(acts.shape[1]) for b in range(BINS)
    ]
    return sum(errors) / acts.size


def _spearman(
    seconds: Floats64, moments: Sequence[Decision], generator: np.random.Generator, draws: int
) -> Estimate | None:
    """Of the moments whose answer's time is told, by their ranks; None where the guess never differs."""
    told = [i for i, moment in enumerate(moments) if moment.gap_s is not None]
    if len(told) < 2 or np.ptp(seconds[told]) == 0:
        return None
    x = rankdata(seconds[told]) / len(told)
    y = rankdata([moments[i].gap_s for i in told]) / len(told)
    parts = np.stack([np.ones(len(told)), x, y, x * x, y * y, x * y], axis=1)

    def correlation(sums: Floats64) -> Floats64:
        n, sx, sy, xx, yy, xy = sums.T
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((n * xy - sx * sy) / np.sqrt((n * xx - sx**2) * (n * yy - sy**2)))[:, None]

    seekers = [moments[i].seeker for i in told]
    return bootstrap_statistics(parts, seekers, correlation, generator, draws)[0]


def _changed(predict: Predictor, moments: Sequence[Decision], generator: np.random.Generator) -> float:
    """Share of some moments whose forecast differs once the future is taken away."""
    some = generator.choice(len(moments), size=min(BLIND, len(moments)), replace=False)
    seen = predict([moments[i] for i in some])
    blind = predict([moments[i].without_future() for i in some])
    differs = np.abs(seen[0] - blind[0]).max(1) > 1e-9
    if seen[1] is not None and blind[1] is not None:
        differs |= np.abs(seen[1] - blind[1]) > 1e-9
    return float(differs.mean())


def _losses(acts: Floats64, moments: Sequence[Decision]) -> Floats64:
    """[n] −log of the probability that the act had."""
    return np.asarray(-np.log(acts[np.arange(len(acts)), [ACTS.index(moment.act) for moment in moments]]))


def _seekers(moments: Sequence[Decision]) -> list[str]:
    return [moment.seeker for moment in moments]


def _place(moment: Decision) -> int:
    return min(moment.place, LATEST)


def _moods(moments: Sequence[Decision]) -> list[str]:
    words = [_last_words(moment.context) for moment in moments]
    return [mood_of(value) for value in Vader()(words)]


def _last_words(context: Dialogue) -> str:
    return next((turn.text for turn in reversed(context.turns) if turn.speaker == "user"), "")


def _liked(dialogue: Dialogue) -> dict[str, float]:
    return {item: 1.0 for item, judgement in dialogue.judgements.items() if judgement.liked}
