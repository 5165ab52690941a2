"""Calibration: numbers by hand, the weights that choices were drawn by, and a policy that is calibrated once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny
import torch
from torch import Tensor

from tacit.data.dialogues import synthetic
from tacit.dialogue.policy.directed import START
from tacit.dialogue.policy.network import PolicyConfig
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.train import sft
from tacit.dialogue.train.calibrate import Calibration, Weights, apply, calibrate, minimise, parts
from tacit.dialogue.train.segments import Pick, segments
from tacit.dialogue.train.sft_config import SFTConfig
from tacit.dialogue.train.sft_losses import slate_loss
from tacit.run.folder import Stage
from tacit.text.lm import LMConfig
from tacit.types import Split

WORLD = synthetic.generate(0)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    torch.manual_seed(0)
    encoder = tiny.save_encoder(tmp_path_factory.mktemp("encoder"), width=16)
    shape = LMConfig(layers=1, heads=2, width=32, vocabulary=500)
    config = PolicyConfig(encoder=str(encoder), window=4, lm=shape)
    return Policy.fresh(WORLD.catalog, WORLD.train[:40], config).eval()


def picks(policy: Policy) -> list[Pick]:
    return [p for s in segments(WORLD.train[40:70], policy, None) for p in s.picks if p.rows]


def test_one_feature_by_hand() -> None:
    """Two items, the first of which was chosen 3 times in 4, told by a feature of 1: w = log 3 without a prior."""
    features = torch.tensor([[[1.0, 0.0]] * 4])
    wanted = torch.tensor([[1.0, 0.0]] * 3 + [[0.0, 1.0]])
    made = lambda: iter([(features, torch.zeros(4, 2), wanted)])  # noqa: E731
    found, before, after = minimise(made, torch.zeros(1, dtype=torch.float64), prior=0.0)
    assert found.item() == pytest.approx(math.log(3), abs=1e-5)
    assert before == pytest.approx(math.log(2), abs=1e-6)
    assert after == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25), abs=1e-6)
    held, _, _ = minimise(made, torch.zeros(1, dtype=torch.float64), prior=1e6)
    assert abs(held.item()) < 1e-5


def test_the_weights_that_choices_were_drawn_by_come_back() -> None:
    dice = torch.Generator().manual_seed(0)
    true = torch.tensor([0.7, 1.5, -1.0])
    features = torch.randn(3, 4000, 12, generator=dice)
    fixed = torch.randn(4000, 12, generator=dice)
    p = torch.softmax(torch.einsum("k,kbn->bn", true, features) + fixed, dim=-1)
    wanted = torch.nn.functional.one_hot(torch.multinomial(p, 1, generator=dice)[:, 0], 12).float()

    def halves() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for part in (slice(0, 1500), slice(1500, None)):
            yield features[:, part], fixed[part], wanted[part]

    found, before, after = minimise(halves, torch.tensor([5.0, -5.0, 5.0], dtype=torch.float64))
    torch.testing.assert_close(found.float(), true, atol=0.1, rtol=0)
    assert after < before


def test_parts_and_weights_make_the_logits(policy: Policy) -> None:
    """Σ_k w_k part_k before is what the head gives after the weights were written, wishes apart."""
    found = picks(policy)[:9]
    head, contexts = policy.head, [pick.context for pick in found]
    kept = {name: value.clone() for name, value in head.state_dict().items()}
    window, state = policy.read(contexts)
    mentioned = policy.mentioned(contexts)
    weights = Weights(scale=1.3, bias=0.6, bias_named=-0.4, near_log=1.2, repeat=-2.0, directed=0.7)
    with torch.no_grad():
        query = head.query(window, policy.head_state(state), mentioned)
        found_parts = parts(policy, query, mentioned, contexts)
        assert bool(found_parts[-1].any())
        by_parts = torch.einsum("k,kbn->bn", torch.tensor(list(vars(weights).values())), found_parts)
        apply(policy, weights)
        logits = policy.directed.add_(head(window, policy.head_state(state), mentioned), contexts)
        torch.testing.assert_close(logits, by_parts, atol=1e-4, rtol=1e-4)
    head.load_state_dict(kept)
    policy.directed.weight.data.fill_(START)


def test_calibration_lowers_the_cross_entropy_of_its_own_contexts(policy: Policy) -> None:
    found = picks(policy)
    kept = {name: value.clone() for name, value in policy.head.state_dict().items()}
    result = calibrate(policy, found)
    assert isinstance(result, Calibration) and result.contexts == len(found)
    assert result.after < result.before
    scores = torch.log_softmax(policy.slate_logits([pick.context for pick in found]), dim=-1)
    assert float(slate_loss(scores, found)) == pytest.approx(result.after, abs=1e-4)
    again = calibrate(policy, found)  # the prior holds it where it is now, so that a little is left to gain
    assert again is not None and again.before - again.after < result.before - result.after
    policy.head.load_state_dict(kept)
    assert calibrate(policy, []) is None


def test_fine_tuning_calibrates_once(policy: Policy, tmp_path: Path) -> None:
    """A kill after the calibrated policy was saved does not calibrate it again; a saved one keeps its logarithm."""
    config = SFTConfig(epochs=1, batch=8, validation_picks=60, encoder_trainable=False, calibrate=True)
    split, stage = Split(WORLD.train[:16], WORLD.train[48:60]), Stage("sft", tmp_path / "sft")
    tuned = sft.run_sft(policy, split, config, stage, seed=3)
    assert tuned.version == "sft-epoch1-calibrated" and (stage.folder / "calibration.json").is_file()
    assert float(tuned.head.near_log) != 0.0
    (stage.folder / "done.json").unlink()
    again = sft.run_sft(policy, split, config, stage, seed=3)
    assert torch.equal(again.head.near_log, tuned.head.near_log)
    assert torch.equal(again.head.item_bias, tuned.head.item_bias)
