"""Turns with their rewards in the forms of trainers elsewhere, for those with a cluster: TRL's KTO and DPO, and verl's.

TRL's are its conversational ones: ``{"prompt": [messages], "completion": [message], "label": bool}`` for KTO, and
``{"prompt", "chosen", "rejected"}`` for DPO. verl reads Parquet with ``data_source``, ``prompt``, ``ability``,
``reward_model`` and ``extra_info``. ``user`` stands in every row, so that a person can be deleted from the file.
Source: TRL's "Dataset formats and types"; verl's "Prepare Data for Post-Training".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from tacit.data.dialogues.logs import write_rows
from tacit.run.files import write_parquet
from tacit.types import InputError

Form = Literal["trl-kto", "trl-dpo", "verl"]
Messages = list[dict[str, str]]  # role (user, assistant) and content; a prompt ends with the user
Row = dict[str, Any]
VERL = pl.Schema({
    "data_source": pl.String(),
    "prompt": pl.List(pl.Struct({"role": pl.String(), "content": pl.String()})),
    "ability": pl.String(),
    "reward_model": pl.Struct({"style": pl.String(), "ground_truth": pl.String()}),
    "extra_info": pl.Struct({"index": pl.Int64(), "exposure_id": pl.String(), "weight": pl.Float64(),
                             "censored": pl.Boolean()}),
    "user": pl.String(),
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered, and what it earned; ``censored``: at least that."""

    said: str
    items: tuple[str, ...]  # shown with it, best first
    reward: float
    user: str
    exposure_id: str
    weight: float = 1.0
    censored: bool = False

    @property
    def messages(self) -> Messages:
        return [{"role": "assistant", "content": self.said}]


Answered = tuple[Messages, list[Answer]]  # a prompt, and what was answered to it


def write(path: Path, turns: Iterable[Answered], form: Form, threshold: float) -> int:
    """How many rows now stand in ``path``; where there are none it is not written. ``threshold``: of KTO's labels.

    ``InputError`` where the file's name says that it is of another kind.
    """
    ending = path.suffix.lower()
    if ending in ((".jsonl", ".json") if form == "verl" else (".parquet",)):
        kind, name = ("Parquet", ".parquet") if form == "verl" else ("JSON lines", ".jsonl")
        raise InputError(f"{path}: {form} is {kind}: give a name that ends in {name}.")
    if form == "verl":
        table = pl.DataFrame(list(verl(turns)), schema=VERL, orient="row")
        write_parquet(path, table)
        count = table.height
    else:
        count = write_rows(path, kto(turns, threshold) if form == "trl-kto" else dpo(turns))
    if not count:
        path.unlink()
    return count


def kto(turns: Iterable[Answered], threshold: float) -> Iterator[Row]:
    """Liked: a reward above the threshold. A lower bound that is below it says nothing, and is left out."""
    for prompt, answers in turns:
        for answer in answers:
            if answer.reward > threshold or not answer.censored:
                yield {"prompt": prompt, "completion": answer.messages, "label": answer.reward > threshold,
                       "reward": answer.reward, "weight": answer.weight, "user": answer.user}  # fmt: skip


def dpo(turns: Iterable[Answered]) -> Iterator[Row]:
    """Two answers to one turn, asked again or side by side; the lower reward must be more than a lower bound."""
    for prompt, answers in turns:
        for chosen in answers:
            for rejected in answers:
                if chosen.reward > rejected.reward and chosen.said != rejected.said and not rejected.censored:
                    yield {"prompt": prompt, "chosen": chosen.messages, "rejected": rejected.messages,
                           "margin": chosen.reward - rejected.reward, "user": chosen.user}  # fmt: skip


def verl(turns: Iterable[Answered]) -> Iterator[Row]:
    """A prompt, and as ``ground_truth`` (JSON) what was answered there, the items shown, and the reward."""
    index = 0
    for prompt, answers in turns:
        for answer in answers:
            truth = {"response": answer.said, "items": answer.items, "reward": answer.reward}
            yield {
                "data_source": "tacit",
                "prompt": prompt,
                "ability": "recommendation",
                "reward_model": {"style": "rule", "ground_truth": json.dumps(truth, ensure_ascii=False)},
                "extra_info": {"index": index, "exposure_id": answer.exposure_id, "weight": answer.weight,
                               "censored": answer.censored},
                "user": answer.user,
            }  # fmt: skip
            index += 1
