"""A map of what a policy says to simulated users, before and after: reply embeddings in two dimensions."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from tacit.run.files import write_parquet
from tacit.text.encoder import TextEncoder

Points = npt.NDArray[np.float64]


def write_map(
    path: Path, tables: Mapping[str, pl.DataFrame], encoder: TextEncoder, limit: int, method: str, seed: int
) -> None:
    """Up to ``limit`` agent turns of each model on one map. Columns: model, x, y, hidden_utility, reply, method."""
    if path.exists() or not tables:
        return
    generator = np.random.default_rng([seed, 16])
    parts = []
    for model, table in tables.items():
        chosen = np.sort(generator.choice(len(table), size=min(limit, len(table)), replace=False))
        parts.append(table[chosen].select("reply", "hidden_utility").with_columns(model=pl.lit(model)))
    rows = pl.concat(parts)
    vectors = (
        encoder.encode([reply or " " for reply in rows["reply"].to_list()], what="mapping replies")
        .double()
        .cpu()
        .numpy()
    )
    used = chosen_method(method)
    points = umap(vectors, seed) if used == "UMAP" else pca(vectors)
    rows = rows.with_columns(x=pl.Series(points[:, 0]), y=pl.Series(points[:, 1]), method=pl.lit(used))
    write_parquet(path, rows)


def chosen_method(method: str) -> str:
    """ "auto" takes UMAP where the extra ``viz`` is installed, PCA elsewhere."""
    if method == "auto":
        return "UMAP" if find_spec("umap") else "PCA"
    return method.upper()


def pca(vectors: npt.NDArray[np.float64]) -> Points:
    """Rows [n, d] on their first two principal axes, [n, 2]; the sign makes each axis's largest loading positive."""
    centred = vectors - vectors.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:2]
    axes = axes * np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    points = np.zeros((len(vectors), 2))
    points[:, : len(axes)] = centred @ axes.T
    return points


def umap(vectors: npt.NDArray[np.float64], seed: int) -> Points:
    """UMAP (McInnes et al., arXiv 1802.03426) with cosine distance, [n, 2]; too few rows fall back to PCA."""
    if len(vectors) < 16:
        return pca(vectors)
    from umap import UMAP

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that a seed means one thread, which is what we want
        return np.asarray(UMAP(metric="cosine", random_state=seed).fit_transform(vectors), dtype=np.float64)
