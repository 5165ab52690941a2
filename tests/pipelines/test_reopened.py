"""Opening a run of conversations again with other settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from tiny_run import DEMO

from tacit.pipelines.dialogue import STAGES, load_config, open_run
from tacit.types import InputError


def begun(folder: Path, passed: bool, *later: str) -> Path:
    """A run whose reward has been examined."""
    open_run(load_config(DEMO, [f"out={folder}", "dtype=float32"]))
    files = ("sft/done.json", "reward/done.json", "reward/model/config.json", "reward/logs/sft.jsonl", *later)
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    report = {"pearson": {}, "liked": {}, "length": {}, "cheats": {}, "passed": passed}
    (folder / "reward" / "validation.json").write_text(json.dumps(report))
    return folder


def reopened(folder: Path, *changes: str) -> set[str]:
    """What is left of the stages."""
    open_run(load_config(folder, changes))
    return {str(path.relative_to(folder)) for stage in STAGES.functions for path in (folder / stage).rglob("*.*")}


@pytest.mark.parametrize("change", ["reward.exam.min_engagement_pearson=0.3", "signals.alpha=1.0", "reward.epochs=9"])
def test_after_a_failed_examination_the_reward_may_change_and_nothing_before_is_lost(
    tmp_path: Path, change: str
) -> None:
    assert reopened(begun(tmp_path / "run", passed=False), change) == {"sft/done.json", "reward/logs/sft.jsonl"}


def test_conversations_are_played_again_only_where_other_ones_are_asked_for(tmp_path: Path) -> None:
    folder = begun(tmp_path / "run", passed=False)
    assert reopened(folder, "reward.logs.cheat_sessions=30") == {"sft/done.json"}


def test_going_on_regardless_learns_nothing_again(tmp_path: Path) -> None:
    assert "reward/model/config.json" in reopened(begun(tmp_path / "run", passed=False), "reward.force=false")


def test_a_folder_made_before_a_setting_was_there_opens_and_loses_nothing(tmp_path: Path) -> None:
    folder = begun(tmp_path / "run", passed=False)
    saved = yaml.safe_load((folder / "config.yaml").read_text())
    del saved["sft"]["rejected"], saved["reward"]["exam"]["min_turns"]
    (folder / "config.yaml").write_text(yaml.safe_dump(saved))
    assert "reward/model/config.json" in reopened(folder)
    (folder / "config.yaml").write_text(yaml.safe_dump(saved))
    with pytest.raises(InputError, match=r"sft\.rejected=ignore"):
        reopened(folder, "sft.rejected=ignore")


def test_a_reward_that_passed_or_that_ppo_has_used_keeps_its_settings(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"reward\.epochs"):
        reopened(begun(tmp_path / "passed", passed=True), "reward.epochs=9")
    with pytest.raises(InputError, match=r"reward\.epochs"):
        reopened(begun(tmp_path / "used", False, "ppo/metrics.jsonl"), "reward.epochs=9")
    with pytest.raises(InputError, match=r"sft\.epochs"):
        reopened(begun(tmp_path / "sft", passed=False), "sft.epochs=9")
