"""The last stage of system B: every reranker on the test users' lists, beside the bounds and the rows without texts."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np

from tacit.evaluate_lists import Measured, bound_lines, difference_rows, measured, rows_of, template, variance
from tacit.files import atomic_write
from tacit.lists import Lists
from tacit.models.list_features import PLAIN, TIES, Featured, cross_fitted, features
from tacit.models.list_tokens import Knowledge
from tacit.rerank_cells import Job
from tacit.rerank_config import RerankConfig
from tacit.rerank_material import Material
from tacit.rerank_stages import arm_jobs, arm_knowledge, arms, material
from tacit.results import Row, save_rows
from tacit.run import Run, Stage
from tacit.train.listwise import new_listwise, score_listwise, train_listwise
from tacit.train.ranker import Scores, score_lists

LISTWISE = "listwise"
ALL_FEATURES = "all features"


def evaluate(run: Run, config: RerankConfig, device: str) -> None:
    """results.json, and card.json with the protocol and where the noise comes from."""
    stage, known = run.stage("evaluate"), material(run, config)
    lists = known.test.lists
    lines = bound_lines(known.split, lists)
    for arm in every_arm(config):
        jobs = arm_jobs(run, config, known, arm, device)
        for name in config.rankers:
            scores = [_test_scores(job, lists) for job in jobs if job.settings.name == name]
            lines.append(measured(name, arm, scores, lists))
    if config.strong:
        lines += strong_lines(run, config, known, device)
    protocol = f"{config.lists.variant} lists, {known.card['sort']} order"
    base = template(known.ratings.name, protocol, lists, config.seed)
    save_rows(run.folder / "results.json", [row for part in _tables(lines, lists, base) for row in part])
    noise = {f"{line.model} · {line.arm}": variance(line, lists.users) for line in lines if line.seeds > 1}
    card = {"protocol": known.card, "settings": asdict(config.lists), "standard errors of NDCG@5": noise}
    atomic_write(stage.folder / "card.json", json.dumps(card, indent=1) + "\n")
    stage.finish({"rows": len(lines)})


def every_arm(config: RerankConfig) -> list[str]:
    return [*arms(config), *(f"round {number}" for number in range(1, config.align.rounds + 1))]


def _test_scores(job: Job, lists: Lists) -> Scores:
    return score_lists(job.train(), lists, job.texts, histories=job.histories)


def _tables(lines: list[Measured], lists: Lists, base: Row) -> list[list[Row]]:
    """Each line, then what knowledge brings (− base) and what alignment brings (− the texts of round 0)."""
    by_name = {(line.model, line.arm): line for line in lines}
    found = [rows_of(line, lists, base) for line in lines]
    for line in lines:
        for arm in ("base", ALL_FEATURES, "round 0"):
            against = by_name.get((line.model, arm))
            if against is not None and against is not line and line.arm != "base":
                found.append(difference_rows(line, against, lists, base))
    return found


# --- rows without a language model, and with one on top of them ---------------------------------------------------


def strong_lines(run: Run, config: RerankConfig, known: Material, device: str) -> list[Measured]:
    """Features of the ratings through one listwise transformer: six plain ones, all of them, all of them and texts."""
    train = cross_fitted(known.split, known.ratings.items, config.features, config.seed)
    split, both = known.split, [known.split.valid, known.test.lists]
    valid, test = features(split, known.ratings.items, split.train_users, both, config.features)
    without_ties = [name for name in train.names if name not in TIES]
    wanted: dict[str, tuple[list[str], bool, Knowledge | None]] = {
        "plain features": (list(PLAIN), False, None),
        "features without ties": (without_ties, False, None),
        ALL_FEATURES: (list(train.names), True, None),
    }
    rounds = [arm for arm in every_arm(config) if arm.startswith("round ")]
    for arm in dict.fromkeys([*rounds[:1], *rounds[-1:]]):
        wanted[arm] = (list(train.names), True, arm_knowledge(run, config, known, arm, device))
    lines = []
    for arm, (names, relations, texts) in wanted.items():
        parts = tuple(part.only(names, relations) for part in (train, valid, test))
        scores = [_listwise(run, config, arm, parts, texts, seed, device) for seed in range(config.strong_seeds)]
        lines.append(measured(LISTWISE, arm, scores, known.test.lists))
    return lines


def _listwise(
    run: Run,
    config: RerankConfig,
    arm: str,
    parts: tuple[Featured, ...],
    texts: Knowledge | None,
    seed: int,
    device: str,
) -> Scores:
    train, valid, test = parts
    folder = f"{LISTWISE}-{arm.replace(' ', '-')}-seed{seed}"
    model = new_listwise(config.listwise, train, None if texts is None else texts.user.shape[1], seed)
    stage = Stage(folder, run.folder / "rankers" / folder)
    train_listwise(model, train, valid, texts, config.listwise, seed, stage, device)
    return np.asarray(score_listwise(model, test, texts), dtype=np.float32)
