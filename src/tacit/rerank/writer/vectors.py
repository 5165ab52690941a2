"""Preference and item texts as vectors: which part of a text is read, by which encoder, and kept on disk.

``kar_input`` is KAR's (arXiv 2306.10933, knowledge_encoding/lm_encoding.py): the history out of the prompt, ". "
and the answer, cut at 512 tokens, so that a long history hides most of the answer. ``clean`` reads the answer alone.
"""

from __future__ import annotations

import logging
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from sklearn.linear_model import RidgeCV

from tacit.run.network import allow_download
from tacit.text.encoder import PINNED, TextEncoder
from tacit.text.vector_cache import Batch, Vectors, read_vectors

log = logging.getLogger("tacit")

Mode = Literal["clean", "kar_input"]
MAX_TOKENS = 512
HASHED = 512  # dimensions of the hashing encoder
_PENALTIES = tuple(10.0**power for power in np.arange(-2.0, 3.1, 0.5))  # beside sums of squares of unit vectors
_TOKEN = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


def read_texts(prompts: Sequence[str], answers: Sequence[str], mode: Mode) -> list[str]:
    """What the encoder reads of each answer: ``kar_input`` puts the prompt's history before it."""
    if mode == "clean":
        return list(answers)
    return [kar_input(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]


def kar_input(prompt: str, answer: str) -> str:
    """The prompt up to its last ";", which ends the history, then ". " and the answer."""
    history = prompt.rpartition(";")[0]
    return f"{history}. {answer}" if history else answer


def text_vectors(
    texts: Sequence[str],
    encoder: str = "minilm",
    folder: Path | None = None,
    device: str = "cpu",
    dtype: str = "float32",
) -> Vectors:
    """Each text as a vector, float32 [n, d].

    ``encoder`` is ``minilm`` (pinned, unit vectors), ``hashing`` (no model), or a hub name or folder such as
    ``bert-base-uncased``, whose tokens are averaged as in KAR's ``avg``, without scaling. Texts lose what follows 512
    tokens. ``dtype`` bfloat16 encodes in mixed precision. With ``folder`` the vectors are kept there, chunk by chunk
    (``vector_cache``).
    """
    if not texts:
        return np.zeros((0, HASHED if encoder == "hashing" else 0), np.float32)
    encode, weights = _encoder(encoder, device, dtype)
    reading = read_vectors(texts, encode, weights, folder, "reading the texts")
    if reading.cut:
        log.warning(
            "%d of %d texts are longer than %d tokens: their end is not read", reading.cut, len(set(texts)), MAX_TOKENS
        )
    return reading.vectors


@dataclass(frozen=True)
class Projection:
    """x → (x − mean) axes, [n, d] → [n, k]; fitted on some vectors, used on others."""

    mean: Vectors  # [d]
    axes: Vectors  # [d, k]

    @classmethod
    def ridge(cls, vectors: Vectors, targets: Vectors) -> Projection:
        """To what ``vectors`` [n, d] tell of ``targets`` [n, k] (a user's or an item's place among the ratings), by
        ridge regression, less its mean and all by one factor, so that its variance over ``vectors`` is 1.

        Principal axes would keep what differs most between texts, which is how they are put; these keep what readers of
        ratings can use. A text that tells little is drawn to 0. The penalty is chosen by leave-one-out.
        """
        ridge = RidgeCV(alphas=_PENALTIES).fit(vectors, targets)
        axes = np.atleast_2d(ridge.coef_).T
        mean = vectors.mean(0)
        return cls(mean, (axes / max(float(((vectors - mean) @ axes).std()), 1e-6)).astype(np.float32))

    @classmethod
    def cross_fitted(cls, vectors: Vectors, targets: Vectors, folds: int = 10) -> list[Projection]:
        """Axes as ``ridge`` gives them, for each fold (rows k, k + folds, …) fitted on the rows of the others.

        Axes tell more of what they were fitted on than of anything else. A reranker that learnt from such vectors would
        trust the vectors of new users too far.
        """
        fold = np.arange(len(vectors)) % min(folds, len(vectors))
        return [cls.ridge(vectors[fold != k], targets[fold != k]) for k in range(fold.max() + 1)]

    @classmethod
    def fit(cls, vectors: Vectors) -> Projection:
        """Each dimension to mean 0 and variance 1 over ``vectors`` [n, d]; a constant one becomes 0."""
        spread = vectors.std(0)
        scale = np.where(spread > 1e-6, 1.0 / np.maximum(spread, 1e-6), 0.0)
        return cls(vectors.mean(0), np.diag(scale).astype(np.float32))

    def __call__(self, vectors: Vectors) -> Vectors:
        return np.asarray((vectors - self.mean) @ self.axes, dtype=np.float32)


def hashed(texts: Sequence[str]) -> Vectors:
    """Signed feature hashing of words and of pairs of neighbours, unit vectors, float32 [n, HASHED].

    Source: Weinberger et al. 2009, arXiv 0902.2206. No model, the same everywhere: for tests and dry runs.
    """
    vectors = np.zeros((len(texts), HASHED), np.float32)
    for row, text in enumerate(texts):
        words = _TOKEN.findall(text.lower())
        for feature in [*words, *map(" ".join, pairwise(words))]:
            code = zlib.crc32(feature.encode())
            vectors[row, code % HASHED] += 1.0 if code >> 31 else -1.0
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-12), dtype=np.float32)


@lru_cache(maxsize=1)
def _encoder(name: str, device: str, dtype: str) -> tuple[Callable[[Sequence[str]], Batch], str]:
    """(function from texts to a batch of vectors, hash of its weights)."""
    if name == "hashing":
        return lambda texts: Batch(hashed(texts), np.zeros(len(texts), np.bool_)), f"hashing {HASHED}"
    source = PINNED if name == "minilm" else name
    if name != "minilm":
        allow_download("encoder", name)
    reader = TextEncoder.load(source, MAX_TOKENS).to(device).eval()

    def encode(texts: Sequence[str]) -> Batch:
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=dtype == "bfloat16"):
            vectors = reader.model.encode(list(texts), batch_size=64, show_progress_bar=False, convert_to_numpy=True)
        return Batch(np.asarray(vectors, dtype=np.float32), reader.is_cut(texts))

    return encode, f"{reader.fingerprint()} {dtype}"
