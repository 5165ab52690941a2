"""What a policy writes, beside what people wrote: BLEU, distinct, and whether it names anything we do not have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from tacit.catalog import Catalog
from tacit.dialogue.claims import VERDICTS, Verdict, claims, count
from tacit.dialogue.fact_index import fact_index
from tacit.dialogue.policy.policy import Policy
from tacit.metrics import intervals, texts
from tacit.metrics.intervals import Estimate
from tacit.metrics.persons import persons
from tacit.metrics.results import Pair, Row, blank, both_measured, difference, make_row
from tacit.run.files import write_parquet
from tacit.run.progress import progress
from tacit.types import Dialogue, Floats64, Slate, TestSet, Turn

WHO = ("reply", "reference")
# Claims about items, held against the catalogue (tacit.dialogue.claims), as the rows call them.
FACTS: Mapping[Verdict, str] = {
    "supported": "supported facts a reply",
    "unsupported": "unsupported facts a reply",
    "contradicted": "contradictions a reply",
}
SCHEMA: Mapping[str, pl.DataType | type[pl.DataType]] = {
    "dialogue": pl.String,
    "user": pl.String,
    "turn": pl.Int64,
    "context": pl.String,
    "reply": pl.String,
    "reference": pl.String,
    "slate": pl.List(pl.String),
    "named": pl.Int64,
    "outside": pl.Int64,
    "finished": pl.Boolean,
    **{f"{who}_{verdict}": pl.Int64 for who in WHO for verdict in VERDICTS},
}
_DATED = re.compile(r"\((?:19|20)\d\d\)")


def references(test: TestSet, count: int, seed: int) -> list[tuple[Dialogue, int]]:
    """Up to ``count`` agent messages with a context and words, drawn once for all models; in the test set's order."""
    spoken = [
        (dialogue, t)
        for dialogue in test.dialogues
        for t, turn in enumerate(dialogue.turns)
        if turn.speaker == "agent" and turn.text.strip() and any(past.text.strip() for past in dialogue.turns[:t])
    ]
    if len(spoken) <= count:
        return spoken
    chosen = np.random.default_rng([seed, 12]).choice(len(spoken), size=count, replace=False)
    return [spoken[i] for i in np.sort(chosen)]


def write_replies(path: Path, name: str, policy: Policy, test: TestSet, count: int, seed: int, batch: int) -> None:
    """Greedy replies to the chosen contexts, titles restored. The policy itself decides whether to recommend."""
    if path.exists():
        return
    policy.encoder.clear_cache()  # an embedding's last bits depend on what it was batched with
    chosen = references(test, count, seed)
    generator = torch.Generator().manual_seed(seed)
    rows: list[dict[str, object]] = []
    with progress(len(chosen), f"replies of {name}") as bar:
        for start in range(0, len(chosen), batch):
            part = chosen[start : start + batch]
            contexts = [dialogue.before(t) for dialogue, t in part]
            for (dialogue, t), sample in zip(part, policy.act(contexts, generator, greedy=True), strict=True):
                named, unknown = titles(sample.text, sample.slate, policy.catalog)
                rows.append(
                    {
                        "dialogue": dialogue.id,
                        "user": dialogue.user,
                        "turn": t,
                        "context": "\n".join(
                            f"{turn.speaker}: {turn.text}" for turn in dialogue.turns[max(0, t - 6) : t]
                        ),
                        "reply": sample.text,
                        "reference": dialogue.turns[t].text,
                        "slate": list(sample.slate.items) if sample.slate else [],
                        "named": named,
                        "outside": unknown,
                        "finished": sample.finished,
                        **_facts("reply", sample.turn(), dialogue, t, policy.catalog),
                        **_facts("reference", dialogue.turns[t], dialogue, t, policy.catalog),
                    }
                )
            bar.advance(len(part))
    write_parquet(path, pl.DataFrame(rows, schema=SCHEMA))


def _facts(who: str, turn: Turn, dialogue: Dialogue, t: int, catalog: Catalog) -> dict[str, int]:
    """How many claims of a turn said at ``t`` the catalogue supports, cannot tell, and contradicts."""
    found = claims(turn, dialogue.before(t), fact_index(catalog))
    return {f"{who}_{verdict}": times for verdict, times in count(found).items()}


def titles(text: str, slate: Slate | None, catalog: Catalog) -> tuple[int, int]:
    """(recommendations in all, those outside the catalogue) of a turn: its slate, and every title in its text.

    A year in parentheses that closes no catalogue title is a title we do not have.
    """
    linked = catalog.link(text)
    ends = {end for _, end, _ in linked}
    invented = sum(match.end() not in ends for match in _DATED.finditer(text))
    shown = slate.items if slate else ()
    missing = sum(item not in catalog for item in shown)
    return len(shown) + len(linked) + invented, missing + invented


def reply_rows(
    tables: Mapping[str, pl.DataFrame], pairs: Sequence[Pair], dataset: str, draws: int, seed: int
) -> list[Row]:
    """BLEU (0–100) with intervals over persons, distinct per token, the out-of-catalogue share; then differences."""
    tables = {model: table for model, table in tables.items() if len(table)}  # none where the test agent says nothing
    rows: list[Row] = []
    sentences: dict[str, Floats64] = {}
    for model, table in tables.items():
        replies, wanted = table["reply"].to_list(), table["reference"].to_list()
        people = persons([table], dataset)
        base = blank(dataset, "replies", "test agent messages", model, seed, unit=people.unit)
        _, signature = texts.corpus_bleu(replies, wanted)
        parts = texts.bleu_parts(replies, wanted)
        corpus = intervals.bootstrap_sums(
            parts, people.groups, texts.bleu_of_sums, np.random.default_rng([seed, 13]), min(draws, 300)
        )
        rows.append(make_row(base, "corpus BLEU", corpus, note=signature))
        sentences[model] = 100 * np.array([texts.sentence_bleu4(*pair) for pair in zip(replies, wanted, strict=True)])
        rows.append(make_row(base, "sentence BLEU-4", _mean(sentences[model], people.groups, draws, seed)))
        rows += _distinct_rows(base, replies)
        named, outside = int(table["named"].sum()), int(table["outside"].sum())
        share = Estimate(outside / named if named else 0.0, np.nan, np.nan, named)
        rows.append(make_row(base, "out-of-catalogue", share))
        if "finished" in table.columns:  # not in replies of before the column
            ended = table["finished"].cast(pl.Float64).to_numpy()
            rows.append(make_row(base, "ends by itself", _mean(ended, people.groups, draws, seed)))
        rows += _fact_rows(base, table, "reply", people.groups, draws, seed)
    for model, against in both_measured(pairs, tables):
        messages = [tables[name].select("dialogue", "turn") for name in (model, against)]
        if not messages[0].equals(messages[1]):
            raise ValueError("both policies must have answered the same messages")
        people = persons([tables[model], tables[against]], dataset)
        gain = difference(sentences[model], sentences[against], people.groups, np.random.default_rng([seed, 14]), draws)
        base = blank(dataset, "replies", "test agent messages", model, seed, against=against, unit=people.unit)
        rows.append(make_row(base, "sentence BLEU-4", gain))
    if tables:
        table = next(iter(tables.values()))
        people = persons([table], dataset)
        base = blank(dataset, "replies", "test agent messages", "human", seed, unit=people.unit)
        rows += _distinct_rows(base, table["reference"].to_list())
        rows += _fact_rows(base, table, "reference", people.groups, draws, seed)
    return rows


def _fact_rows(
    base: Row, table: pl.DataFrame, who: str, groups: npt.NDArray[np.generic], draws: int, seed: int
) -> list[Row]:
    """Mean number of each verdict a reply; none of replies of before they were counted."""
    values = {name: f"{who}_{verdict}" for verdict, name in FACTS.items()}
    return [
        make_row(base, name, _mean(table[column].cast(pl.Float64).to_numpy(), groups, draws, seed))
        for name, column in values.items()
        if column in table.columns
    ]


def _distinct_rows(base: Row, replies: Sequence[str]) -> list[Row]:
    values = {n: texts.distinct(replies, n) for n in (1, 2)}
    return [
        make_row(base, f"distinct-{n}", Estimate(value, np.nan, np.nan, len(replies))) for n, value in values.items()
    ]


def _mean(values: Floats64, groups: npt.NDArray[np.generic], draws: int, seed: int) -> Estimate:
    return intervals.bootstrap_mean(values, groups, np.random.default_rng([seed, 14]), draws)
