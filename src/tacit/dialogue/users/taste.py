"""Collaborative taste factors, item quality and popularity, fitted on the training dialogues.

Users and items meet in one space of alternating least squares (Hu, Koren and Volinsky, ICDM 2008; the `implicit`
package). Genres, people and other shared attributes join the fit as weak extra users, so that a film nobody talked
about lies near films of its kind instead of at the origin.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tacit.catalog import Catalog
from tacit.run.limits import above, at_least
from tacit.types import Dialogue, Floats32, Floats64, InputError, Ints64


@dataclass
class TasteConfig:
    factors: int = at_least(1, default=32)  # dimensions of taste
    iterations: int = at_least(1, default=15)  # ALS sweeps
    regularization: float = above(0.0, default=0.05)
    confidence: float = above(0.0, default=20.0)  # weight of one liked item against one unknown item
    mention: float = at_least(0.0, default=0.3)  # weight of a mention without a judgement, relative to a liked item
    # total weight of one attribute of one item, shared by the items that carry it (square root)
    attribute: float = at_least(0.0, default=0.5)
    shrink: float = above(0.0, default=20.0)  # pseudo-judgements behind an item's share of liked


@dataclass(frozen=True)
class Taste:
    """Everything known about tastes in the training split. Rows of items follow the catalogue.

    items [n_items, d] soft-normalised item vectors (length < 1, shorter when little is known);
    seekers [n_seekers, d] unit vectors of real seekers; liked: each seeker's liked rows, as (indptr, rows);
    quality [n_items] and popularity [n_items] as z-scores.
    """

    items: Floats32
    seekers: Floats32
    liked_start: Ints64
    liked_rows: Ints64
    quality: Floats32
    popularity: Floats32

    def liked_by(self, seeker: int) -> Ints64:
        return self.liked_rows[self.liked_start[seeker] : self.liked_start[seeker + 1]]

    def of_items(self, rows: Ints64, weights: Floats64, config: TasteConfig) -> Floats32:
        """[d] unit vector of somebody known by these items alone: one ALS half-step against the items' vectors.

        x = (YᵀY + Yᵀ(C − I)Y + λI)⁻¹ YᵀC p with C = confidence · weight on the items and 1 elsewhere (Hu, Koren and
        Volinsky 2008, equation 4).
        """
        mine = self.items[rows].astype(np.float64)
        confidence = np.maximum(config.confidence * weights, 1.0)
        gram = self.gram + (mine * (confidence - 1.0)[:, None]).T @ mine + config.regularization * np.eye(mine.shape[1])
        x = np.linalg.solve(gram, mine.T @ confidence)
        return np.asarray(x / max(float(np.linalg.norm(x)), 1e-9), dtype=np.float32)

    @cached_property
    def gram(self) -> Floats64:
        """YᵀY [d, d]"""
        y = self.items.astype(np.float64)
        return np.asarray(y.T @ y)


def likes(dialogue: Dialogue, mention: float) -> dict[str, float]:
    """Item → weight in (0, 1]: liked by the form 1; spoken of by the user without a verdict ``mention``; disliked out.

    A click counts as liked, whatever the source; a judgement, where there is one, has the last word. That an item was
    accepted is not read.
    """
    weights: dict[str, float] = {}
    for turn in dialogue.turns:
        if turn.speaker == "user":
            for item in turn.mentions:
                weights.setdefault(item, mention)
        elif turn.feedback is not None:
            for item in turn.feedback.clicked or ():
                weights[item] = 1.0
    for item, judgement in dialogue.judgements.items():
        if judgement.liked:
            weights[item] = 1.0
        elif judgement.liked is False:
            weights.pop(item, None)
    return {item: weight for item, weight in weights.items() if weight > 0}  # with ``mention`` 0 mentions are out


def quality(liked: npt.NDArray[np.float64], judged: npt.NDArray[np.float64], shrink: float) -> npt.NDArray[np.float64]:
    """[n_items] share of liked, shrunk towards the mean: (liked + shrink * mean) / (judged + shrink)."""
    mean = liked.sum() / max(judged.sum(), 1.0)
    return np.asarray((liked + shrink * mean) / (judged + shrink), dtype=np.float64)


def zscore(values: npt.NDArray[np.float64]) -> Floats32:
    """Zero mean and unit deviation; all zero where the values do not differ."""
    spread = float(values.std())
    return np.asarray((values - values.mean()) / spread if spread > 0 else np.zeros_like(values), dtype=np.float32)


def fit_taste(catalog: Catalog, train: Sequence[Dialogue], config: TasteConfig, seed: int) -> Taste:
    """ALS on [seekers + attribute values, items]; deterministic on one thread."""
    rows = [likes(dialogue, config.mention) for dialogue in train]
    rows = [row for row in rows if len(row) >= 2]
    if not rows:
        raise InputError(
            "no training dialogue has two liked or mentioned items: simulated users need at least one; "
            "check that the data's mentions use ids of the catalogue."
        )
    seekers = [[(catalog.index(item), weight) for item, weight in row.items()] for row in rows]
    matrix = _matrix([*seekers, *attribute_rows(catalog, config.attribute)], len(catalog))
    users, items = _als(matrix, config, seed)
    units = users[: len(seekers)] / np.maximum(np.linalg.norm(users[: len(seekers)], axis=1, keepdims=True), 1e-9)
    lengths = np.linalg.norm(items, axis=1, keepdims=True)
    typical = float(np.median(lengths[catalog.counts > 0])) if (catalog.counts > 0).any() else float(lengths.mean())
    soft = items / np.sqrt(lengths**2 + max(typical, 1e-9) ** 2)
    liked, judged = _verdicts(catalog, train)
    starts = np.cumsum([0, *(len(seeker) for seeker in seekers)])
    return Taste(
        items=np.ascontiguousarray(soft, dtype=np.float32),
        seekers=np.ascontiguousarray(units, dtype=np.float32),
        liked_start=np.asarray(starts, dtype=np.int64),
        liked_rows=np.array([row for seeker in seekers for row, _ in seeker], dtype=np.int64),
        quality=zscore(quality(liked, judged, config.shrink)),
        popularity=zscore(np.log1p(catalog.counts.astype(np.float64))),
    )


def attribute_rows(catalog: Catalog, weight: float) -> Iterator[list[tuple[int, float]]]:
    """One extra row for each attribute value that at least two items share, its weight falling with its frequency."""
    holders: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row, item in enumerate(catalog.items):
        for name, values in sorted(item.attributes.items()):
            if name != "year":
                for value in dict.fromkeys(values):
                    holders[name, value].append(row)
    for items in holders.values():
        if len(items) >= 2:
            yield [(row, weight / len(items) ** 0.5) for row in items]


def _matrix(rows: Sequence[Sequence[tuple[int, float]]], width: int) -> sparse.csr_matrix:
    indptr = np.cumsum([0, *(len(row) for row in rows)])
    indices = np.array([item for row in rows for item, _ in row], dtype=np.int32)
    values = np.array([weight for row in rows for _, weight in row], dtype=np.float32)
    matrix = sparse.csr_matrix((values, indices, indptr), shape=(len(rows), width))
    matrix.eliminate_zeros()  # to implicit a stored zero is an item that was consumed
    return matrix


def _als(matrix: sparse.csr_matrix, config: TasteConfig, seed: int) -> tuple[Floats32, Floats32]:
    from implicit.cpu.als import AlternatingLeastSquares

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # it asks for OPENBLAS_NUM_THREADS=1; its own loop has one
        model = AlternatingLeastSquares(
            factors=config.factors,
            regularization=config.regularization,
            alpha=config.confidence,
            iterations=config.iterations,
            num_threads=1,
            random_state=seed,
        )
        model.fit(matrix, show_progress=False)
    return np.asarray(model.user_factors), np.asarray(model.item_factors)


def _verdicts(catalog: Catalog, train: Sequence[Dialogue]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(liked, judged) counts [n_items] over the users' explicit judgements."""
    liked, judged = np.zeros(len(catalog)), np.zeros(len(catalog))
    for dialogue in train:
        for item, judgement in dialogue.judgements.items():
            if judgement.liked is not None:
                judged[catalog.index(item)] += 1
                liked[catalog.index(item)] += judgement.liked
    return liked, judged
