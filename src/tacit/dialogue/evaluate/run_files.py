"""Test dialogues and a ranker → a run file, which ``tacit referee`` judges without the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from tacit.catalog import Catalog
from tacit.dialogue.evaluate.protocols import RESPONSES, Case, contexts
from tacit.referee.form import SCORES, Context
from tacit.referee.write import answers, write_run
from tacit.run.progress import progress
from tacit.run.version import VERSION
from tacit.types import Dialogue, TestSet

Score = Callable[[Sequence[Dialogue]], npt.NDArray[np.floating]]
Place = tuple[str, int]  # dialogue, turn


def write_run_file(
    folder: Path,
    name: str,
    score: Score,
    found: Sequence[Case],
    test: TestSet,
    catalog: Catalog,
    dataset: str,
    seed: int,
    batch: int,
    replies: pl.DataFrame | None = None,
    made: Mapping[str, object] | None = None,
) -> None:
    """Everything there is to know of each ranked or answered context. ``replies``: what ``write_replies`` wrote."""
    groups = contexts(found)
    said = (
        {} if replies is None else {(d, t): text for d, t, text in replies.select("dialogue", "turn", "reply").rows()}
    )
    told = [_ranked(group, catalog, said) for group in groups]
    told += _answered(test, said, {(group[0].dialogue, group[0].turn) for group in groups})
    rows = _scores(name, score, groups, batch)
    write_run(folder, name, dataset, catalog, _apart(told), rows, seed, {"tacit": VERSION, **(made or {})})


def recorded(folder: Path) -> Score:
    """The scores of a run file that ``write_run_file`` wrote, as the ranker: contexts must come in the same order."""
    scores = np.load(folder / SCORES, mmap_mode="r", allow_pickle=False)
    at = 0

    def score(contexts: Sequence[Dialogue]) -> npt.NDArray[np.floating]:
        nonlocal at
        at += len(contexts)
        return np.asarray(scores[at - len(contexts) : at], dtype=np.float64)

    return score


def _scores(
    name: str, score: Score, groups: Sequence[Sequence[Case]], batch: int
) -> Iterator[npt.NDArray[np.floating]]:
    with progress(len(groups), f"run file of {name}") as bar:
        for start in range(0, len(groups), batch):
            part = groups[start : start + batch]
            yield from np.asarray(score([group[0].context for group in part]))
            bar.advance(len(part))


def _ranked(group: Sequence[Case], catalog: Catalog, said: Mapping[Place, str]) -> Context:
    case = group[0]
    ids = [catalog.items[one.gold].id for one in group]
    done = {
        item: {name: getattr(one.response, name) for name in RESPONSES} for item, one in zip(ids, group, strict=True)
    }
    return Context(
        case.place,
        case.dialogue,
        case.turn,
        tuple(ids),
        tuple(catalog.items[row].id for row in case.mentioned),
        case.context.user,
        tuple((turn.speaker, turn.text) for turn in case.context.turns),
        said.get((case.dialogue, case.turn)),
        case.answer,
        answers(done),
    )


def _answered(test: TestSet, said: Mapping[Place, str], ranked: set[Place]) -> list[Context]:
    """Contexts that were answered and are not ranked, since the message names no item."""
    return [
        Context(
            f"{dialogue.id}:{t}",
            dialogue.id,
            t,
            mentioned=dialogue.before(t).mentioned(),
            person=dialogue.user,
            said=tuple((turn.speaker, turn.text) for turn in dialogue.turns[:t]),
            reply=said[dialogue.id, t],
            reference=dialogue.turns[t].text,
        )
        for dialogue in test.dialogues
        for t in range(len(dialogue.turns))
        if (dialogue.id, t) in said and (dialogue.id, t) not in ranked
    ]


def _apart(told: Sequence[Context]) -> list[Context]:
    """The same with ids of their own: test files may hold two dialogues of one id."""
    times: Counter[str] = Counter()
    apart = []
    for context in told:
        times[context.id] += 1
        again = times[context.id]
        apart.append(context if again == 1 else replace(context, id=f"{context.id}#{again}"))
    return apart
