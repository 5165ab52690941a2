"""Who comes to talk: hidden tastes drawn around real seekers, what they know already, and what they would love.

A user's wish for item i is ``x_i = affinity_z + b * quality_z + novelty * (-popularity_z)``, where affinity_z is the
inner product of its taste with the item's factors, standardised over the catalogue. Its utility is
``sigmoid(logit(.3) - threshold + gain * (x_i - median x))`` with the gain chosen so that, before the threshold of a
picky user, half of the catalogue lies below 0.3 and one item in a hundred above 0.9. What it knows already is worth
``known_value`` of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tacit.dialogue.users.behaviour import sigmoid
from tacit.dialogue.users.profiles import Traits, draw_weights, traits
from tacit.dialogue.users.taste import Taste
from tacit.run.limits import above, at_least, share, weights
from tacit.types import Floats64, Ints64

MEDIAN_UTILITY, TOP_UTILITY, TOP_QUANTILE = 0.3, 0.9, 0.99
CHUNK = 256  # users whose utilities of the whole catalogue are held at once


@dataclass
class PeopleConfig:
    # shares of explorer, picky, popularity-led, impatient, easily frustrated
    mixture: list[float] = field(default_factory=lambda: [0.25, 0.2, 0.2, 0.2, 0.15], metadata=weights(5))
    concentration: float = above(0.0, default=2.0)  # small: pure types; large: everybody is the same mixture
    second: float = share(default=0.3)  # largest weight of a second real seeker mixed into a taste
    noise: float = at_least(0.0, default=0.6)  # length of the random part added to a taste of length 1
    quality: float = at_least(0.0, default=0.3)  # b: weight of quality against affinity, both standardised
    known: int = at_least(1, default=6)  # liked items a user knows and may speak of
    disliked: int = at_least(0, default=2)  # widely known items a user does not like and may speak of
    # utility of an item already known or already shown, relative to a fresh one
    known_value: float = share(default=0.15)
    # size of the hidden set of best unknown items; a tenth of the catalogue at most
    targets: int = at_least(1, default=20)
    mobile: float = share(default=0.55)  # share of users on a phone


@dataclass(frozen=True)
class People:
    """n users as arrays. Everything but ``known`` and ``disliked`` is hidden from a recommender.

    taste [n, d]; weights [n, 5] over profiles; mean, spread [n]: affinity → z-score; median, gain [n]: x → logit;
    mobile [n]; patience [n] in (0, 1]; known, disliked: rows each user may mention, best first; targets [n, t].
    """

    taste: npt.NDArray[np.float32]
    weights: Floats64
    traits: Traits
    mean: Floats64
    spread: Floats64
    median: Floats64
    gain: Floats64
    mobile: npt.NDArray[np.bool_]
    patience: Floats64
    known: tuple[tuple[int, ...], ...]
    disliked: tuple[tuple[int, ...], ...]
    targets: Ints64

    def __len__(self) -> int:
        return len(self.taste)


def draw_people(taste: Taste, config: PeopleConfig, n: int, generator: np.random.Generator) -> People:
    """n fresh users, each around a real seeker drawn at random."""
    first, second = generator.integers(len(taste.seekers), size=(2, n))
    liked = [taste.liked_by(int(seeker)) for seeker in first]
    return people_around(taste, config, taste.seekers[first], taste.seekers[second], liked, generator)


def people_around(
    taste: Taste,
    config: PeopleConfig,
    first: npt.NDArray[np.float32],
    second: npt.NDArray[np.float32],
    liked: Sequence[Ints64],
    generator: np.random.Generator,
) -> People:
    """n users with tastes around the unit vectors ``first`` [n, d], a part of ``second`` mixed in, who know what is
    ``liked``. The only place, with ``fit_taste``, where the whole catalogue is scored."""
    n = len(first)
    share = generator.uniform(0.0, config.second, size=n)
    noise = generator.standard_normal((n, taste.items.shape[1]))
    vectors = mixed_taste(first, second, share, noise, config.noise)
    weights = draw_weights(n, config.mixture, config.concentration, generator)
    mobile = generator.random(n) < config.mobile
    patience = generator.uniform(0.6, 1.0, size=n)
    order = generator.random((n, 64))
    mixed = traits(weights)
    stats = np.empty((4, n))
    known: list[tuple[int, ...]] = []
    disliked: list[tuple[int, ...]] = []
    popular = np.argsort(-taste.popularity, kind="stable")[:200]
    targets = np.empty((n, max(1, min(config.targets, len(taste.items) // 10))), dtype=np.int64)
    for start in range(0, n, CHUNK):
        part = slice(start, min(start + CHUNK, n))
        affinity = vectors[part] @ taste.items.T
        mean, spread = affinity.mean(1), np.maximum(affinity.std(1), 1e-9)
        utterance = utterances(affinity, mean, spread, taste, mixed.novelty[part], config.quality)
        stats[:, part] = mean, spread, *spread_out(utterance)
        for row, user in enumerate(range(part.start, part.stop)):
            mine = _known(taste, liked[user], utterance[row], order[user], config)
            known.append(mine)
            disliked.append(_disliked(popular, utterance[row], set(mine), order[user], config.disliked))
            utterance[row, list(mine)] = -np.inf
            best = np.argpartition(-utterance[row], targets.shape[1] - 1)[: targets.shape[1]]
            targets[user] = best[np.argsort(-utterance[row, best], kind="stable")]
    return People(
        taste=vectors,
        weights=weights,
        traits=mixed,
        mean=stats[0],
        spread=stats[1],
        median=stats[2],
        gain=stats[3],
        mobile=mobile,
        patience=patience,
        known=tuple(known),
        disliked=tuple(disliked),
        targets=targets,
    )


def mixed_taste(
    first: npt.NDArray[np.float32],
    second: npt.NDArray[np.float32],
    share: Floats64,
    noise: Floats64,
    amount: float,
) -> npt.NDArray[np.float32]:
    """[n, d] unit vectors: (1 - share) * first + share * second + amount * noise of unit length."""
    unit = noise / np.linalg.norm(noise, axis=1, keepdims=True)
    mixed = (1 - share)[:, None] * first + share[:, None] * second + amount * unit
    return np.asarray(mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-9), dtype=np.float32)


def utterances(
    affinity: npt.NDArray[np.floating],
    mean: npt.NDArray[np.floating],
    spread: npt.NDArray[np.floating],
    taste: Taste,
    novelty: Floats64,
    quality: float,
    rows: Ints64 | None = None,
) -> Floats64:
    """[n, K] wish x of each user for each item; ``rows`` [n, K] picks items, None means the whole catalogue."""
    at = slice(None) if rows is None else rows
    x = (
        (affinity - mean[:, None]) / spread[:, None]
        + quality * taste.quality[at]
        - novelty[:, None] * taste.popularity[at]
    )
    return np.asarray(x, dtype=np.float64)


def spread_out(utterance: Floats64) -> tuple[Floats64, Floats64]:
    """(median, gain) [n] that put the median wish at utility 0.3 and the 99th percentile at 0.9."""
    middle, top = np.quantile(utterance, [0.5, TOP_QUANTILE], axis=1)
    return middle, (_logit(TOP_UTILITY) - _logit(MEDIAN_UTILITY)) / np.maximum(top - middle, 1e-6)


def utility(people: People, taste: Taste, config: PeopleConfig, users: Ints64, rows: Ints64) -> Floats64:
    """[m, K] utility in [0, 1] of fresh items ``rows`` [m, K] for ``users`` [m]."""
    affinity = np.einsum("md,mkd->mk", people.taste[users], taste.items[rows])
    utterance = utterances(
        affinity, people.mean[users], people.spread[users], taste, people.traits.novelty[users], config.quality, rows
    )
    logits = people.gain[users, None] * (utterance - people.median[users, None]) + _logit(MEDIAN_UTILITY)
    return sigmoid(logits - people.traits.threshold[users, None])


def _logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def _known(taste: Taste, own: Ints64, utterance: Floats64, order: Floats64, config: PeopleConfig) -> tuple[int, ...]:
    """Liked items the user has seen: the real seeker's ``own``, in random order, filled up with well-known ones."""
    liked = list(dict.fromkeys(own.tolist()))
    liked = [liked[i] for i in np.argsort(order[: len(liked)], kind="stable")][: config.known]
    if len(liked) < config.known:
        fame = utterance + 0.7 * taste.popularity
        fame[liked] = -np.inf
        extra = _top(fame, 3 * config.known)
        picks = np.argsort(order[32 : 32 + len(extra)], kind="stable")[: config.known - len(liked)]
        liked += extra[picks].tolist()
    return tuple(liked)


def _top(values: Floats64, k: int) -> Ints64:
    """Places of the ``k`` largest, the largest first, of equal ones the first; all where there are no more."""
    best = np.sort(np.argpartition(-values, k - 1)[:k]) if k < len(values) else np.arange(len(values))
    return np.asarray(best[np.argsort(-values[best], kind="stable")], dtype=np.int64)


def _disliked(popular: Ints64, utterance: Floats64, known: set[int], order: Floats64, count: int) -> tuple[int, ...]:
    """Those of the ``popular`` items that the user likes least."""
    worst = [i for i in popular[np.argsort(utterance[popular], kind="stable")].tolist() if i not in known][:16]
    return tuple(worst[i] for i in np.argsort(order[: len(worst)], kind="stable")[:count])
