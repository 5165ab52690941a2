"""Stored vectors: the same batches whatever is stored already, damage mended, texts that were cut counted."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tacit.text.vector_cache import LONGEST, Batch, chunks, read_vectors

TEXTS = [f"{'long ' * (n % 7)}text {n}" for n in range(400)]


class Reader:
    """An encoder whose vectors depend on the batch, as floating point makes those of a real one: the text's length,
    and the place and size of its batch. It stops before batch number ``stop``."""

    def __init__(self, stop: int | None = None) -> None:
        self.batches: list[tuple[str, ...]] = []
        self.stop = stop

    def __call__(self, texts: Sequence[str]) -> Batch:
        if len(self.batches) == self.stop:
            raise KeyboardInterrupt
        self.batches.append(tuple(texts))
        rows = [[len(text), place / len(texts)] for place, text in enumerate(texts)]
        return Batch(np.array(rows, np.float32), np.array([len(text) > 35 for text in texts]))


def read(texts: Sequence[str], reader: Reader, folder: Path | None) -> np.ndarray:
    return read_vectors(texts, reader, "an encoder", folder, "reading").vectors


def test_a_kill_costs_a_batch_and_changes_no_bit(tmp_path: Path) -> None:
    whole = Reader()
    vectors = read(TEXTS, whole, None)
    assert len(whole.batches) > 4

    with pytest.raises(KeyboardInterrupt):
        read(TEXTS, Reader(stop=3), tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    again = Reader()
    assert read(TEXTS, again, tmp_path).tobytes() == vectors.tobytes()
    assert again.batches == whole.batches[3:]  # only what was missing

    full = Reader()
    assert read(TEXTS, full, tmp_path).tobytes() == vectors.tobytes()
    assert not full.batches


def test_holes_in_the_cache_change_no_bit(tmp_path: Path) -> None:
    vectors = read(TEXTS, Reader(), tmp_path)
    files = sorted(tmp_path.iterdir())
    for file in files[::2]:
        file.unlink()
    again = Reader()
    assert read(TEXTS, again, tmp_path).tobytes() == vectors.tobytes()
    assert len(again.batches) == len(files[::2])


def test_order_and_repeats_do_not_matter(tmp_path: Path) -> None:
    vectors = read(TEXTS, Reader(), None)
    turned = [*TEXTS[::-1], TEXTS[0]]
    assert read(turned, Reader(), None).tobytes() == np.concatenate([vectors[::-1], vectors[:1]]).tobytes()


def test_one_text_more_changes_the_chunk_that_it_stands_in() -> None:
    before, after = chunks(TEXTS), chunks([*TEXTS, "a new text"])
    assert sum(part not in before for part in after) <= 2  # two where the new text itself ends a chunk
    assert sorted(text for part in before for text in part) == sorted(TEXTS)
    assert max(map(len, before)) <= LONGEST


def test_encoders_are_kept_apart(tmp_path: Path) -> None:
    read(TEXTS, Reader(), tmp_path)
    other = Reader()
    read_vectors(TEXTS, other, "another encoder", tmp_path, "reading")
    assert other.batches == [tuple(part) for part in chunks(TEXTS)]


@pytest.mark.parametrize("damage", ["empty", "half", "a flipped bit", "another format"])
def test_a_damaged_file_is_read_anew_with_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str) -> None:
    vectors = read(TEXTS, Reader(), tmp_path)
    file = sorted(tmp_path.iterdir())[1]
    content = file.read_bytes()
    flipped = content[:-40] + bytes([content[-40] ^ 1]) + content[-39:]
    file.write_bytes({"empty": b"", "half": content[:90], "a flipped bit": flipped, "another format": b"{}"}[damage])
    with caplog.at_level(logging.WARNING, "tacit"):
        again = Reader()
        assert read(TEXTS, again, tmp_path).tobytes() == vectors.tobytes()
    assert len(again.batches) == 1
    assert [record.getMessage().split(" (")[0] for record in caplog.records] == [f"{file} is damaged"]
    assert file.read_bytes() == content


def test_cut_texts_are_counted_once_and_remembered(tmp_path: Path) -> None:
    texts = [*TEXTS, *TEXTS]
    expected = sum(len(text) > 35 for text in TEXTS)
    assert expected > 0
    for _ in range(2):  # read, then stored
        assert read_vectors(texts, Reader(), "an encoder", tmp_path, "reading").cut == expected
