"""The invented world: deterministic, quick, varied, and consistent with its own texts."""

from __future__ import annotations

import time

import numpy as np

from tacit.data.dialogues import synthetic
from tacit.data.dialogues.sources import DataConfig, load_test, load_training


def test_is_deterministic_and_quick() -> None:
    synthetic.generate.cache_clear()
    start = time.process_time()
    first = synthetic.generate(3)
    assert time.process_time() - start < 2
    synthetic.generate.cache_clear()
    again = synthetic.generate(3)
    assert first.train == again.train
    assert first.catalog.fingerprint() == again.catalog.fingerprint()
    assert synthetic.generate(4).train != first.train


def test_is_a_plausible_data_set() -> None:
    catalog, parts = load_training(DataConfig())
    test = load_test(DataConfig()).dialogues
    assert len(catalog) == 300
    assert len({item.title for item in catalog}) == 300
    assert len(parts.train) + len(parts.valid) == 600
    assert not {d.user for d in test} & {d.user for d in (*parts.train, *parts.valid)}
    offered = [word for dialogue in parts.train for word in dialogue.judgements.values() if word.suggested]
    assert 0.5 < np.mean([bool(word.liked) for word in offered]) < 0.9
    assert len({turn.text for dialogue in parts.train for turn in dialogue.turns}) > 1000
    assert sum(len(turn.slate.items) for d in test for turn in d.turns[1:] if turn.slate) > 300


def test_texts_mentions_and_clocks_agree() -> None:
    catalog, parts = load_training(DataConfig())
    for dialogue in parts.train:
        times = [turn.time_s for turn in dialogue.turns]
        assert times == sorted(times, key=lambda time: time or 0.0)
        for turn in dialogue.turns:
            assert tuple(id for _, _, id in catalog.link(turn.text)) == turn.mentions
            assert (turn.slate is not None) == (turn.speaker == "agent" and bool(turn.mentions))
            assert "{" not in turn.text


def test_limit_keeps_a_fixed_share() -> None:
    _, parts = load_training(DataConfig(limit=0.3))
    kept = {dialogue.id for dialogue in (*parts.train, *parts.valid)}
    assert 130 < len(kept) < 230
    _, smaller = load_training(DataConfig(limit=0.1))
    assert {dialogue.id for dialogue in (*smaller.train, *smaller.valid)} < kept
