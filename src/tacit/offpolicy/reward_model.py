"""What a place earns, predicted: q(x, k, item) for cascade-DR and the direct method.

Ridge regression on the place and the context's features, plus what an item earns above that, shrunk towards 0. A
round's prediction always comes from a model that saw no round of the same person (cross-fitting): fitted on the very
rounds it corrects, a model's residuals add up to nothing, and DR falls back to DM whatever the propensities.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tacit.offpolicy.log import Log, Names
from tacit.types import Bools, Floats64, Ints64

RIDGE = 1.0
PSEUDO_COUNT = 10.0  # so many showings that earned no more than the place does stand behind every item
NO_ITEM = -1


@dataclass(frozen=True, eq=False)
class Predicted:
    """``q`` [n, K] of the items shown; ``q_target`` [n, K] of what π would draw there after the same items: 0 past a
    slate's end. ``of_slates`` [n] is of π's own slates; None where the log does not say what π would draw."""

    q: Floats64
    q_target: Floats64
    of_slates: Floats64 | None


@dataclass(frozen=True, eq=False)
class Model:
    """``weights`` of the features and places, and ``effects`` [items] of items beyond them."""

    weights: Floats64
    effects: Floats64

    def base(self, log: Log, rows: Bools) -> Floats64:
        """[rows, K]: what any item there would earn."""
        predicted: Floats64 = (_inputs(log, rows) @ self.weights).reshape(-1, log.places)
        return predicted

    def effect(self, codes: Ints64) -> Floats64:
        """0 for no item, and for one that was never shown."""
        padded: Floats64 = np.append(self.effects, 0.0)
        return padded[np.where(codes < len(self.effects), codes, NO_ITEM)]


def cross_fitted(log: Log, generator: np.random.Generator, folds: int = 5) -> Predicted:
    """Predictions for every round, each by a model of the other folds; a person's rounds are in one fold.

    Items count where the log says what π would draw instead (``target_items``); else the place and features alone.
    """
    n_groups = int(log.clusters.max()) + 1
    folds = min(folds, n_groups)
    if folds < 2 or not log.by_place:  # one person alone, or no rewards of places: nothing to predict
        zeros = np.zeros((log.n, log.places))
        return Predicted(zeros, zeros, None)
    fold = (generator.permutation(n_groups) % folds)[log.clusters]
    items, choices, slates = _codes(log)
    q, q_target, of_slates = np.zeros((log.n, log.places)), np.zeros((log.n, log.places)), np.zeros(log.n)
    for number in range(folds):
        held = fold == number
        model = fit(log, items, ~held)
        base = model.base(log, held)
        q[held] = base + model.effect(items[held])
        q_target[held] = base + _expected(model, log, choices, held)
        of_slates[held] = _slate_value(model, base, q_target[held], slates, held)
    knows_slates = slates is not None or (choices is not None and log.places == 1 and bool(log.recommends.all()))
    return Predicted(
        np.where(log.shown, q, 0.0),
        np.where(log.shown, q_target, 0.0),
        log.target_recommends * of_slates if knows_slates else None,
    )


def worth_of_click(log: Log, clicks: Floats64, generator: np.random.Generator, folds: int = 5) -> Floats64:
    """[n]: what a click of persons in the other folds was followed by on average, 0 where they never clicked."""
    n_groups = int(log.clusters.max()) + 1
    folds = min(folds, n_groups)
    fold = (generator.permutation(n_groups) % folds)[log.clusters]
    earned = log.counts * (np.where(log.shown, log.rewards, 0.0) * clicks).sum(axis=1)
    clicked = log.counts * clicks.sum(axis=1)
    others = [(earned[fold != f].sum(), clicked[fold != f].sum()) for f in range(folds)]
    return np.array([sums / number if number > 0.0 else 0.0 for sums, number in others])[fold]


def fit(log: Log, items: Ints64, rows: Bools) -> Model:
    """On the places shown in ``rows`` [n]; ``items`` [n, K] are numbers from 0, ``NO_ITEM`` where none counts."""
    shown = log.shown[rows].ravel()
    x, y = _inputs(log, rows)[shown], log.rewards[rows].ravel()[shown]
    counts = np.repeat(log.counts[rows], log.places)[shown]
    penalty = RIDGE * np.eye(x.shape[1])
    penalty[0, 0] = 1e-9  # the mean is not shrunk
    weights = np.asarray(np.linalg.solve(x.T @ (x * counts[:, None]) + penalty, x.T @ (y * counts)), dtype=np.float64)
    codes = items[rows].ravel()[shown]
    known = codes != NO_ITEM
    n_items = int(items.max(initial=NO_ITEM)) + 1
    sums = np.bincount(codes[known], (counts * (y - x @ weights))[known], n_items)
    effects: Floats64 = sums / (np.bincount(codes[known], counts[known], n_items) + PSEUDO_COUNT)
    return Model(weights, effects)


def _inputs(log: Log, rows: Bools) -> Floats64:
    """[rows · K, 1 + (K − 1) + d]: a one, the place, and the context's features in standard units."""
    n = int(rows.sum())
    places = np.tile(np.eye(log.places), (n, 1))
    places[:, 0] = 1.0
    if log.features is None:
        return np.asarray(places)
    spread = log.features.std(axis=0)
    standard = (log.features - log.features.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0)
    return np.asarray(np.hstack([places, np.repeat(standard[rows], log.places, axis=0)]))


def _expected(model: Model, log: Log, choices: Ints64 | None, held: Bools) -> Floats64:
    """Σ_a π(a | x, items before) effect(a), [held, K]."""
    if choices is None or log.target_shares is None:
        return np.zeros((int(held.sum()), log.places))
    expected: Floats64 = (model.effect(choices[held]) * np.nan_to_num(log.target_shares[held])).sum(axis=2)
    return expected


def _slate_value(model: Model, base: Floats64, expected: Floats64, slates: Ints64 | None, held: Bools) -> Floats64:
    """[held]: what a slate of π's would earn, if it shows one."""
    if slates is None:
        return np.asarray(expected.sum(axis=1))
    codes = slates[held]
    worth: Floats64 = np.where(codes == NO_ITEM, 0.0, base[:, None, :] + model.effect(codes))
    return np.asarray(worth.sum(axis=2).mean(axis=1))


def _codes(log: Log) -> tuple[Ints64, Ints64 | None, Ints64 | None]:
    """Items shown [n, K], what π would draw [n, K, M], and its own slates [n, S, K], as numbers from 0.

    Without ``target_items`` no item counts: what one earns could not be weighed against what π would have drawn.
    """
    none = np.full((log.n, log.places), NO_ITEM, dtype=np.int64)
    if log.items is None or log.target_items is None:
        return none, None, None
    parts = [log.items, log.target_items] + ([] if log.target_slates is None else [log.target_slates])
    flat = np.concatenate([_names(part).ravel() for part in parts])
    _, codes = np.unique(flat, return_inverse=True)
    codes = np.where(_missing(flat), NO_ITEM, codes)
    ends = np.cumsum([part.size for part in parts])
    shaped = [piece.reshape(part.shape) for piece, part in zip(np.split(codes, ends[:-1]), parts, strict=True)]
    items = np.where(log.shown, shaped[0], NO_ITEM)
    return items, shaped[1], shaped[2] if len(shaped) > 2 else None


def _names(part: Names) -> Names:
    if part.dtype == object:
        return np.array(["" if name is None else str(name) for name in part.ravel()]).reshape(part.shape)
    return part


def _missing(flat: Names) -> Bools:
    """Where a name is none: "" among names, a negative number among numbers."""
    missing: Bools = flat < 0 if flat.dtype.kind in "if" else flat == ""
    return missing
