"""The line that PPO adds to the decision to recommend."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from ppo_fakes import tiny_policy
from safetensors.torch import load_file, save_file

from tacit.dialogue.evaluate.likelihood import human_bits
from tacit.dialogue.policy.decision import DecisionTerm
from tacit.dialogue.policy.policy import Policy, load_known
from tacit.types import Dialogue, Turn

CONTEXTS = [Dialogue(f"d{i}", f"u{i}", (Turn("user", text),)) for i, text in enumerate(["do you", "the storm"])]


def log_odds(policy: Policy) -> torch.Tensor:
    """Of recommending, [2]."""
    state = policy.read(CONTEXTS)[1]
    both = policy.decision_logprobs(state, CONTEXTS)
    return both[:, 0] - both[:, 1]


def test_by_hand() -> None:
    term = DecisionTerm(2)
    state = torch.tensor([[3.0, 4.0], [0.0, -2.0]])
    assert term.log_odds(state).tolist() == [0.0, 0.0]
    with torch.no_grad():
        term.weight.copy_(torch.tensor([1.0, 0.5]))
        term.bias.fill_(-0.2)
    # 3/5 + .5 · 4/5 − .2 and −.5 − .2
    assert term.log_odds(state).tolist() == pytest.approx([0.8, -0.7])
    assert term.log_odds(10 * state).tolist() == pytest.approx([0.8, -0.7]), "the state's length is divided out"
    assert term.log_odds(state.bfloat16()).dtype == torch.float32


def test_it_moves_the_decision_by_what_it_says_and_nothing_else() -> None:
    policy = tiny_policy(0).eval()
    with torch.no_grad():
        before, slates = log_odds(policy), policy.slate_logits(CONTEXTS)
        policy.decision.bias.fill_(1.5)
        torch.testing.assert_close(log_odds(policy), before + 1.5)
        assert torch.equal(policy.slate_logits(CONTEXTS), slates)


def test_a_policy_of_before_has_none_and_one_over_more_items_the_same(tmp_path: Path) -> None:
    policy = tiny_policy(0).eval()
    with torch.no_grad():
        policy.decision.weight.normal_()
        moved = log_odds(policy)
        torch.testing.assert_close(log_odds(policy.onto(policy.catalog)), moved)
    policy.save_pretrained(tmp_path / "saved")
    stored = load_file(tmp_path / "saved" / "policy.safetensors")
    old = {name: value for name, value in stored.items() if not name.startswith("decision.")}
    save_file(old, tmp_path / "old.safetensors")
    fresh = tiny_policy(0).eval()
    load_known(fresh._without_encoder(), tmp_path / "old.safetensors")
    assert not fresh.decision.weight.any() and not fresh.decision.bias.any()
    assert not torch.allclose(log_odds(fresh), moved)


@torch.no_grad()
def test_bits_of_peoples_words_do_not_count_what_they_decided() -> None:
    """The policy is given the decision; how it would have decided is no part of how well it foretells words."""
    policy = tiny_policy(0).eval()
    said = [Turn("user", "do you"), Turn("agent", "the storm"), Turn("user", "love it"), Turn("agent", "a dream")]
    places = [(Dialogue("d", "u", tuple(said)), t) for t in (1, 3)]
    before = human_bits(policy, places)
    policy.decision.bias.fill_(7.0)
    assert human_bits(policy, places) == before and min(bits for bits, _ in before) > 0.0
    drawn = policy.act(CONTEXTS, torch.Generator().manual_seed(0), decide="reply")
    assert (policy.evaluate(CONTEXTS, drawn).token_logprobs[:, 0] < -5.0).all(), "a decision that was drawn counts"
