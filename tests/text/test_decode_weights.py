"""Weights laid out for decoding beside the usual product."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tacit.text import decode_weights
from tacit.text.decode_weights import laid_out

SHAPE = LlamaConfig(vocab_size=2000, hidden_size=64, intermediate_size=96, num_hidden_layers=1, num_attention_heads=4)


def test_laid_out_weights_give_the_models_logits_and_leave_no_trace() -> None:
    torch.manual_seed(0)
    lm = LlamaForCausalLM(SHAPE).eval()
    ids = torch.randint(2000, (6, 3))
    with torch.no_grad():
        before = lm(ids).logits
        with laid_out(lm, 6, 40):
            assert "forward" in lm.lm_head.__dict__
            torch.testing.assert_close(lm(ids).logits, before, atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(lm(ids[:2]).logits, before[:2], atol=1e-5, rtol=1e-4)
        assert "forward" not in lm.lm_head.__dict__ and torch.equal(lm(ids).logits, before)
    with laid_out(lm, 6, 40):
        lm(ids).logits.sum().backward()  # a pass with gradients goes its usual way
    assert lm.lm_head.weight.grad is not None


@pytest.mark.parametrize(("rows", "steps", "bytes"), [(1, 40, 2**30), (64, 40, 2**30), (6, 3, 2**30), (6, 40, 1000)])
def test_where_it_would_not_pay_nothing_is_copied(
    rows: int, steps: int, bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode_weights, "MOST_BYTES", bytes)
    lm = LlamaForCausalLM(SHAPE).eval()
    with laid_out(lm, rows, steps):
        assert "forward" not in lm.lm_head.__dict__
