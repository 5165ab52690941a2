"""What a user does with one agent turn: pure functions over a batch of users.

Shapes: n users, K cards. ``mask`` is True where a card exists. Utilities lie in [0, 1]. Every random number is
handed in. Latency is fitted from data (calibrate.py); dwell and scroll follow published shapes with constants of our
own and are *emulated*: no public conversation log carries them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tacit.run.limits import above, at_least, between, finite, share
from tacit.types import Bools, Floats64

POSITION_DISCOUNT = 0.85  # weight of a card relative to the one above it


@dataclass
class BehaviourConfig:
    look_on: float = share(default=0.8)  # chance that an unmoved, patient user looks at the next card
    satisfied: float = share(default=0.35)  # how much a perfect card lowers that chance (the user has found something)
    click_floor: float = share(default=0.03)  # clicks on a worthless card
    click_steep: float = above(0.0, default=8.0, high=1000.0)  # steepness of click chance in utility
    click_middle: float = finite(default=0.62)  # utility clicked half of the time
    dwell_base_s: float = above(0.0, default=6.0)  # median seconds on an empty turn by a neutral desktop user
    dwell_utility: float = between(-20.0, 20.0, default=0.9)  # log-seconds from utility 0 to 1
    dwell_words: float = between(-20.0, 20.0, default=0.35)  # log-seconds per log(1 + words / 10)
    # log-seconds from calm to furious: confounded on purpose
    dwell_frustration: float = between(-20.0, 20.0, default=0.5)
    dwell_mobile: float = between(-20.0, 20.0, default=-0.25)  # log-seconds on a phone
    dwell_spread: float = between(0.0, 20.0, default=0.45)  # standard deviation of log-seconds
    # log-seconds from utility 0 to 1: a slow answer means less liked in ReDial
    latency_utility: float = between(-20.0, 20.0, default=-0.15)
    accept_steep: float = above(0.0, default=9.0, high=1000.0)
    accept_middle: float = finite(default=0.75)  # utility at which half of the willing users accept
    long_words: int = at_least(1, default=45)  # words a user reads without complaint


def slate_value(utility: Floats64, mask: Bools) -> Floats64:
    """[n] position-discounted mean utility of the cards shown; 0 for an empty slate."""
    weights = np.where(mask, POSITION_DISCOUNT ** np.arange(mask.shape[1]), 0.0)
    return np.asarray((weights * utility).sum(1) / np.maximum(weights.sum(1), 1e-12))


def sigmoid(x: Floats64) -> Floats64:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -40.0, 40.0))))


def examine(
    utility: Floats64, mask: Bools, patience: Floats64, reach: Floats64, uniform: Floats64, config: BehaviourConfig
) -> Bools:
    """[n, K] cards looked at: the first, then each next one with a chance that falls with the utility just seen.

    The cascade with a stopping chance of Chapelle and Zhang's dynamic Bayesian network (WWW 2009):
    P(look at k+1 | looked at k) = look_on * (0.5 + 0.5 * patience) + reach - satisfied * utility_k.
    """
    on = config.look_on * (0.5 + 0.5 * patience)[:, None] + reach[:, None] - config.satisfied * utility
    goes_on = uniform < np.clip(on, 0.02, 0.98)
    looked = np.ones_like(mask)
    looked[:, 1:] = np.cumprod(goes_on[:, :-1], axis=1).astype(bool)
    return np.asarray(looked & mask)


def click(utility: Floats64, examined: Bools, uniform: Floats64, config: BehaviourConfig) -> Bools:
    """[n, K] clicks on examined cards: P = floor + (1 - floor) * sigmoid(steep * (utility - middle))."""
    chance = config.click_floor + (1 - config.click_floor) * sigmoid(
        config.click_steep * (utility - config.click_middle)
    )
    return np.asarray(examined & (uniform < chance))


def dwell(
    utility: Floats64, words: Floats64, frustration: Floats64, mobile: Bools, normal: Floats64, config: BehaviourConfig
) -> Floats64:
    """[n] seconds, log-normal: longer with utility of what was examined, with words, and with frustration.

    The log-normal shape is that of Yin et al., "Silence is also evidence" (KDD 2013). Constants are ours: emulated.
    """
    log_s = (
        np.log(config.dwell_base_s)
        + config.dwell_utility * utility
        + config.dwell_words * np.log1p(words / 10.0)
        + config.dwell_frustration * frustration
        + np.where(mobile, config.dwell_mobile, 0.0)
        + config.dwell_spread * normal
    )
    return np.asarray(np.exp(log_s))


def scroll(examined: Bools, mask: Bools, words: Floats64, patience: Floats64, uniform: Floats64) -> Floats64:
    """[n] share of the turn scrolled past, in [0, 1]: mean of cards looked at and of text read. Emulated."""
    cards = examined.sum(1) / np.maximum(mask.sum(1), 1)
    read = np.clip((0.4 + 0.6 * patience) * 40.0 / np.maximum(words, 40.0) + 0.2 * (uniform - 0.5), 0.0, 1.0)
    return np.asarray(np.where(mask.any(1), 0.5 * cards + 0.5 * read, read))


def latency(utility: Floats64, normal: Floats64, log_mean: float, log_sd: float, config: BehaviourConfig) -> Floats64:
    """[n] seconds until the user's answer arrives: log-normal with the fitted mean and deviation of ReDial's gaps."""
    return np.asarray(np.exp(log_mean + config.latency_utility * (utility - 0.5) + log_sd * normal))


def accept(
    utility: Floats64, examined: Bools, uniform: Floats64, willing: float | Floats64, config: BehaviourConfig
) -> npt.NDArray[np.int64]:
    """[n] position of the accepted card, -1 for none: the best examined card, with chance
    willing * sigmoid(steep * (utility - middle)); ``willing``, for all or [n], is fitted to the data's rate."""
    best = np.where(examined, utility, -1.0)
    position = best.argmax(1)
    top = best.max(1)
    chance = np.minimum(willing * sigmoid(config.accept_steep * (top - config.accept_middle)), 1.0)
    return np.where((top >= 0) & (uniform < chance), position, -1)


def irritation(
    repeats: Floats64, words: Floats64, has_slate: Bools, idle_turns: Floats64, config: BehaviourConfig
) -> Floats64:
    """[n] cost to the user of this turn in units of utility, before temperament; never negative.

    ``repeats``: share of cards shown before, known or doubled. ``idle_turns``: agent turns in a row without a slate,
    this one included. Reading beyond ``long_words`` costs 0.1 per further ``long_words``; an empty reply costs 0.1;
    the first turn without a slate 0.05 (a question may be worth it), each further one 0.1 more.
    """
    overlong = 0.1 * np.maximum(words - config.long_words, 0.0) / config.long_words
    empty = np.where(words < 1, 0.1, 0.0)
    idle = np.where(has_slate, 0.0, 0.05 + 0.1 * np.maximum(idle_turns - 1, 0.0))
    return np.asarray(np.minimum(overlong, 0.4) + empty + np.minimum(idle, 0.35) + 0.1 * repeats)


def drain(value: Floats64, cost: Floats64, has_slate: Bools, pace: Floats64, speed: float) -> Floats64:
    """[n] patience used up by a turn: a base, the disappointment of a slate, and its cost; ``speed`` is fitted."""
    disappointment = np.where(has_slate, np.maximum(0.6 - value, 0.0), 0.1)
    return np.asarray(speed * pace * (0.06 + 0.25 * disappointment + 0.5 * cost))


def next_mood(mood: Floats64, value: Floats64, cost: Floats64, has_slate: Bools, temper: Floats64) -> Floats64:
    """[n] mood in [-1, 1]: drifts to the turn's pleasure; bad turns count ``temper`` times."""
    pleasure = np.where(has_slate, 2.2 * (value - 0.42), 0.0) - 2.0 * cost
    pleasure = np.where(pleasure < 0, temper * pleasure, pleasure)
    return np.asarray(np.clip(0.6 * mood + 0.5 * pleasure, -1.0, 1.0))
