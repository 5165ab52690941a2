"""Vectors of texts, kept in a folder under hashes of the texts, so that no text is read by an encoder twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save

from tacit.run.files import atomic_write

Vectors = npt.NDArray[np.float32]


def recall(texts: Sequence[str], folder: Path, encoder: str) -> dict[str, Vectors]:
    """Those of ``texts`` that were kept, each with its vector [d]. ``encoder`` tells encoders and weights apart."""
    asked = {_digest(text): text for text in texts}
    found: dict[str, Vectors] = {}
    for path in sorted(folder.glob(f"vectors-{_name(encoder)}-*.safetensors")):
        piece = load(path.read_bytes())
        for key, vector in zip(piece["texts"], piece["vectors"], strict=True):
            text = asked.get(key.tobytes())
            if text is not None:
                found[text] = vector.copy()  # not a view, which would hold the whole piece
    return found


def keep(texts: Sequence[str], vectors: Vectors, folder: Path, encoder: str) -> None:
    """Different texts and their vectors [n, d], in a file of their own."""
    keys = np.stack([np.frombuffer(_digest(text), np.uint8) for text in texts])
    piece = hashlib.sha256(keys.tobytes()).hexdigest()[:16]
    data = save({"vectors": np.ascontiguousarray(vectors), "texts": keys})
    atomic_write(folder / f"vectors-{_name(encoder)}-{piece}.safetensors", data)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:16]


def _name(encoder: str) -> str:
    return hashlib.sha256(json.dumps(encoder).encode()).hexdigest()[:16]
