"""Vectors of texts, kept in a folder chunk by chunk, so that no text is read by an encoder twice.

The last bits of a vector depend on the texts that it was batched with. Chunks are therefore cut by content alone, each
is read by itself, and a chunk is stored and used again whole or not at all: a cache that is empty, half filled or
full gives the same batches. Two processes may still differ in the last bits of one batch (how memory lies decides the
order in which some processors add), so that equal bits rest on the stored vectors.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from tacit.run.files import atomic_write
from tacit.run.memory import pass_on_want_of_memory
from tacit.run.progress import progress

log = logging.getLogger("tacit")

Vectors = npt.NDArray[np.float32]
CHUNK = 64  # texts of a chunk, on average: what a kill can cost
LONGEST = 4 * CHUNK


@dataclass(frozen=True)
class Batch:
    """Vectors [n, d] of n texts, and which of them were longer than their encoder reads, bool [n]."""

    vectors: Vectors
    cut: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TextVectors:
    """Vectors [n, d] of the texts asked for; of the different ones, how many lost their end to the encoder's limit."""

    vectors: Vectors
    cut: int


def read_vectors(
    texts: Sequence[str], encode: Callable[[Sequence[str]], Batch], encoder: str, folder: Path | None, what: str
) -> TextVectors:
    """Each text as ``encode`` reads it, at least one text. ``encoder`` tells encoders and their weights apart; ``what``
    names the progress. Chunks are kept in ``folder``, None keeps none; a damaged file is read anew."""
    parts = chunks(texts)
    paths = [None if folder is None else folder / f"chunk-{_hash(encoder)}-{_hash(part)}.safetensors" for part in parts]
    batches = [None if path is None else _stored(path, len(part)) for part, path in zip(parts, paths, strict=True)]
    vectors: list[Vectors] = []
    cut = 0
    with progress(sum(map(len, parts)), what) as bar:
        bar.resume(sum(len(part) for part, batch in zip(parts, batches, strict=True) if batch is not None))
        for part, path, stored in zip(parts, paths, batches, strict=True):
            batch = stored or encode(part)
            if stored is None:
                if path is not None:
                    atomic_write(path, _packed(batch))
                bar.advance(len(part))
            vectors.append(batch.vectors)
            cut += int(batch.cut.sum())
    row = {text: row for row, text in enumerate(text for part in parts for text in part)}
    return TextVectors(np.concatenate(vectors)[[row[text] for text in texts]], cut)


def chunks(texts: Iterable[str]) -> list[list[str]]:
    """The different texts, short ones first, cut after those whose hash says so: one text more or less changes the
    chunk that it stands in, and leaves the others as they are."""
    parts: list[list[str]] = [[]]
    for text in sorted(set(texts), key=lambda text: (len(text), text)):
        parts[-1].append(text)
        if int(_hash(text)[:8], 16) % CHUNK == 0 or len(parts[-1]) == LONGEST:
            parts.append([])
    return [part for part in parts if part]


def _stored(path: Path, n: int) -> Batch | None:
    """The chunk of ``n`` texts in a file; None where there is none, or a damaged one, which is said."""
    try:
        data = load(path.read_bytes())
        batch = Batch(data["vectors"], data["cut"].astype(np.bool_))
        whole = batch.vectors.ndim == 2 and len(batch.vectors) == len(batch.cut) == n
        if whole and data["sha256"].tobytes() == _check(batch):
            return batch
        reason = "its content is not what was written"
    except FileNotFoundError:
        return None
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        pass_on_want_of_memory(error)
        reason = str(error)
    log.warning("%s is damaged (%s): its %d texts are read again", path, reason, n)
    return None


def _packed(batch: Batch) -> bytes:
    check = np.frombuffer(_check(batch), np.uint8)
    vectors = np.ascontiguousarray(batch.vectors, np.float32)
    return save({"vectors": vectors, "cut": batch.cut.astype(np.uint8), "sha256": check})


def _check(batch: Batch) -> bytes:
    vectors = np.ascontiguousarray(batch.vectors, np.float32)
    return hashlib.sha256(vectors.tobytes() + batch.cut.astype(np.uint8).tobytes()).digest()


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:24]
