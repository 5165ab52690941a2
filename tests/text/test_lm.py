"""Adapters by one rule for both systems, and a head that is the model's own whatever it does to its logits."""

from __future__ import annotations

from typing import Any

import pytest
import tiny_writer
import torch
from peft import PeftModel
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    PretrainedConfig,
)

from tacit.text import lm as text_lm
from tacit.text.lm import LORA_RANK, LMConfig, head_logits, lora_config, train_parts, trunk, with_lora

SHAPE: dict[str, Any] = dict(
    vocab_size=60, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
    num_key_value_heads=1, head_dim=8, max_position_embeddings=32, pad_token_id=0, bos_token_id=1, eos_token_id=2,
)  # fmt: skip


def shaped(config: type[PretrainedConfig], model: Any, **more: float) -> Any:
    torch.manual_seed(0)
    return model(config(**SHAPE, **more)).eval()


@pytest.mark.parametrize(
    ("config", "model", "more"),
    [
        (CohereConfig, CohereForCausalLM, {"logit_scale": 0.25}),
        (GraniteConfig, GraniteForCausalLM, {"logits_scaling": 8.0}),
        (Gemma2Config, Gemma2ForCausalLM, {"final_logit_softcapping": 0.05}),
    ],
)
@torch.no_grad()
def test_scaled_and_capped_logits_are_the_models_own(config: type, model: Any, more: dict[str, float]) -> None:
    lm, ids = shaped(config, model, **more), torch.tensor([[5, 9, 11, 3]])
    plain = lm.get_output_embeddings()(trunk(lm)(input_ids=ids).last_hidden_state[0])
    own = head_logits(lm, trunk(lm)(input_ids=ids).last_hidden_state[0])
    torch.testing.assert_close(own, lm(input_ids=ids).logits[0])
    assert not torch.allclose(own, plain, atol=1e-3)


@torch.no_grad()
def test_under_adapters_the_trunk_is_the_adapted_one() -> None:
    lm, ids = with_lora(tiny_writer.fresh(), 4), torch.tensor([[5, 9, 11, 3]])
    for name, parameter in lm.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    adapted = head_logits(lm, trunk(lm)(input_ids=ids).last_hidden_state[0])
    torch.testing.assert_close(adapted, lm(input_ids=ids).logits[0])
    with lm.disable_adapter():
        base = head_logits(lm, trunk(lm)(input_ids=ids).last_hidden_state[0])
    torch.testing.assert_close(base, tiny_writer.fresh()(input_ids=ids).logits[0])
    assert not torch.allclose(adapted, base, atol=1e-3)


def test_policy_and_writer_have_the_same_adapters(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small model none, a large one the same rank in both systems; a rank that is asked for is taken."""
    assert lora_config(tiny_writer.fresh(), -1) is None and lora_config(tiny_writer.fresh(), 0) is None
    assert not isinstance(with_lora(tiny_writer.fresh(), -1), PeftModel)
    monkeypatch.setattr(text_lm, "LORA_FROM", 1000)
    for rank, expected in ((-1, LORA_RANK), (3, 3)):
        writer, policy = with_lora(tiny_writer.fresh(), rank), tiny_writer.fresh()
        train_parts(policy, LMConfig(lora=rank), None)
        shapes = [
            sorted(tuple(p.shape) for name, p in model.named_parameters() if "lora_" in name)
            for model in (writer, policy)
        ]
        assert shapes[0] == shapes[1] and {min(shape) for shape in shapes[0]} == {expected}
        assert policy.get_input_embeddings().weight.requires_grad
