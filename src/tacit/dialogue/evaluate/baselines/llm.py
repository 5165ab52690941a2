"""Zero-shot ranking by any OpenAI-compatible server: it is asked for titles, and a linker finds them in the catalogue.

Every answer is kept in a file as it arrives, so that nothing is paid for twice: the same command goes on from there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from rapidfuzz import fuzz, process

from tacit.catalog import Catalog, normalise_title
from tacit.run.limits import above, at_least
from tacit.run.progress import progress
from tacit.text.endpoint import EndpointWriter
from tacit.text.generate import Sampling
from tacit.types import Dialogue, InputError

Scores = npt.NDArray[np.float32]
log = logging.getLogger("tacit")
_NUMBER = re.compile(r"^\s*(?:[-*•]+|\(?\d{1,3}[.):])\s*")
_AROUND = " \t\"'*_“”"  # what Markdown and quotes put about a title
_YEAR = re.compile(r"\s*\((?:18|19|20)\d\d\)\s*$")
_ARTICLE_LAST = re.compile(r"^(.+), (the|an?)(\s*\(\d{4}\)|$)", re.IGNORECASE)
_MILLION = 1e6
MOST_REFUSED = 0.1  # of the prompts; beyond it the rank says what the filter does, not what the model knows


@dataclass
class LLMConfig:
    url: str = ""  # up to and including /v1
    model: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)  # of the request, over our own
    titles: int = at_least(1, default=20)  # asked for
    turns: int = at_least(1, default=12)  # last messages that it reads
    max_tokens: int = at_least(1, default=600)
    concurrency: int = at_least(1, default=8)
    near: float = above(0.0, default=92.0, high=100.0)  # rapidfuzz's ratio from which a title is taken for another
    price_in: float = at_least(0.0, default=0.0)  # of a million tokens that are read, in any currency
    price_out: float = at_least(0.0, default=0.0)  # of a million tokens that are written


@dataclass
class Spent:
    """Tokens as the server counts them; ``untold`` answers came without a count."""

    read: int = 0
    written: int = 0
    untold: int = 0

    def add(self, usage: Mapping[str, Any] | None) -> None:
        counts = [(usage or {}).get(name) for name in ("prompt_tokens", "completion_tokens")]
        if any(type(count) is not int for count in counts):
            self.untold += 1
            return
        self.read += counts[0] or 0
        self.written += counts[1] or 0

    def cost(self, config: LLMConfig) -> float:
        return (self.read * config.price_in + self.written * config.price_out) / _MILLION

    def told(self, config: LLMConfig) -> str:
        untold = f", {self.untold} answers without a count" if self.untold else ""
        return f"{self.read:,} tokens read, {self.written:,} written{untold}: cost {self.cost(config):.4f}"


class LLMTitles:
    """score = titles − place of the first line that names the item, 0 for what is not named (ties count against)."""

    def __init__(self, catalog: Catalog, answers: Mapping[str, str], config: LLMConfig) -> None:
        self._catalog, self._answers, self._config = catalog, answers, config
        self._linker = TitleLinker(catalog, config.near)

    def told(self) -> str:
        """How much of what was written is in the catalogue: an answer that links to nothing ranks nothing."""
        linked = [self._linker.linked(answer) for answer in self._answers.values()]
        found, lost = sum(len(rows) for rows, _ in linked), sum(lines for _, lines in linked)
        empty = sum(not rows for rows, _ in linked)
        return f"{found:,} titles are in the catalogue, {lost:,} lines link to nothing, {empty:,} answers name nothing"

    def scores(self, contexts: Sequence[Dialogue]) -> Scores:
        """[len(contexts), n_items]."""
        scores = np.zeros((len(contexts), len(self._catalog)), dtype=np.float32)
        for row, context in enumerate(contexts):
            found, _ = self._linker.linked(self._answers[prompt(context, self._config)])
            scores[row, found] = np.arange(len(found), 0, -1)
        return scores


class TitleLinker:
    """Lines of titles → catalogue rows: the same title, the same but for the year, or the nearest by rapidfuzz; of a
    line that says more ("Heat (1995): a heist", two titles), the titles that stand in it with their year."""

    def __init__(self, catalog: Catalog, near: float) -> None:
        self._near = near
        self._catalog = catalog
        self._exact: dict[str, int] = {}
        self._bare: dict[str, int] = {}
        for row in np.argsort(-catalog.counts, kind="stable").tolist():  # of two the one that is named more often
            title = _article_first(catalog.items[row].title)
            self._exact.setdefault(normalise_title(title), row)
            self._bare.setdefault(normalise_title(_without_year(title)), row)
        self._titles = list(self._exact)

    def linked(self, answer: str) -> tuple[list[int], int]:
        """(rows of the titles, each once, in order; how many lines link to nothing)."""
        found = [self._rows(raw, line) for raw in answer.splitlines() if (line := _NUMBER.sub("", raw).strip(_AROUND))]
        return list(dict.fromkeys(row for rows in found for row in rows)), found.count([])

    def _rows(self, raw: str, line: str) -> list[int]:
        """``line`` is ``raw`` without its number, which may be the title's own: "(500) Days of Summer", "11:14"."""
        whole = self._same(raw)
        if whole is not None:
            return [whole]
        row = self._row(_article_first(line))
        if row is not None:
            return [row]
        plain = line.replace("*", "")
        return [self._catalog.index(id) for start, end, id in self._catalog.link(plain) if _dated(plain[start:end])]

    def _same(self, line: str) -> int | None:
        """The item of this title, or of the same but for the year."""
        title = normalise_title(line)
        row = self._exact.get(title)
        return self._bare.get(title, self._bare.get(normalise_title(_without_year(line)))) if row is None else row

    def _row(self, line: str) -> int | None:
        title, row = normalise_title(line), self._same(line)
        if row is None and title:
            nearest = process.extractOne(title, self._titles, scorer=fuzz.ratio, score_cutoff=self._near)
            row = self._exact[nearest[0]] if nearest else None
        return row


def _without_year(title: str) -> str:
    return _YEAR.sub("", title)


def _dated(title: str) -> bool:
    return _YEAR.search(title) is not None


def _article_first(title: str) -> str:
    """``Matrix, The (1999)`` is ``The Matrix (1999)``."""
    return _ARTICLE_LAST.sub(r"\2 \1\3", title)


def prompt(context: Dialogue, config: LLMConfig) -> str:
    said = "\n".join(f"{turn.speaker}: {turn.text}" for turn in context.turns[-config.turns :])
    return (
        "Below is a conversation between a user and an agent that recommends. Which items does the agent recommend "
        f"next? Write {config.titles} titles, the most likely first, one a line, each with its year in parentheses "
        f"where it has one. Write nothing else.\n\n{said}\nagent:"
    )


def ask(file: Path, contexts: Sequence[Dialogue], config: LLMConfig, seed: int) -> dict[str, str]:
    """The answer to every context's prompt: from ``file``, or from the server and then kept there. Says the cost."""
    if not config.url or not config.model:
        raise InputError("the baseline llm needs llm.url (up to /v1) and llm.model: give both.")
    spent, usages = Spent(), list[Mapping[str, Any] | None]()
    writer = EndpointWriter(
        config.url,
        config.model,
        Sampling(0.0, 1.0, config.max_tokens),
        config.parameters,
        concurrency=config.concurrency,
        settings="llm",
        refused="",
        used=usages.append,
    )
    prompts = list(dict.fromkeys(prompt(context, config) for context in contexts))
    known = _known(file)
    answers = {text: known[key] for text in prompts if (key := _key(writer.name, text)) in known}
    asked = [(text, 0) for text in prompts if text not in answers]
    log.info("llm: %d answers are kept in %s, %d are asked for", len(answers), file, len(asked))
    try:
        with _appending(file) as kept, progress(len(asked), "answers of the server") as bar:
            for (text, _), answer in writer.each(asked, seed, greedy=True):
                kept.write(json.dumps({"key": _key(writer.name, text), "answer": answer}, ensure_ascii=False) + "\n")
                kept.flush()
                answers[text] = answer
                bar.advance(1)
    finally:  # what was spent is said whether or not it was enough
        for usage in usages:
            spent.add(usage)
        log.info("llm: %s", spent.told(config))
    _tell_refused(answers)
    return answers


def _tell_refused(answers: Mapping[str, str]) -> None:
    """A hosted model, or its filter, refuses the words of some conversations: it names nothing there."""
    refused = sum(not answer for answer in answers.values())
    if refused > MOST_REFUSED * len(answers):
        raise InputError(f"llm.model refused {refused} of {len(answers)} prompts: take another model, or llm.turns=4.")
    if refused:
        log.warning("llm: %d of %d prompts were refused: nothing is named for them", refused, len(answers))


def _key(name: str, text: str) -> str:
    return hashlib.sha256(f"{name}\x1f{text}".encode()).hexdigest()


def _known(file: Path) -> dict[str, str]:
    """key → answer; a line that a killed process left half written is not one."""
    found: dict[str, str] = {}
    if file.is_file():
        for line in file.read_bytes().splitlines():
            try:
                row = json.loads(line)
                found[row["key"]] = row["answer"]
            except (ValueError, TypeError, KeyError):
                continue
    return found


@contextmanager
def _appending(file: Path) -> Iterator[IO[str]]:
    """At a line of its own, whatever stood at the end."""
    file.parent.mkdir(parents=True, exist_ok=True)
    torn = file.is_file() and file.stat().st_size > 0 and not file.read_bytes().endswith(b"\n")
    with open(file, "a", encoding="utf-8") as kept:
        if torn:
            kept.write("\n")
        yield kept
