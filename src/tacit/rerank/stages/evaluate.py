"""The last stage of system B: every reranker on the test users' lists, beside the bounds and the rows without texts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tacit.metrics.results import save_rows
from tacit.rerank.evaluate.rows import (
    ALL_FEATURES,
    ArmScores,
    bound_lines,
    measured,
    save_values,
    tables,
    template,
    variance,
)
from tacit.rerank.lists.lists import IN_WORDS, Lists
from tacit.rerank.ranker.features import PLAIN, TIES, Featured, cross_fitted, features
from tacit.rerank.ranker.listwise import Listwise
from tacit.rerank.ranker.text_features import Likeness, by_vectors, by_words, text_features
from tacit.rerank.ranker.tokens import Knowledge
from tacit.rerank.ranker.train_listwise import ListwiseConfig, new_listwise, score_listwise, train_listwise
from tacit.rerank.ranker.train_reranker import CUTOFF, score_lists
from tacit.rerank.stages.arms import arm_jobs, arm_knowledge, arms
from tacit.rerank.stages.config import NO_WRITER, RerankConfig
from tacit.rerank.stages.context import RerankRun
from tacit.rerank.stages.jobs import TrainingJob, train_all
from tacit.run.files import atomic_write
from tacit.run.folder import Run, Stage
from tacit.types import Floats32

LISTWISE = "listwise"
ALONE = ("EASE, all history", "EASE, liked history")  # features that are rows of their own


def evaluate(run: Run, config: RerankConfig, device: str) -> None:
    """results.json, and card.json with the protocol and where the noise comes from."""
    stage, context = run.stage("evaluate"), RerankRun.open(run, config, device)
    data, lists = context.data, context.data.test.lists
    names: Sequence[str] = config.rankers
    ranked: list[ArmScores] = []
    on_validation: dict[tuple[str, str], float] = {}
    for arm in every_arm(config):
        jobs = arm_jobs(context, arm)
        for name in config.rankers:
            of_ranker = [job for job in jobs if job.settings.name == name]
            ranked.append(measured(name, arm, [_test_scores(job, lists) for job in of_ranker], lists))
            on_validation[name, arm] = float(np.mean([_chosen_by(job) for job in of_ranker]))
    ranked.sort(key=lambda line: names.index(line.model))
    lines = [*bound_lines(data.split, lists), *ranked]
    if config.strong:
        lines += reference_rows(context)
    protocol = f"{IN_WORDS[config.lists.variant]}, {data.card['sort']} order"
    base = template(data.ratings.name, protocol, lists, config.seed)
    save_rows(run.folder / "results.json", tables(lines, lists.users, base))
    save_values(stage.folder / "values.safetensors", lines, lists)
    noise = {f"{line.model} · {line.arm}": variance([line.values["ndcg"]], lists.users) for line in lines}
    card = {
        "protocol": data.card,
        "settings": asdict(config.lists),
        "round chosen on validation": {name: _best_round(name, on_validation) for name in config.rankers},
        "standard deviations of NDCG@5": {name: parts for name, parts in noise.items() if len(parts) > 1},
    }
    atomic_write(stage.folder / "card.json", json.dumps(card, indent=1) + "\n")
    stage.finish({"rows": len(lines)})


def every_arm(config: RerankConfig) -> list[str]:
    return [*arms(config), *(f"round {number}" for number in range(1, config.align.rounds + 1))]


def _test_scores(job: TrainingJob, lists: Lists) -> Floats32:
    return score_lists(job.train(), lists, job.texts, histories=job.histories)


def _chosen_by(job: TrainingJob) -> float:
    """The score of the epoch that was kept, on the lists that chose it (those of validation users, by default)."""
    return float(job.stage.summary()[f"{job.settings.select}_{job.settings.criterion}@{CUTOFF}"])


def _best_round(ranker: str, scores: Mapping[tuple[str, str], float]) -> str:
    """The round of alignment, of one or more, whose rerankers are best there; "" without any."""
    rounds = {arm: score for (name, arm), score in scores.items() if name == ranker and arm.startswith("round ")}
    rounds.pop("round 0", None)
    return max(rounds, key=lambda arm: rounds[arm], default="")


# --- rows without a language model, and with one on top of them ---------------------------------------------------

Parts = tuple[Featured, ...]  # the lists of training, validation and test users


def reference_rows(context: RerankRun) -> list[ArmScores]:
    """EASE as it is; features of the ratings through one listwise transformer: six, all of them, texts beside all.

    What the catalogue says of items (mostly title and genres) stands before their longer descriptions, where there are
    any, because no language model wrote it.
    """
    config, data = context.config, context.data
    ratings = _rating_features(context)
    names, rankers = ratings[0].names, context.folder / "rankers"
    without_ties = [name for name in names if name not in TIES]
    lines = [measured("one feature", name, [ratings[-1].column(name)], data.test.lists) for name in ALONE]

    def add(arm: str, parts: Parts, texts: Knowledge | None = None) -> None:
        name, (train, valid, test) = f"{LISTWISE}-{arm.replace(' ', '-')}", parts
        jobs = [
            ListwiseJob(rankers / f"{name}-seed{seed}", config.listwise, train, valid, texts, seed, context.device)
            for seed in range(config.strong_seeds)
        ]
        train_all(jobs, name)
        scores = [score_listwise(job.train(), test, texts) for job in jobs]
        lines.append(measured(LISTWISE, arm, scores, data.test.lists))

    add("plain features", tuple(part.only(PLAIN, False) for part in ratings))
    add(ALL_FEATURES, ratings)
    add("features without ties", tuple(part.only(without_ties, False) for part in ratings))
    described = _beside_texts(ratings, context, [item.text for item in data.ratings.items])
    add("catalogue texts", described)
    if config.knowledge.writer == NO_WRITER:
        return lines
    if data.ratings.descriptions:
        described = _beside_texts(ratings, context, data.item_texts)
        add("descriptions", described)
    rounds = [arm for arm in every_arm(config) if arm.startswith("round ")]
    for arm in dict.fromkeys([*rounds[:1], *rounds[-1:]]):
        add(arm, described, arm_knowledge(context, arm))
    return lines


def _rating_features(context: RerankRun) -> Parts:
    config, data = context.config, context.data
    split, items = data.split, data.ratings.items
    train = cross_fitted(split, items, config.features, config.seed)
    both = [split.valid, data.test.lists]
    return train, *features(split, items, split.train_users, both, config.features)


def _beside_texts(ratings: Parts, context: RerankRun, texts: Sequence[str]) -> Parts:
    """The features of the ratings, and what these texts of the items add."""
    likenesses: dict[str, Likeness] = {
        "words": lambda: by_words(texts),
        "vectors": lambda: by_vectors(context.data.vectors(texts, context.device, context.config.dtype)),
    }
    split = context.data.split
    added = text_features(split.histories, split.positive_above, [part.lists for part in ratings], likenesses)
    return tuple(part.beside(more) for part, more in zip(ratings, added, strict=True))


@dataclass(frozen=True)
class ListwiseJob:
    """A listwise ranker to be trained, with everything that a process of its own needs for it."""

    folder: Path
    config: ListwiseConfig
    train_part: Featured
    valid_part: Featured
    texts: Knowledge | None
    seed: int
    device: str

    @property
    def stage(self) -> Stage:
        return Stage(self.folder.name, self.folder)

    def train(self) -> Listwise:
        """The trained ranker; one that is done is only read."""
        width = None if self.texts is None else self.texts.user.shape[1]
        model = new_listwise(self.config, self.train_part, width, self.seed)
        parts = self.train_part, self.valid_part
        train_listwise(model, *parts, self.texts, self.config, self.seed, self.stage, self.device)
        return model
