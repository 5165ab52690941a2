"""Writing a run file, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tacit.catalog import Catalog
from tacit.referee.form import CONTEXTS, FORMAT, ITEMS, RUN, SCORES, VERSION, Context
from tacit.run.files import atomic_folder
from tacit.types import ItemId


def write_run(
    folder: Path,
    system: str,
    dataset: str,
    catalog: Catalog,
    contexts: Sequence[Context],
    scores: Iterable[npt.NDArray[np.number]] | None = None,
    seed: int = 0,
    made: Mapping[str, object] | None = None,
) -> None:
    """``scores``: for each context that has gold, in order, the finite scores [n_items], or their ``order``.

    They are read one at a time and kept as ``order``, which no protocol can tell from the scores themselves.
    """
    head = {"format": FORMAT, "version": VERSION, "system": system, "dataset": dataset, "seed": seed}
    with atomic_folder(folder) as part:
        (part / RUN).write_text(json.dumps(head | {"made": dict(made or {})}, indent=1) + "\n", encoding="utf-8")
        catalog.save(part / ITEMS)
        with open(part / CONTEXTS, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(to_json(context), ensure_ascii=False) + "\n" for context in contexts)
        if scores is not None:
            shape = (len(contexts), len(catalog))
            table = np.lib.format.open_memmap(part / SCORES, "w+", dtype=levels_type(len(catalog)), shape=shape)
            rows = iter(scores)
            for at, context in enumerate(contexts):
                table[at] = order(next(rows)) if context.gold else 0
            table.flush()


def order(scores: npt.NDArray[np.number]) -> npt.NDArray[np.unsignedinteger]:
    """Scores [n] as the places of their distinct values, the lowest 0: the same order and the same ties in two bytes.

    float16 would need as many and make ties that the model did not.
    """
    if np.isnan(scores).any():
        raise ValueError("a ranker returned NaN scores")
    places: npt.NDArray[np.unsignedinteger] = np.unique(scores, return_inverse=True)[1].astype(levels_type(len(scores)))
    return places


def levels_type(n_items: int) -> type[np.uint16] | type[np.uint32]:
    return np.uint16 if n_items <= np.iinfo(np.uint16).max + 1 else np.uint32


def to_json(context: Context) -> dict[str, Any]:
    """A line of ``contexts.jsonl``; what is not known is left out."""
    row: dict[str, Any] = {"id": context.id, "dialogue": context.dialogue, "turn": context.turn}
    row |= {"person": context.person} if context.person is not None else {}
    row |= {"gold": list(context.gold), "mentioned": list(context.mentioned)}
    row |= {name: dict(answers) for name, answers in context.responses.items() if answers}
    if context.said is not None:
        row["said"] = [{"speaker": speaker, "text": text} for speaker, text in context.said]
    row |= {key: value for key in ("reply", "reference") if (value := getattr(context, key)) is not None}
    return row


def answers(given: Mapping[ItemId, Mapping[str, bool | None]]) -> dict[str, dict[ItemId, bool]]:
    """item → what was done with it, turned round to what was done → item → whether; what is not known left out."""
    turned: dict[str, dict[ItemId, bool]] = {}
    for item, done in given.items():
        for name, value in done.items():
            if value is not None:
                turned.setdefault(name, {})[item] = value
    return turned
