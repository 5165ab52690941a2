"""Texts of a writer, kept in a folder as they are written, by several processes where that is faster."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Generator, Sequence
from functools import partial
from pathlib import Path

from tacit.rerank.writer.writers import Writer, pieces
from tacit.run.files import says_when_full
from tacit.run.processes import processes, release_memory
from tacit.run.progress import progress

Samples = list[list[str]]  # n of each prompt


class CachedWriter:
    """Another writer, with every text kept in ``folder``: asked again, or killed and asked again, nothing is rewritten.

    One file a writer, one JSON line a piece of about ``piece`` texts, on disk as soon as it and those before it are
    written. A line that was cut short is dropped, so a resumed run batches, and therefore writes, exactly as an
    undisturbed one. With ``at_once`` above 1 as many pieces are written side by side, each by a copy of the writer in a
    process of one thread: for a small model on a CPU.
    """

    def __init__(self, writer: Writer, folder: str | Path, piece: int = 640, at_once: int = 1) -> None:
        self.writer, self.piece, self.at_once = writer, piece, at_once
        self.name = writer.name
        self.path = Path(folder) / f"texts-{hashlib.sha256(self.name.encode()).hexdigest()[:16]}.jsonl"
        self._known: dict[str, str] | None = None

    def write(self, prompts: Sequence[str], n: int, seed: int, greedy: bool = False) -> list[list[str]]:
        known = self._load()
        different = 1 if greedy else n

        def keys(prompt: str) -> list[str]:
            return [_key(prompt, k, None if greedy else seed) for k in range(different)]

        missing = [p for p in dict.fromkeys(prompts) if any(key not in known for key in keys(p))]
        asked = list(pieces(missing, max(1, self.piece // different)))
        with (
            progress(len(missing) * different, "writing") as bar,
            contextlib.closing(self._each(asked, different, seed, greedy)) as each,
        ):
            for piece, texts in zip(asked, each, strict=True):
                found = {
                    key: text
                    for p, options in zip(piece, texts, strict=True)
                    for key, text in zip(keys(p), options, strict=True)
                }
                self._append(found)
                bar.advance(len(found))
        texts = [[known[key] for key in keys(p)] for p in prompts]
        return [options * n for options in texts] if greedy else texts

    def _each(self, asked: Sequence[Sequence[str]], n: int, seed: int, greedy: bool) -> Generator[Samples]:
        """The texts of one piece after the other."""
        at_once = min(self.at_once, len(asked))
        if at_once < 2:
            for piece in asked:
                yield _written(self.writer, n, seed, greedy, piece)
            return
        with processes(at_once, _begin_writing, self.writer) as pool:
            yield from pool.map(partial(_written_here, n, seed, greedy), asked)

    def _load(self) -> dict[str, str]:
        if self._known is None:
            self._known = {}
            if self.path.is_file():
                content = self.path.read_bytes()
                whole = content.rfind(b"\n") + 1
                if whole != len(content):
                    os.truncate(self.path, whole)
                for line in content[:whole].splitlines():
                    self._known |= json.loads(line)
        return self._known

    def _append(self, found: dict[str, str]) -> None:
        with says_when_full(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "ab") as file:
                file.write(json.dumps(found, ensure_ascii=False).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        self._load().update(found)


_here: Writer  # that of a process which only writes


def _begin_writing(writer: Writer) -> None:
    global _here
    _here = writer


def _written_here(n: int, seed: int, greedy: bool, piece: Sequence[str]) -> Samples:
    return _written(_here, n, seed, greedy, piece)


def _written(writer: Writer, n: int, seed: int, greedy: bool, piece: Sequence[str]) -> Samples:
    texts = writer.write(piece, n, seed, greedy)
    release_memory()  # caches of many lengths
    return texts


def _key(prompt: str, index: int, seed: int | None) -> str:
    return hashlib.sha256(json.dumps([prompt, index, seed]).encode()).hexdigest()[:32]
