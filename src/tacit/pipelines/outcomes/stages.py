"""Stages of a run that learns from outcomes; each reads what earlier ones left in the run folder.

    prepare/   the untrained policy over fold A's counts, fold.json       sft/       the policy of fold A
    read/      fold B, validation as the slate head reads them            learn/     trials/, choices.json, NAME/policy
    evaluate/  ranks.parquet: the test, read once, by every chosen policy; results.json

Fold B rewards a policy that was not fine-tuned on it, and the control is fine-tuned on the same fold B.
"""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from tacit.catalog import Catalog
from tacit.data.dialogues.folds import folds
from tacit.data.dialogues.sources import load_test, load_training
from tacit.dialogue.evaluate import protocols
from tacit.dialogue.evaluate.outcomes import GRADED, LIKED_UNSEEN, NEW, masked_ranks, outcome_values
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.train.outcomes.learn import CONTROL, LEARNERS, learn
from tacit.dialogue.train.outcomes.recalibration import ItemOdds, Read, Recalibration
from tacit.dialogue.train.outcomes.tables import Outcomes
from tacit.dialogue.train.sft import run_sft
from tacit.dialogue.users.replay import Replayed, replayed
from tacit.pipelines.outcomes.config import OutcomesRunConfig
from tacit.pipelines.outcomes.table import write_results
from tacit.run.files import atomic_folder, atomic_write, read_json, write_parquet
from tacit.run.folder import Run
from tacit.run.progress import progress
from tacit.run.stages import StageTable
from tacit.types import Dialogue, Split, TestSet

log = logging.getLogger("tacit")

START = "A"  # the policy before fold B
Trial = dict[str, Any]


def run_outcomes(config: OutcomesRunConfig, only: str | None = None) -> Run:
    """Do what is not done yet of the run in ``config.out``."""
    with STAGES.held(config):
        config = STAGES.settled(config)
        run = STAGES.open(config)
        STAGES.do(run, config, only)
    return run


def prepare(run: Run, config: OutcomesRunConfig, device: str) -> None:
    catalog, a, b, split = _folds(config)
    torch.manual_seed(config.seed)
    policy = Policy.fresh(catalog, a, config.policy, cache=run.folder.parent / ".cache")
    stage = run.stage("prepare")
    with atomic_folder(stage.folder / "policy") as folder:
        policy.save_pretrained(folder)
    card = {name: [d.id for d in part] for name, part in (("A", a), ("B", b), ("valid", split.valid))}
    atomic_write(stage.folder / "fold.json", json.dumps(card) + "\n")
    people = {f"{name}_people": len({d.user for d in part}) for name, part in (("A", a), ("B", b))}
    stage.finish({"A": len(a), "B": len(b), "valid": len(split.valid), **people})


def sft(run: Run, config: OutcomesRunConfig, device: str) -> None:
    _, a, _, split = _folds(config)
    policy = Policy.from_pretrained(run.folder / "prepare" / "policy").to(device)
    first = Split(a, split.valid, split.rule)
    run_sft(policy, first, config.sft, run.stage("sft"), config.seed, config.dtype, config.data.name == "logs")


def learned(run: Run, config: OutcomesRunConfig, device: str) -> None:
    """Every learner with every weight, the control among them; validation chooses a weight for each learner."""
    _, a, b, split = _folds(config)
    policy = Policy.from_pretrained(run.folder / "sft" / "policy").to(device)
    odds = ItemOdds.counted(a, policy.catalog)
    users = replayed(b, policy.catalog, config.grades)
    outcomes, read = Outcomes.of(users), _read(policy, [user.context for user in users], "fold B")
    judge = Judge(policy, split.valid)
    stage, trials = run.stage("learn"), list[Trial]()
    with progress(1 + len(LEARNERS) * len(config.weights), "learn") as bar:
        for learner, weight in _trials(config.weights):
            path = stage.folder / "trials" / f"{learner}-{weight:g}.json"
            if not path.is_file():
                weights = Recalibration(policy.head, odds)
                told = learn(weights, read, outcomes, learner, weight, config.learn, config.seed)
                trial = {"learner": learner, "weight": weight, **told, "valid": judge.means(weights)}
                atomic_write(path, json.dumps(trial, indent=1) + "\n")
            trials.append(read_json(path, f"delete {path} to make the trial again."))
            bar.advance()
    chosen = {name: _best(trials, name) for name in (CONTROL, *LEARNERS)}
    for name, trial in chosen.items():
        _save(policy, odds, trial, stage.folder / name / "policy", name)
    atomic_write(stage.folder / "choices.json", json.dumps(chosen, indent=1) + "\n")
    stage.finish({"contexts": len(users), "mean_gain": outcomes.baseline, **_told_apart(users)})


def evaluate(run: Run, config: OutcomesRunConfig, device: str) -> None:
    """The test, once for each policy: the one before fold B, the control, and what validation chose of each learner."""
    _, a, _, _ = _folds(config)
    policy = Policy.from_pretrained(run.folder / "sft" / "policy").to(device)
    odds = ItemOdds.counted(a, policy.catalog)
    choices = read_json(run.folder / "learn" / "choices.json", f"delete {run.folder / 'learn'} to learn again.")
    judge = Judge(policy, load_test(config.data).dialogues)
    cases = judge.cases
    columns: dict[str, object] = {
        "dialogue": [case.dialogue for case in cases],
        "user": [case.context.user for case in cases],
        "turn": [case.turn for case in cases],
        "item": [policy.catalog.items[case.gold].id for case in cases],
        "repeated": [case.repeated for case in cases],
        "liked": pl.Series([case.response.liked for case in cases], dtype=pl.Boolean),
        "seen": pl.Series([case.response.seen for case in cases], dtype=pl.Boolean),
    }
    for name in (START, *choices):
        weights = Recalibration(policy.head, odds)
        if name != START:
            weights.set({key: choices[name][key] for key in weights.values()})
        columns[name] = judge.ranks(weights)
    stage = run.stage("evaluate")
    write_parquet(stage.folder / "ranks.parquet", pl.DataFrame(columns))
    rows = write_results([run.folder], config.data.name, config.draws, run.folder / "results.json")
    stage.finish({f"{row.model} − {row.against} {row.metric}": row.value for row in rows if row.against == CONTROL})


class Judge:
    """Held-out dialogues read once, on which any weights over one policy's head can be ranked."""

    def __init__(self, policy: Policy, dialogues: Sequence[Dialogue]) -> None:
        self._catalog = policy.catalog
        self.cases = protocols.cases(TestSet(tuple(dialogues)), policy.catalog)
        contexts = [group[0].context for group in protocols.contexts(self.cases)]
        self._read, self._n = _read(policy, contexts, "held-out contexts"), len(contexts)

    @torch.no_grad()
    def ranks(self, weights: Recalibration) -> np.ndarray:
        """Masked ranks of the cases [n]. Contexts come in the order in which they were read."""
        rows = iter(torch.arange(self._n).split(1))

        def score(contexts: Sequence[Dialogue]) -> np.ndarray:
            at = torch.cat([next(rows) for _ in contexts])
            return weights.logits(self._read, at, masked=False).numpy()

        return masked_ranks(self.cases, score, self._catalog, "held-out")

    def means(self, weights: Recalibration) -> dict[str, float]:
        values = outcome_values(self.cases, self.ranks(weights))
        return {name: float(np.nanmean(value)) for name, value in values.items() if not np.isnan(value).all()}


def _trials(weights: Sequence[float]) -> Iterator[tuple[str, float]]:
    yield CONTROL, 0.0
    for learner in LEARNERS:
        for weight in weights:
            yield learner, weight


def _best(trials: Sequence[Trial], learner: str) -> Trial:
    """Of one learner's, by the sum of the two measures that it is for, on validation."""

    def worth(trial: Trial) -> float:
        valid = trial["valid"]
        return float(valid.get(LIKED_UNSEEN, valid[NEW])) + float(valid[GRADED])

    return max((trial for trial in trials if trial["learner"] == learner), key=worth)


def _save(policy: Policy, odds: ItemOdds, trial: Trial, path: Path, name: str) -> None:
    """The chosen weights folded into the head: a policy that is served like any other."""
    if path.is_dir():
        return
    made = copy.copy(policy)
    made._modules = {**policy._modules, "head": copy.deepcopy(policy.head)}
    weights = Recalibration(policy.head, odds)
    weights.set({key: trial[key] for key in weights.values()})
    weights.fold(made.head)
    made.version = f"outcomes-{name}"
    with atomic_folder(path) as folder:
        made.save_pretrained(folder)


def _read(policy: Policy, contexts: Sequence[Dialogue], what: str) -> Read:
    log.info("outcomes: reading %d %s", len(contexts), what)
    return Read.of(policy, contexts)


def _told_apart(users: Sequence[Replayed]) -> dict[str, float]:
    """How much the outcomes hold beyond that something was named."""
    gains = [gain for user in users for gain in user.gains]
    apart = sum(len(set(user.gains)) > 1 for user in users) / max(len(users), 1)
    return {"negative_share": float(np.mean(np.array(gains) < 0)), "contexts_told_apart": apart}


def _folds(
    config: OutcomesRunConfig,
) -> tuple[Catalog, tuple[Dialogue, ...], tuple[Dialogue, ...], Split]:
    """The catalogue with fold A's counts, A, B, and the split that they are of."""
    catalog, split = load_training(config.data)
    a, b = folds(split.train, config.first_fold, config.seed)
    return catalog.with_counts(a), a, b, split


STAGES = StageTable[OutcomesRunConfig](
    "tacit outcomes",
    {"prepare": prepare, "sft": sft, "learn": learned, "evaluate": evaluate},
    first_read={
        "data": "prepare",
        "policy": "prepare",
        "first_fold": "prepare",
        "sft": "sft",
        "grades": "learn",
        "learn": "learn",
        "weights": "learn",
        "draws": "evaluate",
    },
    free=("out", "device", "threads"),
)
