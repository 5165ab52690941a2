"""Adapters by one rule for both systems, and a head that is the model's own whatever it does to its logits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_writer
import torch
from peft import PeftModel
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    BertConfig,
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    MambaConfig,
    PretrainedConfig,
    T5Config,
)

from tacit.text import lm as text_lm
from tacit.text.lm import (
    LORA_RANK,
    LMConfig,
    head_logits,
    load_pretrained,
    lora_config,
    small_lm,
    train_parts,
    train_tokenizer,
    trunk,
    with_lora,
)
from tacit.types import InputError

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


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (BertConfig, "is a BertLMHeadModel that reads in both directions: give a causal language model"),
        (T5Config, "its files are no causal language model"),
        (MambaConfig, "is a MambaForCausalLM, which keeps no keys and values of its own"),
    ],
)
def test_what_cannot_be_a_policy_is_refused(config: type[PretrainedConfig], said: str, tmp_path: Path) -> None:
    """Before anything is trained: BERT would learn to copy the tokens that it is to foretell."""
    train_tokenizer(["hello"], 260).save_pretrained(tmp_path)
    shape: dict[str, Any] = {
        BertConfig: {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2},
        T5Config: {"d_model": 16, "d_ff": 24, "num_layers": 2, "num_heads": 2, "d_kv": 8},
        MambaConfig: {"hidden_size": 16, "num_hidden_layers": 2, "state_size": 4},
    }[config]
    made = config(vocab_size=300, **shape)
    maker = AutoModelForSeq2SeqLM if config is T5Config else AutoModelForCausalLM
    maker.from_config(made).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=said):
        load_pretrained(tmp_path, torch.float32, "policy.base")


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("config.json", "the folder has no config.json"),
        ("model.safetensors", "the folder has no weights in safetensors"),
        ("tokenizer*", "the folder has no tokenizer"),
    ],
)
def test_what_a_folder_lacks_is_said(gone: str, said: str, tmp_path: Path) -> None:
    tokenizer = train_tokenizer(["hello"], 260)
    for part in (tokenizer, small_lm(tokenizer, LMConfig(layers=1, heads=1, width=8))):
        part.save_pretrained(tmp_path)
    for path in tmp_path.glob(gone):
        path.unlink()
    with pytest.raises(InputError, match=f"policy.base=.* cannot be loaded: {said}"):
        load_pretrained(tmp_path, torch.float32, "policy.base")
