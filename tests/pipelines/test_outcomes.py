"""``tacit outcomes`` on a small made-up world: all stages, the folds, and policies that hold what was chosen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tiny import save_encoder

from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.train.outcomes.learn import CONTROL, LEARNERS
from tacit.pipelines.outcomes.config import OutcomesRunConfig
from tacit.pipelines.outcomes.stages import run_outcomes
from tacit.pipelines.outcomes.table import MODELS, markdown, write_results
from tacit.run.config import load
from tacit.types import InputError

TINY = [
    *("dtype=float32", "data.limit=0.12", "policy.lm.layers=1", "policy.lm.width=32", "policy.lm.vocabulary=400"),
    *("policy.encoder_tokens=16", "sft.epochs=1", "sft.encoder_trainable=false", "sft.validation_picks=20"),
    *("learn.epochs=1", "learn.group=2", "learn.slate_size=2", "weights=[1.0]", "draws=50"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("outcomes")
    encoder = save_encoder(home)
    config = load(OutcomesRunConfig, None, [*TINY, f"policy.encoder={encoder}", f"out={home / 'run'}"])
    return run_outcomes(config).folder


def test_the_folds_share_no_dialogue_and_the_policy_of_a_counts_a_alone(folder: Path) -> None:
    card = json.loads((folder / "prepare" / "fold.json").read_text())
    assert not set(card["A"]) & set(card["B"]) and not set(card["valid"]) & {*card["A"], *card["B"]}
    counts = Policy.from_pretrained(folder / "sft" / "policy").catalog.counts
    whole = json.loads((folder / "prepare" / "done.json").read_text())
    assert whole["A"] == len(card["A"]) and counts.sum() > 0


def test_each_learner_leaves_a_policy_with_its_weights_folded_in(folder: Path) -> None:
    choices = json.loads((folder / "learn" / "choices.json").read_text())
    assert list(choices) == [CONTROL, *LEARNERS]
    start = Policy.from_pretrained(folder / "sft" / "policy")
    for name, choice in choices.items():
        made = Policy.from_pretrained(folder / "learn" / name / "policy")
        assert made.head.scale.item() == pytest.approx(start.head.scale.item() * choice["content"], rel=1e-5)
        assert torch.equal(made.head.item_residual.weight, start.head.item_residual.weight), "few weights, no other"


def test_the_table_is_made_of_the_ranks_alone_and_again(folder: Path) -> None:
    rows = write_results([folder, folder], "synthetic", 50)
    assert {row.model for row in rows} == set(MODELS)
    table = markdown(rows, 2)
    assert "importance − imitation" in table and "2 seeds" in table
    once = {(r.model, r.against, r.metric): r.value for r in write_results([folder], "synthetic", 50)}
    assert once == pytest.approx({(r.model, r.against, r.metric): r.value for r in rows}, nan_ok=True)


def test_runs_on_other_cases_are_refused(folder: Path, tmp_path: Path) -> None:
    import polars as pl

    (tmp_path / "evaluate").mkdir()
    pl.read_parquet(folder / "evaluate" / "ranks.parquet").head(3).write_parquet(
        tmp_path / "evaluate" / "ranks.parquet"
    )
    with pytest.raises(InputError, match="judged on other cases"):
        write_results([folder, tmp_path], "synthetic", 50)
