"""A finished policy → numbers: ranks of held-out items, replies beside human ones, and fresh simulated users.

Every part is a file in the stage's folder, written whole and skipped when it is there, so a killed evaluation goes on
where it stopped: ``ranks/<model>.parquet`` (one row a case), ``replies/<model>.parquet`` (one row a reply),
``likelihood/<model>.parquet`` (one row a human turn), ``users/<model>.parquet`` (one row an agent turn),
``runs/<model>`` (a run file for ``tacit referee``), and at last ``rows.json``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from tacit.catalog import Catalog
from tacit.dialogue.evaluate import protocols
from tacit.dialogue.evaluate.baselines.counts import baselines
from tacit.dialogue.evaluate.likelihood import likelihood_rows, write_likelihood
from tacit.dialogue.evaluate.replies import reply_rows, write_replies
from tacit.dialogue.evaluate.reply_map import write_map
from tacit.dialogue.evaluate.run_files import recorded, write_run_file
from tacit.dialogue.evaluate.satisfaction import satisfaction_rows, write_conversations
from tacit.dialogue.evaluate.title_writer import Writer, WrittenTitles, literal_rows, write_literal
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.reward.labels import Labeller
from tacit.dialogue.rollout import SimulatedUsers
from tacit.metrics import intervals
from tacit.metrics.markdown import line_name
from tacit.metrics.persons import Persons, persons
from tacit.metrics.ranks import RANKING
from tacit.metrics.results import CUTOFFS, Pair, Row, blank, both_measured, differences, make_row, save_rows
from tacit.referee.protocols import Protocol
from tacit.referee.ranks import CaseRanks
from tacit.run.files import read_parquet, write_parquet
from tacit.run.folder import commit
from tacit.run.limits import at_least
from tacit.run.progress import progress
from tacit.types import Bools, Dialogue, Floats64, InputError, Scorer, Split, TestSet

# How much of a gain is only that the policy recommends more often, or is surer of its items? The supervised policy made
# to recommend in every turn, and both policies so with the likeliest items in place of drawn ones.
FORCED, LIKELIEST = "sft+recommend", {"sft": "sft+recommend+likeliest", "ppo": "ppo+recommend+likeliest"}
# What alignment changed, what these two alone change, and whether the outcome beats what needs no model.
PAIRS: tuple[Pair, ...] = (
    ("ppo", "sft"),
    ("ppo", FORCED),
    (FORCED, "sft"),
    (LIKELIEST["sft"], "sft"),
    (LIKELIEST["ppo"], LIKELIEST["sft"]),
    ("ppo", "popularity"),
    ("ppo", "co-occurrence"),
    ("ppo", "co-occurrence+copy"),
)

Score = Callable[[Sequence[Dialogue]], npt.NDArray[np.floating]]
AGAIN = "delete it, and evaluate the run again."  # what mends a damaged table


@dataclass
class EvaluateConfig:
    replies: int = at_least(0, default=500)  # test agent turns that are answered, for BLEU and distinct; 0 = none
    users: int = at_least(0, default=400)  # fresh simulated users a policy talks to; 0 = none
    max_turns: int = at_least(1, default=5)  # agent turns of a conversation with a simulated user
    draws: int = at_least(10, default=1000)  # bootstrap resamples
    batch: int = at_least(1, default=64)  # contexts scored or answered at a time
    written: int = at_least(1, default=10)  # replies a model that writes titles as text samples for each context
    # scores of the whole catalogue for `tacit referee`, two bytes a context and item: of which systems
    run_files: Literal["all", "policies", "none"] = "all"
    map: int = at_least(0, default=400)  # agent turns a model on the map of replies; 0 = no map
    map_method: Literal["auto", "umap", "pca"] = "auto"  # auto (UMAP where the extra "viz" is installed) | umap | pca


@dataclass(frozen=True)
class EvaluationInputs:
    """What is evaluated, and on what. ``policies`` and ``writers`` go by the names that their rows will carry.

    ``split`` feeds the co-occurrence table only (its training part, like popularity in ``catalog.counts``). Without
    ``labeller`` the engagement and sentiment of simulated users are left out. ``writers`` are language models that
    write titles as text; they are ranked by what they wrote. The map of replies reads the encoder of the first policy.
    """

    dataset: str
    catalog: Catalog
    split: Split
    test: TestSet
    policies: Mapping[str, Policy]
    world: SimulatedUsers | None = None  # None: nobody is simulated
    scorer: Scorer | None = None
    labeller: Labeller | None = None
    writers: Mapping[str, Writer] = field(default_factory=dict)
    pairs: tuple[Pair, ...] = PAIRS


def run_evaluate(inputs: EvaluationInputs, config: EvaluateConfig, folder: Path, seed: int) -> list[Row]:
    """All parts in order, for the policies and the trivial rankers; returns the rows that it also writes."""
    found = protocols.cases(inputs.test, inputs.catalog)
    if not found:
        raise InputError(
            "no test message recommends an item after something was said: give at least one test dialogue in which the "
            "agent shows or names an item after the user's first words."
        )
    for name, policy in inputs.policies.items():
        if config.replies:
            path = folder / "replies" / f"{name}.parquet"
            write_replies(path, name, policy, inputs.test, config.replies, seed, config.batch)
            path = folder / "likelihood" / f"{name}.parquet"
            write_likelihood(path, name, policy, inputs.test, config.replies, seed)
    rankers = _rankers(inputs, found, config, folder)
    for name, score in rankers.items():
        if name in _with_run_files(rankers, inputs, config):
            _write_run_file(folder, name, score, found, inputs, config.batch, seed)
            score = recorded(folder / "runs" / name)
        path = folder / "ranks" / f"{name}.parquet"
        write_ranks(path, name, score, found, inputs.catalog, inputs.dataset, seed, config.batch)
    for name, policy in inputs.policies.items():
        if config.users and inputs.world is not None:
            users = inputs.world, inputs.scorer, inputs.labeller, config.users, config.max_turns
            path = folder / "users" / f"{name}.parquet"
            write_conversations(path, name, policy, *users, config.batch, seed)
            if name == "sft":
                path = folder / "users" / f"{FORCED}.parquet"
                write_conversations(path, FORCED, policy, *users, config.batch, seed, decide="recommend")
            if surest := LIKELIEST.get(name):
                path = folder / "users" / f"{surest}.parquet"
                write_conversations(
                    path, surest, policy, *users, config.batch, seed, decide="recommend", likeliest=True
                )
    if config.map and config.users and inputs.world is not None and inputs.policies:
        encoder = next(iter(inputs.policies.values())).encoder
        talks = {name: table for name, table in _tables(folder / "users").items() if name in inputs.policies}
        write_map(folder / "map.parquet", talks, encoder, config.map, config.map_method, seed)
    rows = collect_rows(folder, list(rankers), inputs.pairs, inputs.catalog, inputs.dataset, config.draws, seed)
    save_rows(folder / "rows.json", rows)
    return rows


def _rankers(
    inputs: EvaluationInputs, found: Sequence[protocols.Case], config: EvaluateConfig, folder: Path
) -> dict[str, Score]:
    """The trivial rankers, the policies, and the writers, whose replies are written first."""
    trivial = baselines(inputs.catalog, inputs.split.train)
    rankers: dict[str, Score] = {name: ranker.scores for name, ranker in trivial.items()}
    rankers |= {name: _scores_of(policy) for name, policy in inputs.policies.items()}
    for name, writer in inputs.writers.items():
        path = folder / "literal" / f"{name}.parquet"
        write_literal(path, name, writer, found, inputs.catalog, config.written, config.batch)
        rankers[name] = WrittenTitles(read_parquet(path, AGAIN), inputs.catalog).scores
    return rankers


def _with_run_files(rankers: Mapping[str, Score], inputs: EvaluationInputs, config: EvaluateConfig) -> list[str]:
    chosen = {"all": list(rankers), "policies": [*inputs.policies, *inputs.writers], "none": []}
    return chosen[config.run_files]


def _write_run_file(
    folder: Path,
    name: str,
    score: Score,
    found: Sequence[protocols.Case],
    inputs: EvaluationInputs,
    batch: int,
    seed: int,
) -> None:
    if (folder / "runs" / name).exists():
        return
    table = folder / "replies" / f"{name}.parquet"
    replies = read_parquet(table, AGAIN) if table.exists() else None
    what = inputs.test, inputs.catalog, inputs.dataset, seed, batch, replies
    write_run_file(folder / "runs" / name, name, score, found, *what, {"commit": commit()})


def collect_rows(
    folder: Path, models: Sequence[str], pairs: Sequence[Pair], catalog: Catalog, dataset: str, draws: int, seed: int
) -> list[Row]:
    """Every number, from the parts' files alone."""
    ranks = {name: read_parquet(folder / "ranks" / f"{name}.parquet", AGAIN) for name in models}
    replies = _tables(folder / "replies")
    users = _tables(folder / "users")
    return [
        *rank_rows(ranks, pairs, len(catalog), dataset, draws, seed),
        *literal_rows(_tables(folder / "literal"), dataset, draws, seed),
        *reply_rows(replies, pairs, dataset, draws, seed),
        *likelihood_rows(_tables(folder / "likelihood"), pairs, dataset, draws, seed),
        *satisfaction_rows(users, pairs, dataset, draws, seed),
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
    """One row a case: dialogue, user, turn, item, repeated, unseen, what the person did (``protocols.RESPONSES``, null
    where it was not observed), and ``<protocol>`` and ``<protocol>/masked`` ranks."""
    if path.exists():
        return
    with progress(len(protocols.contexts(found)), f"ranks of {name}") as bar:
        ranks = protocols.rank_cases(found, score, protocols.protocols(dataset), catalog, seed, batch, bar.advance)
    columns: dict[str, object] = {
        "dialogue": [case.dialogue for case in found],
        "user": [case.context.user for case in found],
        "turn": [case.turn for case in found],
        "item": [catalog.items[case.gold].id for case in found],
        "repeated": [case.repeated for case in found],
        protocols.UNSEEN: [case.unseen for case in found],
    }
    for response in protocols.RESPONSES:
        columns[response] = pl.Series([getattr(case.response, response) for case in found], dtype=pl.Boolean)
    for protocol, part in ranks.items():
        columns |= {protocol: part.full, f"{protocol}/masked": part.masked}
    write_parquet(path, pl.DataFrame(columns))


def rank_rows(
    tables: Mapping[str, pl.DataFrame], pairs: Sequence[Pair], n_items: int, dataset: str, draws: int, seed: int
) -> list[Row]:
    """HR, NDCG and MRR of every model, protocol, slice and cutoff, then the paired difference of each of ``pairs``.

    A slice of what was observed has rows where the log says something of it.
    """
    compared = both_measured(pairs, tables)
    everyone, repeated = _case_persons(tables, dataset)
    observed = _observed(tables)
    rows: list[Row] = []
    for protocol in protocols.protocols(dataset):
        for slice in (*protocols.SLICES, *observed):
            values = {model: _case_values(ranked, protocol, slice, observed) for model, ranked in tables.items()}
            cases = everyone.of(protocols.in_slice(slice, repeated, observed))
            levels = intervals.bootstrap_means(
                np.concatenate(list(values.values()), axis=1), cases.groups, np.random.default_rng([seed, 11]), draws
            )
            gains = differences(
                _beside(values, [model for model, _ in compared]),
                _beside(values, [against for _, against in compared]),
                cases.groups,
                np.random.default_rng([seed, 11]),
                draws,
            )
            candidates = protocol.candidates(n_items)
            base = blank(dataset, protocol.name, slice, "", seed, candidates=candidates, unit=cases.unit)
            names = [*((model, "") for model in values), *compared]
            for ((model, against), (metric, k)), estimate in zip(product(names, _COLUMNS), levels + gains, strict=True):
                rows.append(make_row(base, metric, estimate, k, model=model, against=against))
    return rows


_COLUMNS = tuple((metric, k) for metric in RANKING for k in CUTOFFS)


def _case_values(ranked: pl.DataFrame, protocol: Protocol, slice: str, observed: protocols.Observed) -> Floats64:
    """Every metric at every cutoff of each case of a slice, [n, len(_COLUMNS)]."""
    both = CaseRanks(ranked[protocol.name].to_numpy(), ranked[f"{protocol.name}/masked"].to_numpy())
    ranks = protocols.slice_ranks(slice, both, ranked["repeated"].to_numpy(), observed)
    return np.stack([RANKING[metric](ranks, k) for metric, k in _COLUMNS], axis=1)


def _beside(values: Mapping[str, Floats64], models: Sequence[str]) -> Floats64:
    """The columns of these models side by side, [n, len(models) · len(_COLUMNS)]."""
    cases = len(next(iter(values.values())))
    return np.concatenate([np.empty((cases, 0)), *(values[model] for model in models)], axis=1)


def _case_persons(tables: Mapping[str, pl.DataFrame], dataset: str) -> tuple[Persons, Bools]:
    """Whose each case is, and whether its item is repeated [n]; all models must have been ranked on the same cases."""
    cases = [table.select("dialogue", "turn", "item", "repeated") for table in tables.values()]
    if not all(table.equals(cases[0]) for table in cases):
        raise ValueError("all models must have been ranked on the same cases")
    return persons(tables.values(), dataset), cases[0]["repeated"].to_numpy()


def _observed(tables: Mapping[str, pl.DataFrame]) -> dict[str, Bools]:
    """Slice → its cases [n], for the slices of which something was observed; ranks of before have no such columns."""
    cases = next(iter(tables.values()), pl.DataFrame())
    logged = [name for name in protocols.RESPONSES if name in cases.columns and cases[name].count()]
    unseen = [protocols.UNSEEN] if protocols.UNSEEN in cases.columns and cases[protocols.UNSEEN].any() else []
    return {name: cases[name].fill_null(False).to_numpy() for name in (*logged, *unseen)}


def summary(rows: Sequence[Row]) -> dict[str, float | None]:
    """The few numbers a stage prints when it is done."""
    chosen = {}
    for row in rows:
        standard = row.protocol.endswith("-standard") and row.slice == "new" and row.name in ("HR@5", "NDCG@5")
        if standard or row.metric in ("hidden utility", "out-of-catalogue"):
            chosen[f"{line_name(row)} {row.name}"] = row.value
    return chosen


def _tables(folder: Path) -> dict[str, pl.DataFrame]:
    return {path.stem: read_parquet(path, AGAIN) for path in sorted(folder.glob("*.parquet"))}


def _scores_of(policy: Policy) -> Score:
    fresh = True

    def score(contexts: Sequence[Dialogue]) -> npt.NDArray[np.floating]:
        nonlocal fresh
        if fresh:  # an embedding's last bits depend on what it was batched with
            policy.encoder.clear_cache()
        fresh = False
        logits: npt.NDArray[np.floating] = policy.slate_logits(contexts).cpu().numpy()
        return logits

    return score
