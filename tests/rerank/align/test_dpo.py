"""Aligning a writer: the reference, the objectives, adapters, and a kill that changes nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_writer as tiny
import torch
from transformers import AutoModelForCausalLM

from tacit.rerank.align.dpo import OBJECTIVES, DPOSettings, align
from tacit.run.folder import Stage
from tacit.types import InputError

SETTINGS = DPOSettings(beta=0.1, lr=3e-3, batch=4, accumulation=1, epochs=3, checkpoint_every=4)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("base"))


def run(base: Path, stage: Stage, **changes: object) -> Path:
    return align(base, tiny.tokenizer(), tiny.PAIRS, replace(SETTINGS, **changes), stage, seed=1)  # type: ignore[arg-type]


def preference(folder: Path) -> float:
    """Mean of log P(chosen) - log P(rejected)."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    gap = tiny.logprobs(model, tiny.PROMPTS, tiny.LOVES) - tiny.logprobs(model, tiny.PROMPTS, tiny.HATES)
    return float(gap.mean())


def test_the_defaults_are_the_papers() -> None:
    paper = DPOSettings()
    assert (paper.objective, paper.beta, paper.lr, paper.epochs) == ("dpo", 0.01, 5e-5, 3.0)
    assert (paper.batch, paper.accumulation, paper.max_length, paper.schedule) == (2, 8, 1024, "cosine")


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_learns_and_the_first_loss_is_known(objective: str, base: Path, tmp_path: Path) -> None:
    """The policy begins as its reference, so DPO's first loss is ln 2."""
    stage = Stage(objective, tmp_path)
    aligned = run(base, stage, objective=objective)
    rows = stage.log.rows()
    assert [row["step"] for row in rows] == list(range(1, 16))
    if objective == "dpo":
        assert rows[0]["loss"] == pytest.approx(math.log(2), abs=1e-5)
        assert rows[0]["pair_margin"] == pytest.approx(0.0, abs=1e-5) and rows[-1]["pair_margin"] > 0.1
        assert rows[-1]["loss"] < rows[0]["loss"] - 0.1 and rows[-1]["pair_accuracy"] == 1.0
    assert preference(aligned) > preference(base) + 1.0
    assert tiny.residue(tmp_path) == []


def test_adapters_start_at_their_reference_and_are_merged(base: Path, tmp_path: Path) -> None:
    stage = Stage("lora", tmp_path)
    aligned = run(base, stage, lora=4, lr=3e-2)
    assert stage.log.rows()[0]["loss"] == pytest.approx(math.log(2), abs=1e-5)
    before, after = tiny.weights(base), tiny.weights(aligned)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert set(before) == set(after) and changed
    assert all(name.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight")) for name in changed)
    assert preference(aligned) > preference(base) + 0.3


@pytest.mark.parametrize(("objective", "lora"), [("dpo", 0), ("sft_best", 0), ("dpo", 4)])
def test_a_kill_changes_nothing(objective: str, lora: int, base: Path, tmp_path: Path) -> None:
    """Fifteen steps, five an epoch, checkpoints after 4, 8 and 12: killed inside the second epoch and the third."""
    whole = Stage("dpo", tmp_path / "whole")
    finished = tiny.weights(run(base, whole, objective=objective, lora=lora))
    stage = Stage("dpo", tmp_path / "killed")
    for killed_after in (6, 13):
        tiny.dying_after(killed_after, stage)
        with pytest.raises(KeyboardInterrupt):
            run(base, stage, objective=objective, lora=lora)
        stage = Stage("dpo", stage.folder)
    resumed = tiny.weights(run(base, stage, objective=objective, lora=lora))
    assert all(torch.equal(resumed[name], finished[name]) for name in finished)
    assert stage.log.path.read_bytes() == whole.log.path.read_bytes()


def test_weights_stored_as_bfloat16_are_trained_as_float32(tmp_path: Path) -> None:
    """At a rate of 1e-6 no bfloat16 weight of this size would move."""
    tiny.fresh().to(torch.bfloat16).save_pretrained(tmp_path / "base")
    aligned = tiny.weights(run(tmp_path / "base", Stage("dpo", tmp_path / "dpo"), epochs=1, lr=1e-6))
    name = "transformer.h.0.mlp.c_fc.weight"
    assert aligned[name].dtype == torch.float32
    assert not torch.equal(aligned[name], tiny.weights(tmp_path / "base")[name].float())


def test_bad_settings_and_no_pairs_are_refused(base: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="objective=kto is unknown: choose one of dpo, sft_best"):
        run(base, Stage("dpo", tmp_path), objective="kto")
    with pytest.raises(InputError, match="no pairs"):
        align(base, tiny.tokenizer(), [], SETTINGS, Stage("dpo", tmp_path), seed=1)


def test_a_loss_that_is_not_finite_stops_the_stage(tmp_path: Path) -> None:
    broken = tiny.fresh()
    torch.nn.init.constant_(broken.get_input_embeddings().weight, math.nan)
    broken.save_pretrained(tmp_path / "broken")
    with pytest.raises(InputError, match=r"dpo stopped: weight.* holds NaN or infinity before the first step"):
        run(tmp_path / "broken", Stage("dpo", tmp_path / "dpo"))
