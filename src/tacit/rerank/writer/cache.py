"""Texts of a writer, kept in a folder as they are written, by several processes where that is faster."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Generator, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from tacit.data.thoughts import has_thoughts
from tacit.rerank.writer.writers import Writer, pieces
from tacit.run.files import says_when_full
from tacit.run.processes import processes, release_memory
from tacit.run.progress import progress
from tacit.text.generate import CutText

log = logging.getLogger("tacit")

Samples = list[list[str]]  # n of each prompt
CUT = "cut"  # the key of a line's texts that were cut, by the prompt; all other keys are texts' own
CUT_MARK = b'"cut": {'


@runtime_checkable
class OneByOne(Protocol):
    """A writer that gives each text out as it arrives: ((prompt, index), text)."""

    def each(
        self, asked: Sequence[tuple[str, int]], seed: int, greedy: bool = False
    ) -> Generator[tuple[tuple[str, int], str]]: ...


class CachedWriter:
    """Another writer, with every text kept in ``folder``: asked again, or killed and asked again, nothing is rewritten.

    One file a writer, one JSON line a piece of about ``piece`` texts, on disk as soon as it and those before it are
    written. A line that was cut short is dropped, so a resumed run batches, and therefore writes, exactly as an
    undisturbed one. With ``at_once`` above 1 as many pieces are written side by side, each by a copy of the writer in a
    process of one thread: for a small model on a CPU. Of a writer that gives texts one by one (``OneByOne``) each is a
    line of its own as it arrives, so that a failure or a kill loses at most those on their way.
    """

    def __init__(self, writer: Writer, folder: str | Path, piece: int = 640, at_once: int = 1) -> None:
        self.writer, self.piece, self.at_once = writer, piece, at_once
        self.name = writer.name
        self.path = Path(folder) / f"texts-{hashlib.sha256(self.name.encode()).hexdigest()[:16]}.jsonl"
        self._known: dict[str, str] | None = None
        self._ended_cut: dict[str, set[str]] = {}  # by prompt_key

    def write(self, prompts: Sequence[str], n: int, seed: int, greedy: bool = False) -> list[list[str]]:
        known = self._load()
        different = 1 if greedy else n

        def keys(prompt: str) -> list[str]:
            return [_key(prompt, k, None if greedy else seed) for k in range(different)]

        missing = [p for p in dict.fromkeys(prompts) if any(key not in known for key in keys(p))]
        if isinstance(self.writer, OneByOne):
            self._one_by_one(self.writer, [(p, k) for p in missing for k in range(different)], seed, greedy)
            missing = []
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
                self._append(found, _cut(zip(piece, texts, strict=True)))
                bar.advance(len(found))
        texts = [[self._as_written(p, known[key]) for key in keys(p)] for p in prompts]
        return [options * n for options in texts] if greedy else texts

    def _as_written(self, prompt: str, text: str) -> str:
        return CutText(text) if text in self._ended_cut.get(prompt_key(prompt), ()) else text

    def _one_by_one(self, writer: OneByOne, asked: Sequence[tuple[str, int]], seed: int, greedy: bool) -> None:
        known = self._load()
        keys = {one: _key(*one, None if greedy else seed) for one in asked}
        asked = [one for one in asked if keys[one] not in known]
        with progress(len(asked), "writing") as bar, contextlib.closing(writer.each(asked, seed, greedy)) as each:
            for one, text in each:
                self._append({keys[one]: text}, _cut([(one[0], [text])]))
                bar.advance(1)

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
                for number, line in enumerate(content[:whole].split(b"\n")[:-1], start=1):
                    row = _parsed(self.path, number, line)
                    self._note_cut(row.get(CUT, {}))
                    texts = {key: text for key, text in row.items() if key != CUT}
                    self._known |= {key: text for key, text in texts.items() if not self._spoilt(text)}
        return self._known

    def _spoilt(self, text: str) -> bool:
        """What earlier versions kept and a writer would no longer give: thoughts, and a server's empty answer."""
        return has_thoughts(text) or (not text and isinstance(self.writer, OneByOne))

    def _append(self, found: dict[str, str], cut: dict[str, list[str]]) -> None:
        with says_when_full(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "ab") as file:
                line = {**found, CUT: cut} if cut else found
                file.write(json.dumps(line, ensure_ascii=False).encode(errors="replace") + b"\n")
                file.flush()
                os.fsync(file.fileno())
        self._load().update(found)
        self._note_cut(cut)

    def _note_cut(self, cut: dict[str, list[str]]) -> None:
        for key, texts in cut.items():
            self._ended_cut.setdefault(key, set()).update(texts)


def cut_texts(folder: Path) -> dict[str, set[str]]:
    """By ``prompt_key``: the texts kept in ``folder`` that ended at their longest, whoever wrote them."""
    cut: dict[str, set[str]] = {}
    for path in sorted(folder.glob("texts-*.jsonl")):
        for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
            if CUT_MARK in line:
                for key, texts in _parsed(path, number, line).get(CUT, {}).items():
                    cut.setdefault(key, set()).update(texts)
    return cut


def prompt_key(prompt: str) -> str:
    return hashlib.sha256(prompt.encode(errors="surrogatepass")).hexdigest()[:32]


def _cut(written: Iterable[tuple[str, Sequence[str]]]) -> dict[str, list[str]]:
    """What ``CUT`` keeps of these prompts and their texts."""
    cut: dict[str, list[str]] = {}
    for prompt, texts in written:
        if ended := [str(text) for text in texts if isinstance(text, CutText)]:
            cut[prompt_key(prompt)] = ended
    return cut


def _parsed(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
        if isinstance(row, dict) and all(isinstance(text, str) for key, text in row.items() if key != CUT):
            cut = row.get(CUT, {})
            if isinstance(cut, dict) and all(_are_texts(texts) for texts in cut.values()):
                return row
    except ValueError:
        pass
    log.warning("%s:%d: a damaged line of texts; they are written again", path, number)
    return {}


def _are_texts(texts: object) -> bool:
    return isinstance(texts, list) and all(isinstance(text, str) for text in texts)


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
