"""What is counted of the texts of a stage."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tacit.rerank.stages.config import RerankConfig, check
from tacit.rerank.stages.texts import texts_card
from tacit.rerank.writer.cache import CachedWriter
from tacit.run.config import load
from tacit.text.generate import CutText
from tacit.types import InputError, Item


class Cutting:
    """Its texts about prompts that end in 1 have no end of their own."""

    name = "cutting"

    def write(self, prompts: Any, n: int, seed: int, greedy: bool = False) -> list[list[str]]:
        return [[CutText("likes #1") if prompt.endswith("1") else "likes #1"] * n for prompt in prompts]


def test_cut_texts_are_counted_on_the_card(tmp_path: Path) -> None:
    prompts = {user: f"liked: #1 Heat [loved];\nuser {user}" for user in range(4)}
    known: Any = SimpleNamespace(
        ratings=SimpleNamespace(items=[Item("a", "Heat", "")]), prompts=prompts, cache=tmp_path
    )
    CachedWriter(Cutting(), tmp_path).write(list(prompts.values()), 1, 0)
    texts = dict.fromkeys(prompts, ("likes Heat",))  # as a stage keeps them: numbers filled with titles
    assert texts_card(known, texts)["cut"] == 0.25
    assert texts_card(known, {0: ("likes Heat",), 1: ("likes Heat", "others")})["cut"] == pytest.approx(1 / 3)
    assert texts_card(known, {})["cut"] == 0.0


def test_parameters_of_an_endpoint_are_settings(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("knowledge: {writer: endpoint, url: http://here/v1, model: m, parameters: {max_tokens: null}}\n")
    options = ["align.rounds=0", "knowledge.parameters.max_completion_tokens=400", "knowledge.parameters.seed=null"]
    config = load(RerankConfig, path, options)
    check(config)
    assert config.knowledge.parameters == {"max_tokens": None, "max_completion_tokens": 400, "seed": None}
    config.knowledge.url = ""
    with pytest.raises(InputError, match=r"needs knowledge\.url"):
        check(config)
