"""How satisfied fresh simulated users are: their hidden utility, and the proxy a paper could observe. All emulated.

Both policies meet the same users: user i has the same taste, patience and opening words, drawn from one seed that no
training stage uses. Differences are therefore paired by user.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import polars as pl
import torch

from tacit.dialogue.policy.act import Decision
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.reward.labels import Labeller, observe
from tacit.dialogue.rollout import SimulatedUsers, play, write_rollouts
from tacit.dialogue.users import oracle
from tacit.dialogue.users.crowd import Crowd
from tacit.metrics import intervals
from tacit.metrics.intervals import Estimate
from tacit.metrics.results import Pair, Row, blank, both_measured, difference, make_row
from tacit.run.progress import progress
from tacit.types import Dialogue, Floats64, Sample, Scorer

UNIT = "simulated users"  # what is resampled
# Of the replies, as the users heard them (users.hearing); not in conversations of before.
HEARD = ("no language", "contradictions", "ignored")
EVALUATION = 104729  # apart from every stream that training draws users from


def write_conversations(
    path: Path,
    name: str,
    policy: Policy,
    world: SimulatedUsers,
    scorer: Scorer | None,
    labeller: Labeller | None,
    users: int,
    max_turns: int,
    batch: int,
    seed: int,
    decide: Decision | None = None,
    temperature: float = 1.0,
    likeliest: bool = False,
) -> None:
    """Let a policy talk to the evaluation's users and record every agent turn, hidden utility included.

    ``decide`` takes the decision to recommend or to chat out of the policy's hands, ``likeliest`` the draw of slates;
    ``temperature`` is that of the replies' words.
    """
    if path.exists():
        return
    policy.encoder.clear_cache()  # an embedding's last bits depend on what it was batched with
    crowd = world.start(users, np.random.default_rng([seed, EVALUATION]), ids_prefix="evaluate-")
    draws = torch.Generator().manual_seed(seed)
    with progress(users * max_turns, f"users of {name}") as bar:

        def act(contexts: list[Dialogue]) -> list[Sample]:
            samples: list[Sample] = []
            for start in range(0, len(contexts), batch):
                part = contexts[start : start + batch]
                samples += policy.act(part, draws, decide=decide, temperature=temperature, likeliest=likeliest)
                bar.advance(len(part))
            return samples

        episodes = play(act, crowd, scorer, max_turns)
    hidden = oracle.read(cast(Crowd, crowd))
    extra = {"hidden_total": [float(hidden.total[i]) for i, episode in enumerate(episodes) for _ in episode.steps]}
    told = [turn for heard in hidden.heard for turn in heard]
    extra |= {name: [float(turn[k]) for turn in told] for k, name in enumerate(HEARD)}
    if labeller is not None:
        # A turn's feedback stands in the dialogue that the crowd kept, not in the policy's sample.
        observed = [one for dialogue in crowd.dialogues for one in observe(dialogue)]
        channels = labeller.channels(observed)
        extra |= {"engagement": channels[:, 0].tolist(), "sentiment": channels[:, 2].tolist()}
    write_rollouts(path, episodes, hidden.steps, extra)


def per_user(table: pl.DataFrame) -> pl.DataFrame:
    """One row a user, ordered by dialogue: hidden utility of the conversation (``users.oracle``), means over its agent
    turns (NaN skipped), and how it ended."""
    means = [
        pl.col(name).fill_nan(None).mean().alias(name)
        for name in ("engagement", "sentiment", *HEARD)
        if name in table.columns
    ]
    return (
        table.group_by("dialogue")
        .agg(
            pl.col("hidden_total").first().alias("hidden utility"),
            pl.col("hidden_utility").mean().alias("hidden utility a turn"),
            pl.len().cast(pl.Float64).alias("agent turns"),
            (pl.col("ended") == "accepted").any().cast(pl.Float64).alias("accepted"),
            (pl.col("ended") == "left").any().cast(pl.Float64).alias("left"),
            *means,
        )
        .sort("dialogue")
    )


def satisfaction(engagement: Floats64, sentiment: Floats64) -> Floats64:
    """0.5·E + 0.5·(S + 2)/4 of each user [n], in [0, 1]; NaN where either is missing.

    The paper (arXiv 2508.05289, section IV) calls its proxy "the weighted average gain of engagement as well as gains
    of sentiment" without weights: equal ones here, with the shift S in [−2, 2] brought to the range of E.
    """
    return np.asarray(0.5 * engagement + 0.5 * (sentiment + 2.0) / 4.0)


def satisfaction_rows(
    tables: Mapping[str, pl.DataFrame], pairs: Sequence[Pair], dataset: str, draws: int, seed: int
) -> list[Row]:
    """Means over users with intervals over users; for each of ``pairs`` the differences, and the proxy's gain in %."""
    users = {model: _columns(per_user(table)) for model, table in tables.items()}
    rows: list[Row] = []
    for model, columns in users.items():
        base = blank(dataset, "simulated-users", "fresh users", model, seed, emulated=True, unit=UNIT)
        for metric, values in columns.items():
            rows.append(make_row(base, metric, _mean(values, draws, seed)))
    for model, against in both_measured(pairs, users):
        if set(tables[model]["dialogue"]) != set(tables[against]["dialogue"]):
            raise ValueError("both policies must have met the same users")
        after, before = users[model], users[against]
        base = blank(dataset, "simulated-users", "fresh users", model, seed, emulated=True, against=against, unit=UNIT)
        for metric in before:
            everyone, generator = np.arange(len(before[metric])), np.random.default_rng([seed, 15])
            gain = difference(after[metric], before[metric], everyone, generator, draws)
            rows.append(make_row(base, metric, gain))
        if "satisfaction" in before:
            percent = _gain(after["satisfaction"], before["satisfaction"], draws, seed)
            rows.append(make_row(base, "satisfaction gain %", percent))
    return rows


def _columns(table: pl.DataFrame) -> dict[str, Floats64]:
    columns = {
        name: table[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        for name in table.columns
        if name != "dialogue"
    }
    if {"engagement", "sentiment"} <= set(columns):
        columns["satisfaction"] = satisfaction(columns["engagement"], columns["sentiment"])
    return columns


def _mean(values: Floats64, draws: int, seed: int) -> Estimate:
    seen = values[np.isfinite(values)]
    return intervals.bootstrap_mean(seen, np.arange(len(seen)), np.random.default_rng([seed, 15]), draws)


def _gain(after: Floats64, before: Floats64, draws: int, seed: int) -> Estimate:
    """100·(mean after − mean before) / mean before over users with both, interval over users."""
    both = np.isfinite(before) & np.isfinite(after)
    parts = np.stack([before[both], after[both]], axis=1)
    generator = np.random.default_rng([seed, 15])
    return intervals.bootstrap_sums(
        parts, np.arange(len(parts)), lambda sums: 100.0 * (sums[:, 1] / sums[:, 0] - 1.0), generator, draws
    )
