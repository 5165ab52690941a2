"""Adapters in a folder of their own, given as a base or a writer: merged on loading, or refused before anything."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import huggingface_hub
import pytest
import tiny_writer
import torch
from peft import LoraConfig, PromptTuningConfig, TaskType, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from tacit.rerank.align.dpo import DPOSettings, align
from tacit.rerank.stages.config import RerankConfig, check
from tacit.rerank.writer.writers import LocalWriter
from tacit.run.folder import Stage
from tacit.text.adapters import read_adapters
from tacit.text.generate import Sampling
from tacit.text.lm import LMConfig, load_lm, load_pretrained, load_tokenizer
from tacit.types import InputError


def save_base(folder: Path) -> Path:
    torch.manual_seed(1)
    shape = LlamaConfig(
        vocab_size=len(tiny_writer.tokenizer()),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=64,
    )
    LlamaForCausalLM(shape).save_pretrained(folder)
    tiny_writer.tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def adapters(tmp_path: Path) -> Path:
    """A folder as peft saves it, beside its base; the adapters do change the model."""
    base, folder = save_base(tmp_path / "base"), tmp_path / "adapters"
    lora = LoraConfig(task_type=TaskType.CAUSAL_LM, r=2, target_modules="all-linear", init_lora_weights=False)
    get_peft_model(LlamaForCausalLM.from_pretrained(base), lora).save_pretrained(folder)
    return folder


def logits(model: PreTrainedModel) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.arange(10)[None]).logits


def test_merged_is_what_base_and_adapters_are_together(adapters: Path) -> None:
    from peft import PeftModel

    base = LlamaForCausalLM.from_pretrained(adapters.parent / "base")
    apart = PeftModel.from_pretrained(LlamaForCausalLM.from_pretrained(adapters.parent / "base"), adapters)
    model, tokenizer = load_pretrained(adapters, torch.float32, "policy.base")
    assert torch.allclose(logits(model), logits(apart), atol=1e-5)
    assert not torch.allclose(logits(model), logits(base), atol=1e-3)
    assert [name for name, _ in model.named_parameters()] == [name for name, _ in base.named_parameters()]
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert tokenizer.get_vocab() == load_tokenizer(adapters, "policy.base").get_vocab()  # that of the base


@pytest.mark.parametrize("lora", [0, 2])
def test_as_a_base_they_are_trained_on(adapters: Path, lora: int) -> None:
    model, *_ = load_lm(str(adapters), LMConfig(lora=lora))
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert len(trained) > 1 and (lora == 0) == (not any("lora" in name for name in trained))


def test_a_writer_of_adapters_is_tuned(adapters: Path, tmp_path: Path) -> None:
    """From the weights that were given, adapters and all, whether they are all trained or others put beside them."""
    writer = LocalWriter.load(str(adapters), Sampling(max_tokens=4))
    assert len(writer.write(["a war film"], 1, 0)[0]) == 1
    for lora in (0, 2):
        settings = DPOSettings(epochs=1, batch=2, accumulation=1, lora=lora, max_length=48)
        stage = Stage("dpo", tmp_path / f"dpo{lora}")
        folder = align(
            adapters, load_tokenizer(adapters, "knowledge.writer"), tiny_writer.PAIRS[:4], settings, stage, 0
        )
        assert LocalWriter.load(str(folder), Sampling(max_tokens=4)).name != writer.name


def test_what_cannot_be_merged_is_refused_before_any_stage(adapters: Path, tmp_path: Path) -> None:
    config = RerankConfig()
    config.knowledge.writer = str(adapters)
    check(config)
    path = adapters / "adapter_config.json"
    settings = json.loads(path.read_text())
    for base, message in (
        (str(tmp_path / "gone"), "holds adapters of .*gone.*, which is not there"),
        ("./gone", "which is not there"),
        (None, "names no base_model_name_or_path"),
        (str(adapters), "holds adapters of adapters"),
    ):
        path.write_text(json.dumps(settings | {"base_model_name_or_path": base}))
        with pytest.raises(InputError, match=message):
            check(config)
        with pytest.raises(InputError, match=message):
            load_lm(str(adapters), LMConfig())
    path.write_text("{")
    with pytest.raises(InputError, match=r"adapter_config\.json cannot be read"):
        check(config)
    path.write_text(json.dumps(settings | {"base_model_name_or_path": "../base"}))  # beside them, wherever that is
    found = read_adapters(str(adapters), "policy.base")
    assert found is not None and Path(found.base).samefile(tmp_path / "base")


def test_adapters_that_are_a_pickle_alone_are_refused_before_any_stage(
    adapters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder, even beside weights of something else, and in the hub's cache; nothing is opened."""
    config = RerankConfig()
    cached = tmp_path / "hub" / "models--some--lora"
    snapshot = cached / "snapshots" / ("0" * 40)
    shutil.copytree(adapters, snapshot)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("0" * 40)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    for folder, source in ((adapters, str(adapters)), (snapshot, "some/lora")):
        config.knowledge.writer = source
        assert read_adapters(source, "knowledge.writer") is not None
        (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
        (folder / "model.safetensors").touch()
        with pytest.raises(InputError, match=r"has no adapter_model\.safetensors .*never read"):
            check(config)
        with pytest.raises(InputError, match=r"has no adapter_model\.safetensors .*never read"):
            load_lm(source, LMConfig())


def test_adapters_of_another_kind_or_shape(adapters: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    prompts = PromptTuningConfig(task_type=TaskType.CAUSAL_LM, num_virtual_tokens=2)
    get_peft_model(LlamaForCausalLM.from_pretrained(base), prompts).save_pretrained(tmp_path / "prompts")
    tiny_writer.save(tmp_path / "other")
    settings = json.loads((adapters / "adapter_config.json").read_text())
    (adapters / "adapter_config.json").write_text(
        json.dumps(settings | {"base_model_name_or_path": str(tmp_path / "other")})
    )
    tiny_writer.tokenizer().save_pretrained(tmp_path / "other")
    for folder in (tmp_path / "prompts", adapters):
        with pytest.raises(InputError, match="its adapters cannot be merged into"):
            load_pretrained(folder, torch.float32, "policy.base")


def test_whole_models_hold_no_adapters(tmp_path: Path) -> None:
    assert read_adapters(str(save_base(tmp_path)), "policy.base") is None
    assert read_adapters(str(tmp_path / "nowhere" / "at" / "all"), "policy.base") is None
