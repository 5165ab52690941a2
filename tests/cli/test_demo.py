"""`tacit demo` has sizes of its own for a pretrained base, and what is given after them wins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tacit.cli
from tacit.cli.commands import pipelines
from tacit.pipelines.dialogue import load_config


def test_sizes_follow_the_base(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(pipelines, "_stages", lambda config, overrides, only, **_: asked.append((config, overrides)))
    for given in (None, ["policy.base=small"], ["policy.base=smollm2", "ppo.iterations=5"]):
        pipelines.demo(given)
    small, named, pretrained = (load_config(config, overrides) for config, overrides in asked)
    assert small == named and small.policy.base == "small" and small.data.limit == 1
    assert pretrained.policy.base == "smollm2" and pretrained.policy.lm.frozen == 0.5
    assert pretrained.ppo.iterations == 5 and pretrained.ppo.trajectories < small.ppo.trajectories


def test_the_overlay_goes_over_any_config() -> None:
    overlay = Path(tacit.cli.__file__).parents[3] / "configs" / "smollm2.yaml"
    if not overlay.is_file():
        pytest.skip("no checkout")
    config = load_config(overlay.with_name("redial.yaml"), [str(overlay)])
    assert (config.data.name, config.policy.base, config.ppo.sft_kl_weight) == ("redial", "smollm2", 1.0)
