"""The cache of texts: asked once, killed at any byte, and written by several processes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import tiny_writer

from tacit.rerank.writer.cache import CachedWriter, cut_texts
from tacit.rerank.writer.writers import LocalWriter
from tacit.text.generate import CutText, Sampling
from tacit.types import InputError


class Counting:
    """A writer that says what it was asked, and dies after ``lives`` calls."""

    def __init__(self, lives: int = 99, name: str = "counting") -> None:
        self.name, self.lives = name, lives
        self.asked: list[list[str]] = []

    def write(self, prompts: Sequence[str], n: int, seed: int, greedy: bool = False) -> list[list[str]]:
        if self.lives == len(self.asked):
            raise KeyboardInterrupt
        self.asked.append(list(prompts))
        return [[f"{prompt} {'greedy' if greedy else seed} {k}" for k in range(n)] for prompt in prompts]


PROMPTS = ["p0", "p1", "p2", "p1", "p3", "p4"]


def test_cache_asks_once(tmp_path: Path) -> None:
    inner = Counting()
    cached = CachedWriter(inner, tmp_path, piece=4)
    texts = cached.write(PROMPTS, 2, 7)
    assert texts == [[f"{prompt} 7 0", f"{prompt} 7 1"] for prompt in PROMPTS]
    assert inner.asked == [["p0", "p1"], ["p2", "p3"], ["p4"]]  # p1 once
    assert CachedWriter(inner, tmp_path).write(PROMPTS, 2, 7) == texts and len(inner.asked) == 3
    assert [options[:1] for options in texts] == cached.write(PROMPTS, 1, 7) and len(inner.asked) == 3
    cached.write(["p0"], 3, 7)
    cached.write(["p0"], 2, 8)
    CachedWriter(Counting(name="another"), tmp_path).write(["p0"], 2, 7)
    assert inner.asked[3:] == [["p0"], ["p0"]] and len(list(tmp_path.iterdir())) == 2


def test_a_cut_text_stays_one_in_the_cache(tmp_path: Path) -> None:
    class Cutting(Counting):
        def write(self, prompts: Any, n: int, seed: int, greedy: bool = False) -> list[list[str]]:
            texts = super().write(prompts, n, seed, greedy)
            return [[CutText(text) if text.startswith("p1") else text for text in of_prompt] for of_prompt in texts]

    cached = CachedWriter(Cutting(), tmp_path, piece=4)
    for texts in (cached.write(PROMPTS, 2, 7), CachedWriter(Cutting(), tmp_path).write(PROMPTS, 2, 7)):
        assert [[isinstance(text, CutText) for text in of] for of in texts] == [[p == "p1"] * 2 for p in PROMPTS]


@pytest.mark.parametrize("cut", ["[]", '{"a": "b"}', '{"a": [1]}', "null"])
def test_a_line_whose_cut_texts_are_damaged_is_written_again(tmp_path: Path, cut: str) -> None:
    inner = Counting()
    texts = CachedWriter(inner, tmp_path).write(["p0"], 1, 7)
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text().replace("}\n", f', "cut": {cut}}}\n'))
    assert cut_texts(tmp_path) == {} and CachedWriter(inner, tmp_path).write(["p0"], 1, 7) == texts
    assert len(inner.asked) == 2


def test_cache_of_greedy_texts_has_no_seed(tmp_path: Path) -> None:
    inner = Counting()
    cached = CachedWriter(inner, tmp_path)
    assert cached.write(["p0"], 2, 7, greedy=True) == [["p0 greedy 0"] * 2]
    assert cached.write(["p0"], 1, 8, greedy=True) == [["p0 greedy 0"]] and len(inner.asked) == 1


@pytest.mark.parametrize("cut", [0, 9])
def test_a_killed_cache_goes_on_in_the_same_pieces(tmp_path: Path, cut: int) -> None:
    """``cut`` bytes of the last line are missing, as after a crash in the middle of writing it."""
    with pytest.raises(KeyboardInterrupt):
        CachedWriter(Counting(lives=2), tmp_path, piece=4).write(PROMPTS, 2, 7)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[: len(path.read_bytes()) - cut])
    again = Counting()
    texts = CachedWriter(again, tmp_path, piece=4).write(PROMPTS, 2, 7)
    assert texts == Counting().write(PROMPTS, 2, 7)
    assert again.asked == ([["p4"]] if cut == 0 else [["p2", "p3"], ["p4"]])
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_processes_write_what_one_does(tmp_path: Path) -> None:
    writer = LocalWriter(tiny_writer.fresh(), tiny_writer.tokenizer(), Sampling(max_tokens=8))
    several = CachedWriter(writer, tmp_path / "several", piece=8, at_once=2)
    alone = CachedWriter(writer, tmp_path / "alone", piece=8)
    prompts = tiny_writer.PROMPTS
    assert several.write(prompts, 2, 7) == alone.write(prompts, 2, 7)
    assert several.path.read_text() == alone.path.read_text()  # in the same order
    assert CachedWriter(Counting(lives=0, name=writer.name), tmp_path / "several").write(prompts, 2, 7)


def test_what_goes_wrong_in_a_process_is_said_here_and_what_was_written_stays(tmp_path: Path) -> None:
    writer = LocalWriter(tiny_writer.fresh(), tiny_writer.tokenizer(), Sampling(max_tokens=8))
    too_long = "film " * 99
    cached = CachedWriter(writer, tmp_path, piece=2, at_once=2)
    with pytest.raises(InputError, match="do not fit the model's 64 positions"):
        cached.write(["a film", too_long, "no film"], 2, 7)
    assert len(cached.path.read_text().splitlines()) == 1
