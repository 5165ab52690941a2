"""``tacit transfer``: an untrained policy on another invented world, whose items it has never seen."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
import tiny
from places import ROOT

from tacit.cli.transfer import transfer
from tacit.data.dialogues import synthetic
from tacit.dialogue.policy.network import PolicyConfig
from tacit.dialogue.policy.policy import Policy
from tacit.metrics.results import load_rows
from tacit.referee.read import read_run
from tacit.text.lm import LMConfig
from tacit.types import InputError

CONFIG = str(ROOT / "configs" / "demo.yaml")


def test_ranks_and_run_files_of_a_policy_elsewhere(tmp_path: Path) -> None:
    world = synthetic.generate(0)
    encoder = tiny.save_encoder(tmp_path / "encoder")
    small = LMConfig(layers=1, heads=2, width=16, vocabulary=300)
    policy = Policy.fresh(world.catalog, world.train[:20], PolicyConfig(encoder=str(encoder), window=2, lm=small))
    policy.save_pretrained(tmp_path / "policy")
    there = ["data.name=synthetic", "data.seed=1", "data.limit=0.1", "evaluate.replies=0", "evaluate.draws=20"]
    transfer(tmp_path / "policy", CONFIG, [*there, f"out={tmp_path / 'out'}"])
    run = read_run(tmp_path / "out" / "runs" / "policy")
    other, _ = synthetic.load_training(1, 0.1)
    assert [item.id for item in run.catalog.items] == [item.id for item in other.items]
    ranks = pl.read_parquet(tmp_path / "out" / "ranks" / "policy.parquet")
    standard = next(name for name in ranks.columns if name.endswith("standard"))
    (hits,) = [
        row
        for row in load_rows(tmp_path / "out" / "results.json")
        if (row.model, row.name, row.slice, row.protocol, row.against) == ("policy", "HR@10", "all", standard, "")
    ]
    assert hits.value == pytest.approx((ranks[standard] <= 10).mean())  # a hit is a rank of at most ten
    transfer(tmp_path / "policy", CONFIG, [*there, f"out={tmp_path / 'out'}"])  # the same again is nothing new
    with pytest.raises(InputError, match="of other policies, data or settings"):
        transfer(tmp_path / "policy", CONFIG, [*there, "data.seed=2", f"out={tmp_path / 'out'}"])


def test_what_cannot_be_taken_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no finished sft or ppo"):
        transfer(tmp_path, CONFIG)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("seed: 0\n")
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "policy.json").write_text(json.dumps({}))
    with pytest.raises(InputError, match="is a run folder"):
        transfer(tmp_path / "policy", CONFIG, ["data.limit=0.05", f"out={tmp_path / 'run'}"])
