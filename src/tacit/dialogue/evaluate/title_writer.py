"""The paper's literal reading: a language model writes titles as text, and a linker finds them in the catalogue.

Several replies are sampled for each context; the titles in them, in the order they are first written, are the ranking.
What is not written has no rank (it ties last), and a title that links to nothing is counted as unlinked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from tacit.catalog import Catalog
from tacit.dialogue.evaluate.protocols import Case, contexts
from tacit.dialogue.policy.policy import Policy
from tacit.metrics import intervals
from tacit.metrics.persons import persons
from tacit.metrics.results import Row, blank, make_row
from tacit.run.files import write_parquet
from tacit.run.progress import progress
from tacit.types import Dialogue, Floats64, Split
from tacit.typography import quoted

_YEAR = re.compile(r"[(（](?:19|20)\d\d[)）]")
_TITLE_LENGTHS = range(2, 81)  # characters in quotes that may be a title


class Writer(Protocol):
    """``generate`` gives n sampled replies for each context."""

    def generate(self, contexts: Sequence[Dialogue], n: int) -> list[list[str]]: ...


class WrittenTitles:
    """Ranks by replies that were written before: the k-th linked title of M scores M − k + 1, the rest 0."""

    def __init__(self, table: pl.DataFrame, catalog: Catalog) -> None:
        self._catalog = catalog
        rows = table.select("dialogue", "turn", "replies").iter_rows()
        self._replies: dict[tuple[str, int], list[str]] = {(dialogue, turn): texts for dialogue, turn, texts in rows}

    def scores(self, contexts: Sequence[Dialogue]) -> npt.NDArray[np.float32]:
        scores = np.zeros((len(contexts), len(self._catalog)), dtype=np.float32)
        for row, context in enumerate(contexts):
            items = linked(self._replies[context.id, len(context.turns)], self._catalog)
            scores[row, items] = np.arange(len(items), 0, -1)
        return scores


def linked(replies: Sequence[str], catalog: Catalog) -> list[int]:
    """Catalogue rows of the titles in these replies, each once, in the order they are first written."""
    found = (item for reply in replies for _, _, item in catalog.link(reply))
    return [catalog.index(item) for item in dict.fromkeys(found)]


def unlinked(reply: str, catalog: Catalog) -> tuple[int, int]:
    """(titles written, those that link to nothing). An unlinked title shows by its year or its quotation marks."""
    spans = catalog.link(reply)
    years = [match.end() for match in _YEAR.finditer(reply)]
    lost = sum(end not in {end for _, end, _ in spans} for end in years)
    for opens, closes, title in quoted(reply):
        dated = any(opens < end <= closes + 8 for end in years)  # counted by its year already
        known = any(start < closes and opens < end for start, end, _ in spans)
        lost += len(title) in _TITLE_LENGTHS and not dated and not known
    return len(spans) + lost, lost


def write_literal(
    path: Path, name: str, writer: Writer, found: Sequence[Case], catalog: Catalog, n: int, batch: int
) -> None:
    """One row a context: dialogue, user, turn, the n replies, titles written and unlinked."""
    if path.exists():
        return
    groups = contexts(found)
    rows: list[dict[str, object]] = []
    with progress(len(groups), f"replies of {name}") as bar:
        for start in range(0, len(groups), batch):
            part = [group[0] for group in groups[start : start + batch]]
            for case, replies in zip(part, writer.generate([case.context for case in part], n), strict=True):
                counts = [unlinked(reply, catalog) for reply in replies]
                titles, lost = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
                row = {"dialogue": case.dialogue, "user": case.context.user, "turn": case.turn}
                rows.append({**row, "replies": replies, "titles": titles, "unlinked": lost})
            bar.advance(len(part))
    write_parquet(path, pl.DataFrame(rows))


def literal_rows(tables: dict[str, pl.DataFrame], dataset: str, draws: int, seed: int) -> list[Row]:
    """Share of written titles that link to nothing, with an interval over persons."""
    rows = []
    for model, table in tables.items():
        parts = table.select("unlinked", "titles").to_numpy().astype(np.float64)
        if not parts[:, 1].sum():
            continue
        people = persons([table], dataset)
        generator = np.random.default_rng([seed, 17])
        estimate = intervals.bootstrap_sums(parts, people.groups, _share, generator, draws)
        base = blank(dataset, "written-titles", "all contexts", model, seed, unit=people.unit)
        rows.append(make_row(base, "unlinked share", estimate, n=int(parts[:, 1].sum())))
    return rows


def _share(sums: Floats64) -> Floats64:
    return np.asarray(sums[:, 0] / np.maximum(sums[:, 1], 1.0))


def as_text(dialogue: Dialogue) -> Dialogue:
    """The dialogue with titles in the agent's words only."""
    return replace(dialogue, turns=tuple(replace(turn, slate=None) for turn in dialogue.turns))


def split_as_text(split: Split) -> Split:
    return replace(split, train=tuple(map(as_text, split.train)), valid=tuple(map(as_text, split.valid)))


class TitleWriter:
    """Samples replies of a policy that was fine-tuned on ``split_as_text``: n for each context."""

    def __init__(self, policy: Policy, seed: int) -> None:
        self.policy = policy
        self.generator = torch.Generator().manual_seed(seed)

    def generate(self, contexts: Sequence[Dialogue], n: int) -> list[list[str]]:
        plain = [as_text(context) for context in contexts for _ in range(n)]
        texts = [sample.text for sample in self.policy.act(plain, self.generator, decide="reply")]
        return [texts[start : start + n] for start in range(0, len(texts), n)]
