"""Playing conversations: a policy and simulated users take turns, a scorer grades each agent turn, a log keeps it all.

The hidden utility never enters an ``Episode``, which is what trainers read; whoever may know it hands it to
``write_rollouts``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl

from tacit.run.files import write_parquet
from tacit.types import Dialogue, Ended, Episode, Feedback, Sample, Scored, Scorer, Turn

Hidden = Sequence[Sequence[float]]  # [conversation][agent turn]


class Users(Protocol):
    """n users in conversation, stepped as one batch (``tacit.users`` has the simulated ones)."""

    @property
    def dialogues(self) -> Sequence[Dialogue]: ...

    @property
    def active(self) -> Sequence[bool] | np.ndarray[Any, np.dtype[np.bool_]]: ...

    @property
    def ended(self) -> Sequence[Ended | None]: ...

    def step(self, turns: Mapping[int, Turn]) -> Sequence[Feedback | None]: ...


class SimulatedUsers(Protocol):
    """A population of users: ``start`` opens ``n`` conversations."""

    def start(self, n: int, generator: np.random.Generator, ids_prefix: str = "") -> Users: ...


def play(
    act: Callable[[list[Dialogue]], list[Sample]], crowd: Users, scorer: Scorer | None, max_turns: int
) -> list[Episode]:
    """Let every user of ``crowd`` talk to the policy until it leaves, accepts, or ``max_turns`` agent turns are over.

    All users that are still there take their turn as one batch. ``crowd.dialogues`` afterwards holds the whole
    conversations, each with the user's last words: the state whose value a ``cut`` conversation bootstraps.
    """
    steps: list[list[Scored]] = [[] for _ in crowd.dialogues]
    for _ in range(max_turns):
        live = [i for i, there in enumerate(crowd.active) if there]
        if not live:
            break
        contexts = [crowd.dialogues[i] for i in live]
        samples = act(contexts)
        turns = [sample.turn() for sample in samples]
        scores = scorer.score(contexts, turns) if scorer else [(0.0, {})] * len(live)
        feedback = crowd.step(dict(zip(live, turns, strict=True)))
        for i, context, sample, (score, channels) in zip(live, contexts, samples, scores, strict=True):
            by = scorer.name if scorer else "none"
            steps[i].append(Scored(context, sample, float(score), by, dict(channels), feedback[i]))
    return [
        Episode(tuple(taken), ended or "cut", dialogue.user)
        for taken, ended, dialogue in zip(steps, crowd.ended, crowd.dialogues, strict=True)
    ]


def write_rollouts(
    path: str | Path,
    episodes: Sequence[Episode],
    hidden: Hidden | None = None,
    extra: Mapping[str, Sequence[float]] | None = None,
) -> None:
    """One row an agent turn, Parquet, whole or not at all. ``extra``: more columns, one value a turn in the same order.

    Columns: dialogue, user, step, ended, context (``user: …`` and ``agent: …`` lines), decision, slate, propensities,
    reply, finished, tokens, logprob (nats, summed), score, by, channel_*, feedback (JSON), version, hidden_utility.
    """
    rows = [
        _row(episode, t, scored, hidden[e][t] if hidden is not None else None)
        for e, episode in enumerate(episodes)
        for t, scored in enumerate(episode.steps)
    ]
    table = pl.DataFrame(rows, schema=_schema(rows), orient="row")
    if extra:
        table = table.with_columns([pl.Series(name, list(values), dtype=pl.Float64) for name, values in extra.items()])
    write_parquet(path, table)


def _row(episode: Episode, t: int, scored: Scored, hidden: float | None) -> dict[str, object]:
    sample = scored.sample
    return {
        "dialogue": scored.context.id,
        "user": episode.user,
        "step": t,
        "ended": episode.ended if t == len(episode.steps) - 1 else None,
        "context": "\n".join(_line(turn) for turn in scored.context.turns),
        "decision": "recommend" if sample.slate else "chat",
        "slate": list(sample.slate.items) if sample.slate else [],
        "propensities": [float(np.exp(x)) for x in sample.slate_logprobs],
        "reply": sample.text,
        "finished": sample.finished,
        "tokens": sum(sample.sampled),
        "logprob": float(sum(sample.logprobs)),
        "score": scored.score,
        "by": scored.by,
        **{f"channel_{name}": float(value) for name, value in scored.channels.items()},
        "feedback": _feedback(scored.feedback),
        "version": sample.version,
        "hidden_utility": hidden,
    }


def _line(turn: Turn) -> str:
    return f"{turn.speaker}: {turn.text}"


def _feedback(feedback: Feedback | None) -> str | None:
    """Observed fields only: what is absent was not observed."""
    if feedback is None:
        return None
    return json.dumps({name: value for name, value in asdict(feedback).items() if value is not None})


_TYPES: dict[str, pl.DataType | type[pl.DataType]] = {
    "dialogue": pl.String, "user": pl.String, "step": pl.Int32, "ended": pl.String, "context": pl.String,
    "decision": pl.String, "slate": pl.List(pl.String), "propensities": pl.List(pl.Float64), "reply": pl.String,
    "finished": pl.Boolean, "tokens": pl.Int32, "logprob": pl.Float64, "score": pl.Float64, "by": pl.String,
    "feedback": pl.String, "version": pl.String, "hidden_utility": pl.Float64,
}  # fmt: skip


def _schema(rows: Sequence[dict[str, object]]) -> dict[str, pl.DataType | type[pl.DataType]]:
    """The fixed columns and whatever channels the scorer named, so that an empty or odd rollout has the same types."""
    names = dict.fromkeys(name for row in rows for name in row) if rows else dict.fromkeys(_TYPES)
    return {name: _TYPES.get(name, pl.Float64) for name in names}
