"""Implicit feedback → engagement, relevance, sentiment shift → one weak label a turn.

Every formula is a pure function over numpy arrays of one row a turn; NaN means *not observed* and stays apart from
zero. A channel is missing when too little of it was observed, and a weak label is the mean of the observed ones.
The paper (arXiv 2508.05289, section III.2) gives R = alpha*Engagement + beta*Relevance + gamma*SentimentShift and
neither the weights nor the parts of engagement: both are settings here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tacit.run.limits import Limits, at_least, between, weights
from tacit.types import Dialogue, Floats64

CHANNELS = ("engagement", "relevance", "sentiment")


@dataclass
class SignalConfig:
    alpha: float = at_least(0.0, default=0.5)  # engagement
    beta: float = at_least(0.0, default=0.25)  # relevance
    gamma: float = at_least(0.0, default=0.25)  # sentiment shift
    # shares of engagement: dwell, scroll depth, click, continuation, not abandoning
    parts: list[float] = field(default_factory=lambda: [0.25, 0.1, 0.3, 0.15, 0.2], metadata=weights(5))
    # fewer observed parts than this: engagement is missing (continuation alone says little)
    min_parts: int = between(1, 5, default=2)
    query_turns: int = at_least(1, default=4)  # user utterances that make the query of relevance
    sentiment: str = "vader"  # vader | a transformers classifier | an entry point | package.module:function
    # of a classifier whose labels do not say it: each label's polarity from -1 to 1, {sad: -1, calm: 0, glad: 1}
    sentiment_labels: dict[str, float] = field(default_factory=dict, metadata={"limits": Limits(-1.0, 1.0)})

    def conflicts(self) -> Iterator[tuple[str, object, str]]:
        if not self.alpha + self.beta + self.gamma:
            yield "alpha", self.alpha, "above 0, or beta or gamma must"


@dataclass(frozen=True)
class DwellModel:
    """log(1 + dwell) explained by what is not interest: reply length, slate size, position, device.

    Coefficients: intercept, log(1 + words), log(1 + slate size), log(1 + agent turns before), one a known device
    beyond the first. ``cap_s`` is the 99th percentile of the training logs: longer dwells are idle screens.
    """

    coefficients: tuple[float, ...]
    devices: tuple[str, ...]
    residual_std: float
    cap_s: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> DwellModel:
        return cls(tuple(record["coefficients"]), tuple(record["devices"]), record["residual_std"], record["cap_s"])


def _dwell_design(
    words: Floats64, slate_size: Floats64, position: Floats64, device: Sequence[str | None], devices: tuple[str, ...]
) -> Floats64:
    """[n, 4 + len(devices) - 1]; an unknown or missing device is read as the first."""
    hot = np.array([[float(d == name) for name in devices[1:]] for d in device]).reshape(len(words), -1)
    base = np.stack([np.ones(len(words)), np.log1p(words), np.log1p(slate_size), np.log1p(position)], axis=1)
    return np.concatenate([base, hot], axis=1)


def fit_dwell(
    dwell_s: Floats64,
    words: Floats64,
    slate_size: Floats64,
    position: Floats64,
    device: Sequence[str | None],
    ridge: float = 1e-3,
) -> DwellModel | None:
    """Least squares on the rows whose dwell was observed; None when fewer than 20 were.

    Length is a confounder of dwell, not a merit (D2Q; "Beyond Clicks", RecSys 2014: log and z-score per context).
    ``ridge`` only keeps constant columns (one device, one slate size) from making the system singular.
    """
    seen = np.isfinite(dwell_s)
    if seen.sum() < 20:
        return None
    cap = float(np.quantile(dwell_s[seen], 0.99))
    names = sorted({d for d, s in zip(device, seen, strict=True) if s and d is not None})
    devices = tuple(names) or ("unknown",)
    x = _dwell_design(words, slate_size, position, device, devices)[seen]
    y = np.log1p(np.minimum(dwell_s[seen], cap))
    penalty = ridge * np.eye(x.shape[1])
    penalty[0, 0] = 0.0
    coefficients = np.linalg.solve(x.T @ x + penalty, x.T @ y)
    spread = float(np.std(y - x @ coefficients))
    return DwellModel(tuple(float(c) for c in coefficients), devices, max(spread, 1e-6), cap)


def dwell_residual(
    dwell_s: Floats64,
    words: Floats64,
    slate_size: Floats64,
    position: Floats64,
    device: Sequence[str | None],
    model: DwellModel,
) -> Floats64:
    """Standardised log-dwell beyond what length, slate, position and device explain. [n], in standard deviations."""
    x = _dwell_design(words, slate_size, position, device, model.devices)
    y = np.log1p(np.minimum(dwell_s, model.cap_s))
    return np.asarray((y - x @ np.array(model.coefficients)) / model.residual_std)


def dwell_interest(residual: Floats64, clicked: Floats64, continued: Floats64, abandoned: Floats64) -> Floats64:
    """The residual squashed to (0, 1), 0.5 = as long as expected. A frustrated user also dwells, therefore
    a dwell *above* 0.5 counts only beside a sign of interest: a click, or going on where clicks are not observed,
    and never when the user left. A dwell below 0.5 always counts.
    """
    squashed = 1.0 / (1.0 + np.exp(-np.clip(residual, -30, 30)))
    sign = np.where(np.isfinite(clicked), clicked, continued)  # NaN when neither was observed
    unconfirmed = (np.nan_to_num(sign, nan=1.0) < 0.5) | (np.nan_to_num(abandoned, nan=0.0) > 0.5)
    return np.asarray(np.where(unconfirmed, np.minimum(squashed, 0.5), squashed))


def engagement(
    dwell: Floats64,
    scroll: Floats64,
    clicked: Floats64,
    continued: Floats64,
    abandoned: Floats64,
    parts: Sequence[float] = (0.25, 0.1, 0.3, 0.15, 0.2),
    min_parts: int = 2,
) -> Floats64:
    """Weighted mean of the observed parts. [n] in [0, 1], no unit; NaN where fewer than ``min_parts`` were observed.

    dwell: from ``dwell_interest``; scroll: share of the cards seen; clicked, continued, abandoned: 0 or 1.
    Rises with every part except abandonment, which enters as 1 - abandoned. Going on and not leaving are two sides of
    one fact and count as one part: plain transcripts, where it is all that is known, have no engagement.
    """
    columns = np.stack([dwell, scroll, clicked, continued, 1.0 - abandoned], axis=-1)
    weighed = masked_mean(columns, np.asarray(parts, dtype=np.float64))
    seen = np.isfinite(columns)
    observed = seen[:, :3].sum(-1) + seen[:, 3:].any(-1)
    return np.asarray(np.where(observed >= min_parts, weighed, np.nan))


def query_texts(context: Dialogue, turns: int) -> list[str]:
    """What the user said lately, newest first: the agent's own words are left out, or it could feed itself.

    The query of relevance is the mean of these utterances' embeddings, so that each is embedded once.
    """
    return [turn.text for turn in context.turns if turn.speaker == "user" and turn.text.strip()][: -turns - 1 : -1]


def relevance(query: Floats64, items: Floats64, shown: npt.NDArray[np.bool_]) -> Floats64:
    """Mean cosine of the query [n, d] and each shown item's text embedding [n, K, d]. [n] in [-1, 1], no unit.

    NaN where nothing was shown. Zero vectors have cosine 0.
    """
    norms = np.linalg.norm(query, axis=-1)[:, None] * np.linalg.norm(items, axis=-1)
    cosines = np.einsum("nd,nkd->nk", query, items) / np.maximum(norms, 1e-12)
    return masked_mean(np.where(shown, cosines, np.nan), np.ones(items.shape[1]))


def sentiment_shift(before: Floats64, after: Floats64) -> Floats64:
    """Mean sentiment of the user turns after the recommendation minus before it. [n] in [-2, 2]; NaN if either is."""
    return np.asarray(after - before)


def masked_mean(values: Floats64, weights: Floats64) -> Floats64:
    """Σ w·x / Σ |w| over the finite entries of the last axis: [..., m], [m] → [...]; NaN where none is finite."""
    seen = np.isfinite(values)
    total = (seen * np.abs(weights)).sum(-1)
    mean = (np.where(seen, values, 0.0) * weights).sum(-1) / np.where(total > 0, total, 1.0)
    return np.asarray(np.where(total > 0, mean, np.nan))


@dataclass(frozen=True)
class ChannelScale:
    """Mean and spread of each channel in the training logs: what makes alpha, beta and gamma comparable."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def standardise(self, channels: Floats64) -> Floats64:
        return np.asarray((channels - np.array(self.mean)) / np.array(self.std))


def fit_scale(channels: Floats64) -> ChannelScale:
    """[n, 3] with NaN → scale; a channel never observed gets mean 0 and spread 1."""
    mean, std = [], []
    for column in channels.T:
        seen = column[np.isfinite(column)]
        mean.append(float(seen.mean()) if len(seen) else 0.0)
        std.append(max(float(seen.std()), 1e-6) if len(seen) > 1 else 1.0)
    return ChannelScale(tuple(mean), tuple(std))


def weak_label(channels: Floats64, weights: Sequence[float], scale: ChannelScale) -> Floats64:
    """alpha·E + beta·R + gamma·S of the standardised channels [n, 3], over Σ|weights| of the observed ones. [n].

    Source: arXiv 2508.05289, section III.2. Departure: the paper does not say what a missing channel does; here the
    weights are renormalised over the observed channels, and the label is NaN when none was observed.
    """
    return masked_mean(scale.standardise(channels), np.asarray(weights, dtype=np.float64))
