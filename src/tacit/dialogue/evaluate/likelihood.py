"""How well a policy foretells what people wrote: bits per byte of human agent turns, comparable across tokenizers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import torch

from tacit.dialogue.evaluate.replies import references
from tacit.dialogue.policy.layout import with_slots
from tacit.dialogue.policy.policy import Policy
from tacit.metrics import intervals
from tacit.metrics.persons import persons
from tacit.metrics.results import Pair, Row, blank, both_measured, make_row
from tacit.run.files import write_parquet
from tacit.run.progress import progress
from tacit.types import Dialogue, Floats64, Sample, TestSet

BATCH = 16  # turns a pass: the logits of every token are held
LONGEST = 160  # tokens of a turn that are read; a longer one is left out, for all tokenizers a rare case

SCHEMA: Mapping[str, pl.DataType | type[pl.DataType]] = {
    "dialogue": pl.String,
    "user": pl.String,
    "turn": pl.Int64,
    "bits": pl.Float64,
    "bytes": pl.Int64,
}


def write_likelihood(path: Path, name: str, policy: Policy, test: TestSet, count: int, seed: int) -> None:
    """One row a human agent turn, the same turns that replies are drawn for: its bits and its UTF-8 bytes.

    The policy is given what the person decided and showed, and reads the words and the end of the turn; a shown title
    stands in them as its slot, as the policy would write it.
    """
    if path.exists():
        return
    policy.encoder.clear_cache()  # an embedding's last bits depend on what it was batched with
    chosen = sorted(references(test, count, seed), key=lambda place: len(place[0].turns[place[1]].text))
    rows: list[dict[str, object]] = []
    with progress(len(chosen), f"bits per byte of {name}") as bar:
        for start in range(0, len(chosen), BATCH):
            part = chosen[start : start + BATCH]
            for (dialogue, t), (bits, size) in zip(part, human_bits(policy, part), strict=True):
                if size:
                    rows.append(
                        {"dialogue": dialogue.id, "user": dialogue.user, "turn": t, "bits": bits, "bytes": size}
                    )
            bar.advance(len(part))
    write_parquet(path, pl.DataFrame(rows, schema=SCHEMA).sort("dialogue", "turn"))


@torch.no_grad()
def human_bits(policy: Policy, places: Sequence[tuple[Dialogue, int]]) -> list[tuple[float, int]]:
    """(bits, UTF-8 bytes) of each agent turn (dialogue, t); (0, 0) of one that has no words or too many."""
    contexts, samples, sizes = [], [], []
    for dialogue, t in places:
        turn = dialogue.turns[t]
        text = with_slots(turn.text, turn.slate, policy.catalog, policy.config.slate_titles)
        opening = policy.layout.opening(turn.slate)
        words = policy.layout.encode(text, LONGEST)
        tokens = (*opening, *words, policy.layout.eos)
        drawn = (*[False] * len(opening), *[True] * (len(words) + 1))
        context = dialogue.before(t)
        contexts.append(context)
        samples.append(
            Sample(tuple(policy.prompt(context)), tokens, drawn, (0.0,) * len(tokens), turn.text, slate=turn.slate)
        )
        sizes.append(len(text.encode()) if 0 < len(words) < LONGEST else 0)
    nats = (-policy.evaluate(contexts, samples).token_logprobs.double().sum(1)).tolist()
    return [(value / math.log(2) if size else 0.0, size) for value, size in zip(nats, sizes, strict=True)]


def likelihood_rows(
    tables: Mapping[str, pl.DataFrame], pairs: Sequence[Pair], dataset: str, draws: int, seed: int
) -> list[Row]:
    """Σ bits / Σ bytes of each model, and the paired differences; intervals over persons."""
    tables = {model: table for model, table in tables.items() if len(table)}
    rows: list[Row] = []
    for model, table in tables.items():
        people = persons([table], dataset)
        base = blank(dataset, "replies", "test agent messages", model, seed, unit=people.unit)
        parts = table.select("bits", "bytes").to_numpy().astype(np.float64)
        generator = np.random.default_rng([seed, 16])
        level = intervals.bootstrap_sums(parts, people.groups, _ratio, generator, draws)
        rows.append(make_row(base, "bits per byte", level))
    for model, against in both_measured(pairs, tables):
        both = tables[model].join(tables[against], on=["dialogue", "turn"], suffix="_against")
        people = persons([both], dataset)
        base = blank(dataset, "replies", "test agent messages", model, seed, against=against, unit=people.unit)
        parts = both.select("bits", "bytes", "bits_against", "bytes_against").to_numpy().astype(np.float64)
        gain = intervals.bootstrap_sums(
            parts,
            people.groups,
            lambda sums: _ratio(sums[:, :2]) - _ratio(sums[:, 2:]),
            np.random.default_rng([seed, 16]),
            draws,
        )
        rows.append(make_row(base, "bits per byte", gain))
    return rows


def _ratio(sums: Floats64) -> Floats64:
    return np.asarray(sums[:, 0] / sums[:, 1])
