"""Every trainer, with a weight that is poisoned before it begins or while it trains: it stops, says so in one sentence
that names the folder and the remedy, keeps what broke, and leaves no model behind."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_lists
import tiny_writer as tiny
import torch
from ppo_fakes import FakeWorld, Taste, tiny_policy
from safetensors.torch import load_file
from torch import nn

from tacit.dialogue.train.ppo import run_ppo
from tacit.dialogue.train.ppo_learner import PPOConfig
from tacit.dialogue.train.sft import run_sft
from tacit.dialogue.train.sft_config import SFTConfig
from tacit.rerank.align.dpo import DPOSettings, align
from tacit.rerank.align.ppo import align_by_scores
from tacit.rerank.align.ppo_learner import Task, WriterPPOConfig
from tacit.rerank.align.sft import WriterConfig, train_writer
from tacit.rerank.lists.lists import Lists
from tacit.rerank.ranker.features import Featured
from tacit.rerank.ranker.train_listwise import ListwiseConfig, new_listwise, train_listwise
from tacit.rerank.ranker.train_reranker import RerankerConfig, train_ranker
from tacit.run.folder import Stage
from tacit.types import Dialogue, InputError, Split, Turn

Poison = Callable[[nn.Module], None]


def at_once(module: nn.Module) -> None:
    """NaN in the first value of every weight."""
    with torch.no_grad():
        for weight in module.parameters():
            weight.view(-1)[0] = math.nan


def after_three_passes(module: nn.Module) -> None:
    """The same, when the module has been called three times."""
    calls = iter(range(3))
    module.register_forward_pre_hook(lambda *_: at_once(module) if next(calls, None) is None else None)


def refused(folder: Path, words: str, run: Callable[[Stage], object]) -> Path:
    """The folder with what broke."""
    stage = Stage("stage", folder)
    with pytest.raises(InputError) as error:
        run(stage)
    message = str(error.value)
    (stopped,) = folder.glob("stopped-*")
    assert str(stopped) in message and words in message and "\n" not in message
    assert not stage.done() and not list(folder.glob("policy")) and not list(folder.glob("writer"))
    return stopped


def sft(stage: Stage, poison: Poison) -> None:
    policy = tiny_policy()
    talk = (Turn("user", "a film please"), Turn("agent", "do you like it?"), Turn("user", "yes I love it"))
    talks = tuple(Dialogue(f"d{k}", "u", talk) for k in range(8))
    poison(policy.lm.transformer)
    config = SFTConfig(epochs=3, batch=2, encoder_trainable=False)
    run_sft(policy, Split(talks, talks[:2]), config, stage, seed=0)


def ppo(stage: Stage, poison: Poison) -> None:
    policy = tiny_policy()
    config = PPOConfig(iterations=3, trajectories=6, max_turns=2, minibatch=8, microbatch=4, value_warmup=0)
    poison(policy.text_value)

    class Nothing:
        def keep(self, _: object) -> None: ...

        def __call__(self, *_: object) -> dict[str, float]:
            return {}

    run_ppo(policy, FakeWorld(), Taste(), Nothing(), config, stage, 0)  # type: ignore[arg-type]


def writer_sft(stage: Stage, poison: Poison) -> None:
    lm: Any = tiny.fresh()
    poison(lm.transformer)
    train_writer(lm, tiny.tokenizer(), tiny.PROMPTS, tiny.LOVES, WriterConfig(epochs=3, batch=4), stage, seed=1)


def reranker(stage: Stage, poison: Poison) -> None:
    model = tiny_lists.reranker("dlcm", texts=False)
    poison(model)
    train, valid = tiny_lists.random_lists(65, seed=1), tiny_lists.random_lists(30, seed=2)
    train_ranker(model, train, valid, None, RerankerConfig(epochs=4, batch=16), seed=0, stage=stage)


def listwise(stage: Stage, poison: Poison) -> None:
    config = ListwiseConfig(width=8, heads=2, blocks=1, epochs=4, batch=16)
    model = new_listwise(config, featured(0), None, seed=0)
    poison(model)
    train_listwise(model, featured(0), featured(1), None, config, seed=0, stage=stage)


def featured(seed: int) -> Featured:
    rng = np.random.default_rng(seed)
    labels = (rng.random((60, 6)) < 0.3).astype(np.int8)
    ids = rng.integers(0, 9, (60, 6)).astype(np.int32)
    lists = Lists(np.arange(60, dtype=np.int32) % 5, ids, labels, labels > 0, np.ones(60, dtype=np.int32))
    features, relations = (rng.standard_normal((60, 6, *rest)).astype(np.float32) for rest in ((4,), (6, 2)))
    return Featured(lists, ("a", "b", "c", "d"), features, relations)


TRAINERS = [sft, writer_sft, reranker, listwise]


@pytest.mark.parametrize("run", [*TRAINERS, ppo])
def test_a_weight_that_is_poisoned_beforehand_is_refused_and_kept(run: Any, tmp_path: Path) -> None:
    stopped = refused(tmp_path, "again", lambda stage: run(stage, at_once))
    names = json.loads((stopped / "weights.json").read_text())["weights"]
    kept = load_file(stopped / "weights.safetensors")
    assert names and set(kept) == set(names[:10]) and all(not kept[name].isfinite().all() for name in kept)


@pytest.mark.parametrize("run", TRAINERS)
def test_one_that_is_poisoned_in_training_stops_it_with_the_batch(run: Any, tmp_path: Path) -> None:
    stopped = refused(tmp_path, "lower", lambda stage: run(stage, after_three_passes))
    kept = json.loads((stopped / "batch.json").read_text())
    assert "is not finite" in kept["reason"] and len(kept) > 1
    assert not (tmp_path / "checkpoints").exists() or not list((tmp_path / "checkpoints").glob("step-*"))


def test_ppo_too(tmp_path: Path) -> None:
    stopped = refused(tmp_path, "lower ppo.", lambda stage: ppo(stage, after_three_passes))
    assert json.loads((stopped / "batch.json").read_text())["turns"]


class Nothing:
    """A scorer whose word is no number."""

    name = "nothing"

    def score(self, contexts: list[Dialogue], turns: list[Turn]) -> list[tuple[float, dict[str, float]]]:
        return [(math.nan, {}) for _ in turns]


def writer_ppo(base: Path, stage: Stage, scorer: Any) -> None:
    config = WriterPPOConfig(users=4, minibatch=12, microbatch=7)
    task = Task(range(20), tiny.PROMPTS, samples=2, max_tokens=8)
    align_by_scores(base, tiny.tokenizer(), task, scorer, config, stage, seed=1)


def poisoned(folder: Path) -> Path:
    lm = tiny.fresh()
    at_once(lm)
    lm.save_pretrained(folder)
    return folder


def test_the_writers_ppo(tmp_path: Path) -> None:
    base, broken = tiny.save(tmp_path / "base"), poisoned(tmp_path / "broken")
    stopped = refused(tmp_path / "weights", "again", lambda stage: writer_ppo(broken, stage, Nothing()))
    assert (stopped / "weights.json").is_file()
    stopped = refused(tmp_path / "scores", "lower align.ppo.lr", lambda stage: writer_ppo(base, stage, Nothing()))
    assert len(json.loads((stopped / "batch.json").read_text())["prompt, text"]) == 8


def test_dpo(tmp_path: Path) -> None:
    broken, settings = poisoned(tmp_path / "broken"), DPOSettings(batch=4, accumulation=1)
    refused(
        tmp_path / "dpo", "again", lambda stage: align(broken, tiny.tokenizer(), tiny.PAIRS, settings, stage, seed=1)
    )
    adapters = replace(settings, lora=2)  # the weights below them are not trained, and so first seen in the loss
    stopped = refused(
        tmp_path / "lora", "lower", lambda stage: align(broken, tiny.tokenizer(), tiny.PAIRS, adapters, stage, seed=1)
    )
    assert len(json.loads((stopped / "batch.json").read_text())["prompt, texts"]) == 4


def test_without_a_folder_it_is_the_sentence_alone() -> None:
    model = tiny_lists.reranker("dlcm", texts=False)
    at_once(model)
    lists = tiny_lists.random_lists(40)
    with pytest.raises(InputError, match=r"training stopped: the loss of batch 1 in epoch 1 is not finite: lower"):
        train_ranker(model, lists, lists, None, RerankerConfig(epochs=2, batch=16), seed=0)
