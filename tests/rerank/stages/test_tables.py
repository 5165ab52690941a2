"""Every choice that a setting allows has its row in the table that does it, and no row is out of reach."""

from __future__ import annotations

from typing import get_args

from tacit.rerank.ranker.rerankers import NAMES
from tacit.rerank.stages.align import METHODS
from tacit.rerank.stages.arms import CONTROLS
from tacit.rerank.stages.config import Control, Method, Pairing, PreferenceSource, RerankConfig
from tacit.rerank.stages.methods.best_of_n import CHOICES
from tacit.rerank.stages.preferences import PAIRINGS, REWARD_MODELS


def test_methods_pairings_sources_and_controls_are_those_of_the_settings() -> None:
    assert set(METHODS) == set(get_args(Method))
    assert set(PAIRINGS) == set(CHOICES) == set(get_args(Pairing))
    assert {*REWARD_MODELS, "lists"} == set(get_args(PreferenceSource))
    assert set(CONTROLS) == set(get_args(Control)) == set(RerankConfig().controls)
    assert set(RerankConfig().rankers) <= set(NAMES)
