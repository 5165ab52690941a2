"""What users' ratings say about items, without a word of text: linear item-to-item models, vectors, counts.

Everything here is fitted on the users it is handed, which are training users. n items; an item-to-item model is a
matrix ``weights`` [n, n] whose entry [i, j] is what one i in a history adds to the score of j. Such a matrix is
computed in its own memory as far as that goes, for with Amazon's 17,332 items each takes 1.2 GB.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.linalg.lapack import spotrf, spotri, spotrs
from scipy.sparse.linalg import svds

from tacit.rerank.lists.lists import Histories, Lists
from tacit.types import Floats32, InputError, Ints32

# How the next items are foretold from the last ones: so many of them, each counting DECAY times its successor.
LAST = 30
DECAY = 0.9
OWN_MEAN = 5.0  # ratings of 0 that a user's own mean is drawn together by

_DECIMALS = 5  # of vectors that are to have the same bits in every process

BLOCK = 1024  # rows of a matrix that are mirrored at once

Rows = npt.NDArray[np.int64]


def spans(histories: Histories, users: Ints32) -> tuple[Rows, Rows, Rows]:
    """[m] each, user after user, oldest first: where an interaction of ``users`` stands in ``histories.items``, and
    where the history it belongs to begins and ends there."""
    counts = np.diff(histories.offsets)[users]
    first, end = np.repeat(histories.offsets[users], counts), np.repeat(histories.offsets[users + 1], counts)
    within = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
    return first + within, first, end


def places(histories: Histories, users: Ints32) -> Rows:
    """[m]: where the interactions of ``users`` stand in ``histories.items``."""
    return spans(histories, users)[0]


def interactions(
    histories: Histories, users: Ints32, n_items: int, values: Floats32 | None = None
) -> sparse.csr_matrix:
    """[len(users), n] float32, a row a user. ``values``: what each interaction of ``histories`` counts, 1 when None.

    An item that a user consumed twice counts twice.
    """
    at = places(histories, users)
    rows = np.repeat(np.arange(len(users)), np.diff(histories.offsets)[users])
    counted = np.ones(len(at), dtype=np.float32) if values is None else values[at]
    return sparse.csr_matrix((counted, (rows, histories.items[at])), shape=(len(users), n_items))


def ease(matrix: sparse.csr_matrix, l2: float) -> Floats32:
    """The weights B that make X B nearest to X under a ridge penalty ``l2`` and a zero diagonal: [n, n].

    B = I - P diag(P)⁻¹, P = (XᵀX + l2 I)⁻¹. Source: Steck 2019, arXiv 1905.03375, eq. 8.
    """
    weights = _inverse(_gram(matrix, l2))
    weights /= -np.diag(weights)
    np.fill_diagonal(weights, 0.0)
    return weights


def successors(
    histories: Histories, users: Ints32, n_items: int, targets: Sequence[Floats32], ahead: int, l2: float
) -> Iterator[Floats32]:
    """Weights [n, n] from a user's last items to the next ``ahead`` ones, one matrix for each entry of ``targets``.

    B = (SᵀS + l2 I)⁻¹ SᵀT. The past S and the future T have a row for every ``ahead``-th place of every history: S
    counts the item k places back DECAY^(k-1), k = 1 … LAST, and T counts each of the next items its value in the
    target ([n interactions], such as 1 where it was liked). All targets share one factor.
    Source: the transition model SLIT of Choi et al. 2021, arXiv 2103.16104, here with the past cut at LAST and the
    future at ``ahead``, and ridge as the only constraint.
    """
    at, first, end = spans(histories, users)
    anchor = (at > first) & ((at - first) % ahead == 0)
    at, first, end = at[anchor], first[anchor], end[anchor]

    def table(shifts: range, values: Floats32, decay: float) -> sparse.csr_matrix:
        """[anchors, n]: the items at these shifts from the anchors, where the history reaches so far."""
        parts = []
        for step, shift in enumerate(shifts):
            rows = np.flatnonzero((at + shift >= first) & (at + shift < end))
            parts.append((rows, at[rows] + shift, np.full(len(rows), decay**step, dtype=np.float32)))
        rows, at_shift, counted = (np.concatenate(column) for column in zip(*parts, strict=True))
        return sparse.csr_matrix(
            (counted * values[at_shift], (rows, histories.items[at_shift])), shape=(len(at), n_items)
        )

    past = table(range(-1, -LAST - 1, -1), np.ones_like(histories.ratings), DECAY)
    factor = _cholesky(_gram(past, l2))
    for target in targets:
        yield spotrs(factor, (past.T @ table(range(ahead), target, 1.0)).toarray("F"), lower=True, overwrite_b=True)[0]


def lift(histories: Histories, users: Ints32, n_items: int, within: int, smoothing: float = 1.0) -> Floats32:
    """How much oftener two items stand at most ``within`` places apart than chance has it: [n, n], symmetric, nats.

    log((c_ij + s) / (e_ij + s)), c_ij the pairs counted from both sides, e_ij = c_i c_j / c, s ``smoothing``; 0 on the
    diagonal. This is pointwise mutual information (Church & Hanks 1990), drawn to 0 where little was counted.
    """
    at, _, end = spans(histories, users)
    weights: Floats32 = np.zeros((n_items, n_items), dtype=np.float32)
    counts, one = weights.reshape(-1), np.float32(1.0)
    for distance in range(1, within + 1):
        earlier = at[at + distance < end]
        row, column = histories.items[earlier].astype(np.int64), histories.items[earlier + distance]
        np.add.at(counts, row * n_items + column, one)
    weights += weights.T
    margin = weights.sum(0, dtype=np.float64).astype(np.float32)
    expected = np.outer(margin, margin / max(float(margin.sum()), 1.0))
    weights += smoothing
    expected += smoothing
    weights /= expected
    np.log(weights, out=weights)
    np.fill_diagonal(weights, 0.0)
    return weights


def overlap(attributes: Sequence[Sequence[str]]) -> Floats32:
    """Share of the attribute values of j that i has too: weights [n, n], 0 on the diagonal and for a j without any."""
    names = {value: column for column, value in enumerate(sorted({v for values in attributes for v in values}))}
    pairs = [(row, names[value]) for row, values in enumerate(attributes) for value in set(values)]
    rows, columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    table = sparse.csr_matrix((np.ones(len(pairs), dtype=np.float32), (rows, columns)), (len(attributes), len(names)))
    weights: Floats32 = (table @ table.T).toarray()
    weights /= np.maximum(np.diag(weights), 1.0)
    np.fill_diagonal(weights, 0.0)
    return weights


def popularity(histories: Histories, users: Ints32, n_items: int) -> Floats32:
    """[n]: interactions of ``users`` with each item."""
    return np.bincount(histories.items[places(histories, users)], minlength=n_items).astype(np.float32)


def smoothed_mean(
    items: npt.NDArray[np.integer], values: npt.NDArray[np.number], n_items: int, prior: float
) -> Floats32:
    """[n]: (Σ values + prior · m) / (count + prior) of each item, m the mean of all ``values``, 0 if there is none."""
    mean = float(values.mean()) if len(values) else 0.0
    sums = np.bincount(items, weights=values, minlength=n_items)
    return ((sums + prior * mean) / (np.bincount(items, minlength=n_items) + prior)).astype(np.float32)


def label_rate(train: Lists, n_items: int, smoothing: float = 20.0) -> Floats32:
    """[n]: how often an item is a positive where it is a candidate, smoothed by so many mean candidates."""
    return smoothed_mean(train.items.ravel(), train.labels.ravel(), n_items, smoothing)


def less_own_mean(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """Every entry less the mean of its row's entries, which is drawn to 0 by ``OWN_MEAN`` further ones."""
    counts = np.diff(matrix.indptr)
    means = np.asarray(matrix.sum(axis=1)).ravel() / (counts + OWN_MEAN)
    centred = (matrix.data - np.repeat(means, counts)).astype(np.float32)
    return sparse.csr_matrix((centred, matrix.indices, matrix.indptr), matrix.shape)


def star_factors(matrix: sparse.csr_matrix, d: int, l2: float, sweeps: int, seed: int) -> Floats32:
    """Item factors V [n, d] so that V_i · p_u is near the entry (u, i) of ``matrix`` wherever there is one.

    Alternating ridge regressions, each user's p on the items it rated and each item's V on the users who rated it, with
    penalty ``l2``. Source: Koren, Bell & Volinsky 2009, IEEE Computer 42(8), "alternating least squares".
    """
    by_item = matrix.T.tocsr()
    factors: Floats32 = 0.1 * np.random.default_rng(seed).standard_normal((matrix.shape[1], d), dtype=np.float32)
    for _ in range(sweeps):
        factors = _ridge_rows(by_item, _ridge_rows(matrix, factors, l2), l2)
    return factors


def _ridge_rows(matrix: sparse.csr_matrix, factors: Floats32, l2: float) -> Floats32:
    """[rows, d]: each row's entries regressed on the factors of their columns."""
    solved = np.zeros((matrix.shape[0], factors.shape[1]), dtype=np.float32)
    penalty = l2 * np.eye(factors.shape[1], dtype=np.float32)
    for row in range(matrix.shape[0]):
        entries = slice(matrix.indptr[row], matrix.indptr[row + 1])
        rated = factors[matrix.indices[entries]]
        solved[row] = np.linalg.solve(rated.T @ rated + penalty, rated.T @ matrix.data[entries])
    return solved


def svd_vectors(matrix: sparse.csr_matrix, d: int) -> Floats32:
    """Item vectors [n, d'] of unit length from the truncated SVD U S Vᵀ of ``matrix`` [m, n]: rows of V S.

    d' = min(d, m - 1, n - 1). Largest singular value first; an item that nobody rated is 0.
    """
    size = min(d, *(side - 1 for side in matrix.shape))
    start = np.ones(min(matrix.shape)) / np.sqrt(min(matrix.shape))  # scipy would draw it from a global generator
    _, strengths, directions = svds(matrix.astype(np.float64), k=size, v0=start)
    return _unit((directions.T * strengths)[:, ::-1])


def tfidf_vectors(texts: Sequence[str], d: int) -> Floats32:
    """Text vectors [len(texts), d'] of unit length: TF-IDF of lower-case words, then truncated SVD.

    tf = 1 + log(count), idf = 1 + log((1 + m) / (1 + df)) over m texts; words of one text only are left out. No two
    texts weigh quite the same (by 10⁻³ at most), and signs are set: where kinds of texts are equally many, as genres of
    a generated catalogue, singular values are equal, and the last bits of a sum would choose among their vectors.
    """
    words = [Counter(re.findall(r"\w+", text.lower())) for text in texts]
    document_counts = Counter(word for counted in words for word in counted)
    columns = {word: column for column, word in enumerate(sorted(w for w, df in document_counts.items() if df > 1))}
    idf = {word: 1.0 + np.log((1 + len(texts)) / (1 + document_counts[word])) for word in columns}
    if not columns:
        raise InputError("No word stands in two of the texts, so TF-IDF cannot compare them: check the items file.")
    entries = [
        (row, columns[word], (1.0 + np.log(count)) * idf[word])
        for row, counted in enumerate(words)
        for word, count in counted.items()
        if word in columns
    ]
    rows, known_words, values = (np.array(column) for column in zip(*entries, strict=True))
    lengths = np.sqrt(np.bincount(rows, weights=values**2))  # a long text is no stronger than a short one
    weights, directions = np.random.default_rng(0).random((2, len(texts)))  # the same for as many texts
    lengths *= 1.0 + 1e-3 * weights
    matrix = sparse.csr_matrix((values / lengths[rows], (known_words, rows)), (len(columns), len(texts)))
    vectors = svd_vectors(matrix, d)
    signs = np.where((directions - 0.5) @ vectors < 0.0, np.float32(-1.0), np.float32(1.0))
    return (vectors * signs).round(_DECIMALS) + np.float32(0.0)  # -0 becomes 0


def mean_vectors(histories: Histories, vectors: Floats32) -> Floats32:
    """[n_users, d]: the mean vector of the items before each user's ``cut``: what a text may tell, without a text."""
    users = np.repeat(np.arange(len(histories.cut)), np.diff(histories.offsets))
    before_cut = np.arange(len(users)) - histories.offsets[users] < histories.cut[users]
    entries = (np.ones(before_cut.sum()), (users[before_cut], histories.items[before_cut]))
    rows = sparse.csr_matrix(entries, shape=(len(histories.cut), len(vectors)))
    counts = np.bincount(users[before_cut], minlength=len(histories.cut))
    means: Floats32 = ((rows @ vectors) / np.maximum(counts, 1)[:, None]).astype(np.float32)
    return means


def _gram(matrix: sparse.csr_matrix, l2: float) -> Floats32:
    gram: Floats32 = (matrix.T @ matrix).toarray("C")
    gram[np.diag_indices_from(gram)] += l2
    return gram


def _cholesky(gram: Floats32) -> Floats32:
    """L of gram = L Lᵀ, for a symmetric ``gram`` [n, n], whose memory is used up."""
    factor, failed = spotrf(gram.T, lower=True, overwrite_a=True)  # Fortran's order, so that nothing is copied
    if failed:
        raise InputError("Item-to-item weights cannot be computed: set features.l2 and features.next_l2 higher.")
    lower: Floats32 = factor
    return lower


def _inverse(gram: Floats32) -> Floats32:
    """Of a symmetric positive definite ``gram`` [n, n], in its memory; n³ operations, a general one takes 8/3 n³."""
    lower, _ = spotri(_cholesky(gram), lower=True, overwrite_c=True)
    inverse: Floats32 = lower.T
    for begin in range(0, len(inverse), BLOCK):  # what stands above the diagonal is copied below it
        end = begin + BLOCK
        square = inverse[begin:end, begin:end]
        square[:] = np.triu(square) + np.triu(square, 1).T
        inverse[end:, begin:end] = inverse[begin:end, end:].T
    return inverse


def _unit(vectors: npt.NDArray[np.floating]) -> Floats32:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Floats32 = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return scaled
