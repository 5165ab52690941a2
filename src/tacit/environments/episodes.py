"""Simulated conversations with their rewards, for trainers elsewhere (``data.trainer_forms``).

PPO writes each iteration's conversations into its run folder (``rollouts/*.parquet``), with what the reward model gave
each turn. What the users felt stands there, too, to be looked at; it is never exported.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import polars as pl

from tacit.data.trainer_forms import Answer, Answered, Messages, write
from tacit.run.files import says_when_damaged
from tacit.types import InputError

Form = Literal["trl-kto", "verl"]  # no simulated turn is answered twice, as pairs would need
COLUMNS = ("dialogue", "user", "step", "context", "reply", "slate", "score")


def write_episodes(run: Path, form: Form, path: Path) -> int:
    """How many turns of ``run``'s simulated conversations now stand in ``path``."""
    table = rollouts(run)
    count = write(path, turns(table), form, float(table["score"].to_numpy().mean()))
    if not count:
        raise InputError(f"{path} was not written: the policy of {run} said nothing in all its conversations.")
    return count


def rollouts(run: Path) -> pl.DataFrame:
    """The turns of all iterations, in order."""
    files = sorted((run / "ppo" / "rollouts").glob("*.parquet"))
    if not files:
        raise InputError(f"{run} holds no conversations with simulated users: run `tacit ppo {run}` first.")
    with says_when_damaged(files[0].parent, "take it from a copy, or do ppo again."):
        return pl.concat([pl.read_parquet(file, columns=list(COLUMNS)) for file in files])


def turns(table: pl.DataFrame) -> Iterator[Answered]:
    """Each reply that has words, after what was said before it; speakers take turns, and the user spoke last."""
    said, context, reply = Messages(), "", ""
    for row in table.iter_rows(named=True):
        if row["step"] == 0:
            said, context, reply = [], "", ""
        said = _heard(said, reply, _since(context, reply, row))
        context, reply = row["context"], row["reply"]
        if reply and said[-1]["role"] == "user":
            name = f"{row['dialogue']}:{row['step']}"
            yield said, [Answer(reply, tuple(row["slate"]), row["score"], row["user"], name)]


def _since(context: str, reply: str, row: dict[str, Any]) -> str:
    """What the user said after ``reply``, which was given in ``context``; "" where that was nothing."""
    before = f"{context}\nagent: {reply}" if context else ""
    added = row["context"].removeprefix(before)
    if not row["context"].startswith(before) or not (added == "" or added.lstrip("\n").startswith("user: ")):
        raise InputError(f"{row['dialogue']}: step {row['step']} does not go on from the step before it.")
    return str(added.lstrip("\n").removeprefix("user: "))


def _heard(said: Messages, reply: str, words: str) -> Messages:
    """``said``, longer by a reply and the user's answer to it; where there was no reply, the user goes on."""
    if reply:
        said = [*said, {"role": "assistant", "content": reply}]
    if not words:
        return said
    if said and said[-1]["role"] == "user":
        return [*said[:-1], {"role": "user", "content": f"{said[-1]['content']}\n{words}"}]
    return [*said, {"role": "user", "content": words}]
