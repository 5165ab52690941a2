"""Turns with their rewards in the forms of trainers elsewhere, for those with a cluster: TRL's KTO and DPO, and verl's.

TRL's are its conversational ones, as in ``events.preferences``, which writes what people *said* of replies; here the
label is the reward, of all that was observed. verl reads Parquet with ``data_source``, ``prompt``, ``ability``,
``reward_model`` and ``extra_info``. ``user`` stands in every row, so that a person can be deleted from the file.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import polars as pl

from tacit.data.dialogues.logs import write_rows
from tacit.events.preferences import prompts, reply, said_by, spoken
from tacit.events.store import Record, Store
from tacit.labels.build import read_labels
from tacit.run.files import write_parquet
from tacit.types import InputError

Form = Literal["trl-kto", "trl-dpo", "verl"]
Label = Mapping[str, Any]
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


def write_form(store: Store, labels: Path, form: Form, path: Path, left_out: Counter[str]) -> int:
    """How many rows now stand in ``path``: those of sessions of people who agree to training, with their words."""
    rows = turn_labels(labels)
    threshold = mean_reward(rows)
    answered = (turn for session in spoken(store, left_out) for turn in _turns(session, rows))
    if form == "verl":
        table = pl.DataFrame(list(verl(answered)), schema=VERL, orient="row")
        write_parquet(path, table)
        count = table.height
    else:
        make: Callable[..., Iterator[Row]] = kto if form == "trl-kto" else dpo
        count = write_rows(path, make(answered, threshold) if form == "trl-kto" else make(answered))
    if not count:
        path.unlink()
        raise InputError(f"{path} was not written: no turn has a reward and its words; see `tacit labels` for why.")
    return count


def turn_labels(labels: Path) -> dict[str, Label]:
    """By exposure, those with a reward."""
    known = read_labels(labels, "turns").filter(pl.col("reward").is_not_null())
    found = known.select("exposure_id", "reward", "weight", "censored").collect()
    return {row["exposure_id"]: row for row in found.iter_rows(named=True)}


def mean_reward(labels: Mapping[str, Label]) -> float:
    """Weighted: the mark between what was liked and what was not."""
    weight = sum(label["weight"] for label in labels.values())
    return sum(label["weight"] * label["reward"] for label in labels.values()) / weight if weight else 0.0


Answered = tuple[list[dict[str, str]], list[tuple[Record, Label]]]  # a prompt, and its answers with their labels


def _turns(session: Sequence[Record], labels: Mapping[str, Label]) -> Iterator[Answered]:
    for prompt, exchange in prompts(session):
        found = [
            (answer, labels[answer.exposure.exposure_id])
            for answer in exchange.answers
            if answer.exposure.exposure_id in labels and said_by(answer)
        ]
        if found:
            yield prompt, found


def kto(turns: Iterator[Answered], threshold: float) -> Iterator[Row]:
    """Liked: a reward above the mean. A lower bound that is below it says nothing, and is left out."""
    for prompt, answers in turns:
        for answer, label in answers:
            if label["reward"] > threshold or not label["censored"]:
                yield {"prompt": prompt, "completion": reply(answer), "label": label["reward"] > threshold,
                       "reward": label["reward"], "weight": label["weight"], "user": answer.exposure.user}  # fmt: skip


def dpo(turns: Iterator[Answered]) -> Iterator[Row]:
    """Two answers to one turn, asked again or side by side; the lower reward must be more than a lower bound."""
    for prompt, answers in turns:
        for chosen, high in answers:
            for rejected, low in answers:
                differ = high["reward"] > low["reward"] and said_by(chosen) != said_by(rejected)
                if differ and not low["censored"]:
                    yield {"prompt": prompt, "chosen": reply(chosen), "rejected": reply(rejected),
                           "margin": high["reward"] - low["reward"], "user": chosen.exposure.user}  # fmt: skip


def verl(turns: Iterator[Answered]) -> Iterator[Row]:
    """A prompt, and as ``ground_truth`` (JSON) what was answered there, the items shown, and the reward."""
    index = 0
    for prompt, answers in turns:
        for answer, label in answers:
            shown = [one.item_id for one in answer.exposure.items]
            truth = {"response": said_by(answer), "items": shown, "reward": label["reward"]}
            yield {
                "data_source": "tacit",
                "prompt": prompt,
                "ability": "recommendation",
                "reward_model": {"style": "rule", "ground_truth": json.dumps(truth, ensure_ascii=False)},
                "extra_info": {"index": index, "exposure_id": answer.exposure.exposure_id, "weight": label["weight"],
                               "censored": label["censored"]},
                "user": answer.exposure.user,
            }  # fmt: skip
            index += 1
