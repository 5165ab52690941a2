"""A finished policy → numbers: ranks of held-out items, replies beside human ones, and fresh simulated users.

Every part is a file in the stage's folder, written whole and skipped when it is there, so a killed evaluation goes on
where it stopped: ``ranks/<model>.parquet`` (one row a case), ``replies/<model>.parquet`` (one row a reply),
``users/<model>.parquet`` (one row an agent turn), and at last ``rows.json``.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from tacit.catalog import Catalog
from tacit.dialogue.evaluate import protocols
from tacit.dialogue.evaluate.baselines import baselines
from tacit.dialogue.evaluate.replies import reply_rows, write_replies
from tacit.dialogue.evaluate.reply_map import write_map
from tacit.dialogue.evaluate.satisfaction import World, satisfaction_rows, write_conversations
from tacit.dialogue.evaluate.title_writer import Writer, WrittenTitles, literal_rows, write_literal
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.reward.labels import Labeller
from tacit.metrics import intervals
from tacit.metrics.ranks import RANKING
from tacit.metrics.results import CUTOFFS, DIFFERENCE, Row, blank, make_row, save_rows
from tacit.run.files import atomic_write
from tacit.run.folder import Stage
from tacit.run.progress import progress
from tacit.types import Dialogue, Floats64, InputError, Scorer, Split, TestSet

Score = Callable[[Sequence[Dialogue]], npt.NDArray[np.floating]]


@dataclass
class EvaluateConfig:
    replies: int = 500  # test agent turns that are answered, for BLEU and distinct; 0 = none
    users: int = 500  # fresh simulated users a policy talks to; 0 = none
    max_turns: int = 6  # agent turns of a conversation with a simulated user
    draws: int = 1000  # bootstrap resamples
    batch: int = 64  # contexts scored or answered at a time
    written: int = 10  # replies a model that writes titles as text samples for each context
    map: int = 400  # agent turns a model on the map of replies; 0 = no map
    map_method: str = "auto"  # auto (UMAP where the extra "viz" is installed) | umap | pca


def run_evaluate(
    policies: Mapping[str, Policy],
    catalog: Catalog,
    split: Split,
    test: TestSet,
    world: World,
    scorer: Scorer | None,
    config: EvaluateConfig,
    stage: Stage,
    seed: int,
    *,
    dataset: str = "data",
    labeller: Labeller | None = None,
    writers: Mapping[str, Writer] | None = None,
) -> list[Row]:
    """All parts in order, for ``policies`` ("sft", "ppo") and the trivial rankers; returns the rows it also writes.

    ``split`` feeds the co-occurrence table only (its training part, like popularity in ``catalog.counts``).
    Without ``labeller`` the engagement and sentiment of simulated users are left out. ``writers`` are language models
    that write titles as text ("literal"); they are ranked by what they wrote.
    """
    found = protocols.cases(test, catalog)
    if not found:
        raise InputError("no test message recommends an item after something was said: give other test dialogues.")
    folder = stage.folder
    rankers: dict[str, Score] = {name: ranker.scores for name, ranker in baselines(catalog, split.train).items()}
    rankers |= {name: _scores_of(policy) for name, policy in policies.items()}
    for name, writer in (writers or {}).items():
        path = folder / "literal" / f"{name}.parquet"
        write_literal(path, name, writer, found, catalog, config.written, config.batch)
        rankers[name] = WrittenTitles(pl.read_parquet(path), catalog).scores
    for name, score in rankers.items():
        write_ranks(folder / "ranks" / f"{name}.parquet", name, score, found, catalog, dataset, seed, config.batch)
    for name, policy in policies.items():
        if config.replies:
            path = folder / "replies" / f"{name}.parquet"
            write_replies(path, name, policy, test, config.replies, seed, config.batch)
        if config.users:
            path = folder / "users" / f"{name}.parquet"
            write_conversations(
                path, name, policy, world, scorer, labeller, config.users, config.max_turns, config.batch, seed
            )
    if config.map and config.users and "sft" in policies:
        encoder = policies["sft"].encoder
        write_map(folder / "map.parquet", _tables(folder / "users"), encoder, config.map, config.map_method, seed)
    rows = collect_rows(folder, list(rankers), catalog, dataset, config.draws, seed)
    save_rows(folder / "rows.json", rows)
    if folder.name == "evaluate":
        save_rows(folder.parent / "results.json", rows)
    stage.finish(summary(rows))
    return rows


def collect_rows(
    folder: Path, models: Sequence[str], catalog: Catalog, dataset: str, draws: int, seed: int
) -> list[Row]:
    """Every number, from the parts' files alone."""
    ranks = {name: pl.read_parquet(folder / "ranks" / f"{name}.parquet") for name in models}
    replies = _tables(folder / "replies")
    users = _tables(folder / "users")
    return [
        *rank_rows(ranks, len(catalog), dataset, draws, seed),
        *literal_rows(_tables(folder / "literal"), dataset, draws, seed),
        *reply_rows(replies, dataset, draws, seed),
        *satisfaction_rows(users, dataset, draws, seed),
    ]


def write_ranks(
    path: Path,
    name: str,
    score: Score,
    found: Sequence[protocols.Case],
    catalog: Catalog,
    dataset: str,
    seed: int,
    batch: int,
) -> None:
    """One row a case: dialogue, turn, item, repeated, and ``<protocol>`` and ``<protocol>/masked`` ranks."""
    if path.exists():
        return
    with progress(len(protocols.contexts(found)), f"ranks of {name}") as bar:
        ranks = protocols.rank_cases(found, score, protocols.protocols(dataset), seed, batch, bar.advance)
    columns: dict[str, object] = {
        "dialogue": [case.dialogue for case in found],
        "turn": [case.turn for case in found],
        "item": [catalog.items[case.gold].id for case in found],
        "repeated": [case.repeated for case in found],
    }
    for protocol, part in ranks.items():
        columns |= {protocol: part.full, f"{protocol}/masked": part.masked}
    write_parquet(path, pl.DataFrame(columns))


def rank_rows(tables: Mapping[str, pl.DataFrame], n_items: int, dataset: str, draws: int, seed: int) -> list[Row]:
    """HR, NDCG and MRR of every model, protocol, slice and cutoff, then the paired difference PPO − SFT."""
    rows: list[Row] = []
    for protocol in protocols.protocols(dataset):
        for slice in protocols.SLICES:
            values: dict[tuple[str, str, int], Floats64] = {}
            groups: npt.NDArray[np.generic] = np.empty(0)
            for model, ranked in tables.items():
                repeated = ranked["repeated"].to_numpy()
                both = protocols.CaseRanks(
                    ranked[protocol.name].to_numpy(), ranked[f"{protocol.name}/masked"].to_numpy()
                )
                ranks = protocols.slice_ranks(slice, both, repeated)
                groups = ranked["dialogue"].to_numpy()[protocols.in_slice(slice, repeated)]
                for metric, formula in RANKING.items():
                    values |= {(model, metric, k): formula(ranks, k) for k in CUTOFFS}
            if {"sft", "ppo"} <= set(tables):
                for metric in RANKING:
                    for k in CUTOFFS:
                        gain = values["ppo", metric, k] - values["sft", metric, k]
                        values[DIFFERENCE, metric, k] = gain
            candidates = protocol.candidates(n_items)
            table = np.stack(list(values.values()), axis=1)
            estimates = intervals.bootstrap_means(table, groups, np.random.default_rng([seed, 11]), draws)
            for (model, metric, k), estimate in zip(values, estimates, strict=True):
                base = blank(dataset, protocol.name, slice, model, seed, candidates=candidates)
                rows.append(make_row(base, metric, estimate, k))
    return rows


def summary(rows: Sequence[Row]) -> dict[str, float | None]:
    """The few numbers a stage prints when it is done."""
    chosen = {}
    for row in rows:
        standard = row.protocol.endswith("-standard") and row.slice == "new" and row.name in ("HR@5", "NDCG@5")
        if standard or row.metric in ("hidden utility", "out-of-catalogue"):
            chosen[f"{row.model} {row.name}"] = row.value
    return chosen


def write_parquet(path: Path, table: pl.DataFrame) -> None:
    buffer = io.BytesIO()
    table.write_parquet(buffer, compression="zstd")
    atomic_write(path, buffer.getvalue())


def _tables(folder: Path) -> dict[str, pl.DataFrame]:
    return {path.stem: pl.read_parquet(path) for path in sorted(folder.glob("*.parquet"))}


def _scores_of(policy: Policy) -> Score:
    policy.encoder.clear_cache()  # an embedding's last bits depend on what it was batched with

    def score(contexts: Sequence[Dialogue]) -> npt.NDArray[np.floating]:
        logits: npt.NDArray[np.floating] = policy.slate_logits(contexts).cpu().numpy()
        return logits

    return score
