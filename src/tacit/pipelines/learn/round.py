"""One round, a run folder: the log's labels and dialogues, the reward learnt anew, a step near the logging policy.

    RUN/learn/round-0001/
      labels/     the label table, and what was fitted        dialogues/  train.jsonl, valid.jsonl
      reward/     model, validation.json                      step/       policy/, metrics.jsonl, done.json

Each stage reads what lies before it, the log up to ``as_of`` and nothing else, so a round that was killed goes on.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from tacit.data.dialogues.logs import read, write
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.reward.exam import require_valid
from tacit.dialogue.reward.model import RewardModel
from tacit.dialogue.reward.scorer import RewardScorer
from tacit.dialogue.reward.train import run_reward
from tacit.dialogue.reward.verdict import ValidationReport
from tacit.dialogue.train.head_on_log import HeadOnLog
from tacit.dialogue.train.item_credit import run_items
from tacit.dialogue.train.offpolicy import run_step
from tacit.dialogue.train.ppo import run_ppo
from tacit.dialogue.users.crowd import UserWorld
from tacit.events.store import open_store
from tacit.labels.build import build
from tacit.labels.log import exported
from tacit.labels.words import read_words
from tacit.pipelines.learn.config import LearnConfig
from tacit.pipelines.learn.evidence import write_evidence
from tacit.pipelines.learn.exposures import Known, dialogues, is_held_out, logged_exposures, tensors
from tacit.pipelines.parts import HiddenRecorder
from tacit.run.files import atomic_folder, atomic_write, read_json
from tacit.run.folder import Run
from tacit.run.stages import StageTable
from tacit.serve.versions import version_of
from tacit.text.sentiment import load_sentiment
from tacit.types import Dialogue, InputError, Split

log = logging.getLogger("tacit")


def run_round(config: LearnConfig, with_reward: bool = True) -> Run:
    """Do what is not done yet of the round in ``config.out``; ``config.as_of`` must be a time. ``with_reward``: or
    leave the reward model out, which ppo alone reads."""
    stages = STAGES if with_reward or config.method == "ppo" else STAGES.without("reward")
    with stages.held(config):
        config = stages.settled(config) if config.method == "ppo" else replace(config, dtype="float32")
        run = stages.open(config)
        stages.do(run, config, None)
    return run


def labels(run: Run, config: LearnConfig, device: str) -> None:
    stage, policy, store = run.stage("labels"), _start(config, device), open_store(config.store)
    sentiment = load_sentiment(config.signals.sentiment, config.signals.sentiment_labels)
    try:
        words = read_words(store, policy.catalog, policy.encoder, "the policy's encoder", sentiment, config.as_of)
    finally:
        store.close()
    with exported(config.store, run.folder) as folder:
        made = build(folder, stage.folder / "table", config.labels, config.as_of, words=words)
    stage.finish(made.__dict__)


def sessions(run: Run, config: LearnConfig, device: str) -> None:
    """Some of the people are kept for the examination of the reward."""
    stage, known = run.stage("dialogues"), _known(run, config)
    left_out, sides = Counter[str](), {"train": list[Dialogue](), "valid": list[Dialogue]()}
    store = open_store(config.store)
    try:
        catalog = _start(config, "cpu").catalog
        for dialogue in dialogues(store, known, catalog, config.labels.sessions_per_account, left_out):
            sides["valid" if is_held_out(dialogue.user, config.held_out) else "train"].append(dialogue)
    finally:
        store.close()
    for name, found in sides.items():
        if not found:
            raise InputError(
                f"the log has no mature session for {name} (held_out={config.held_out:g} of the people "
                "are kept apart): wait for more, or give another share."
            )
        write(stage.folder / f"{name}.jsonl", found)
    stage.finish({name: len(found) for name, found in sides.items()} | {"left_out": dict(left_out)})


def reward(run: Run, config: LearnConfig, device: str) -> None:
    policy = _start(config, device)
    run_reward(policy, None, _split(run, policy), config.reward, config.signals, run.stage("reward"), config.seed)


def step(run: Run, config: LearnConfig, device: str) -> None:
    if config.method == "ppo":
        _by_simulated_users(run, config, device)
    else:
        _from_the_log(run, config, device)


def _from_the_log(run: Run, config: LearnConfig, device: str) -> None:
    """Learnt from most people; how likely the slates of the others are under the candidate stands in a table."""
    assert config.method != "ppo"
    policy, stage, left_out = _start(config, device), run.stage("step"), Counter[str]()
    known, store = _known(run, config), open_store(config.store)
    try:
        pairs = logged_exposures(store, known, policy.catalog, config.past_sessions, left_out)
    finally:
        store.close()
    kept = [pair for pair in pairs if is_held_out(pair[0].user, config.held_out)]
    train = [pair for pair in pairs if not is_held_out(pair[0].user, config.held_out)]
    logged = tensors([exposure for exposure, _ in train], known, policy.catalog)
    head = HeadOnLog(policy, [context for _, context in train])
    if config.method == "items":
        told = run_items(head, logged, config.step)
    else:
        told = run_step(head, logged, config.method, config.step, stage, config.seed)
    policy.version = f"{config.method}-{config.as_of}"
    with atomic_folder(stage.folder / "policy") as folder:
        policy.save_pretrained(folder)
    judged = [list(column) for column in zip(*kept, strict=True)] if kept else [[], []]
    candidate = version_of(stage.folder / "policy")
    rounds = write_evidence(stage.folder / "held_out.parquet", policy, candidate, judged[0], judged[1], known)
    version = version_of(Path(config.policy))
    own = sum(exposure.policy_version == version for exposure, _ in train) / len(train)
    if own < 1.0:
        log.warning("step: %.0f %% of these exposures are of other policies, by their own chances", 100 - 100 * own)
    counts = {"own_exposures": own, "held_out": rounds, "left_out": dict(left_out)}
    stage.finish({**told, "method": config.method, **counts})


def _by_simulated_users(run: Run, config: LearnConfig, device: str) -> None:
    require_valid(ValidationReport.load(run.folder / "reward" / "validation.json"), config.reward.force)
    policy = _start(config, device)
    split, stage = _split(run, policy), run.stage("step")
    world = UserWorld.fit(policy.catalog, split.train, config.users, config.seed)
    model = RewardModel.from_pretrained(run.folder / "reward" / "model", policy.encoder).to(policy.device)
    run_ppo(
        policy, world, RewardScorer(model), HiddenRecorder(), config.ppo, stage, config.seed, config.dtype, split.train
    )


STAGES = StageTable[LearnConfig](
    "tacit learn",
    {"labels": labels, "dialogues": sessions, "reward": reward, "step": step},
    first_read={
        "signals": "labels",
        "reward": "reward",
        "step": "step",
        "users": "step",
        "ppo": "step",
        "method": "step",
    },
    free=("out", "device", "threads", "reward.force", "store", "policy"),
)


def _start(config: LearnConfig, device: str) -> Policy:
    return Policy.from_pretrained(config.policy).to(device)


def _known(run: Run, config: LearnConfig) -> Known:
    return Known.of(run.folder / "labels" / "table", config.as_of)


def _split(run: Run, policy: Policy) -> Split:
    train, valid = (
        tuple(dialogue for _, dialogue in read(run.folder / "dialogues" / f"{name}.jsonl", policy.catalog))
        for name in ("train", "valid")
    )
    return Split(train, valid, "user")


def summary(run: Run) -> dict[str, Any]:
    """What a round found, for people and for a gate; written beside its stages."""
    remedy = f"delete {run.folder} to learn again."
    found = {name: read_json(run.folder / name / "done.json", remedy) for name in STAGES.functions}
    atomic_write(run.folder / "round.json", json.dumps(found, indent=1, sort_keys=True) + "\n")
    return found
