"""The sentence encoder: what is cut is said, and what is stored comes back."""

from __future__ import annotations

import copy
import logging
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from tacit.text import bert_rows
from tacit.text.encoder import AT_ONCE, TextEncoder
from tacit.types import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_encoder(tmp_path_factory.mktemp("encoder"))


def test_texts_beyond_the_limit_are_counted(folder: Path) -> None:
    encoder = TextEncoder.load(str(folder), max_tokens=5)
    texts = ["family", "family family family", "family family family family"]  # and two tokens around each
    assert [len(ids) for ids in encoder.model.tokenizer(texts)["input_ids"]] == [3, 5, 6]
    assert encoder.is_cut(texts).tolist() == [False, False, True]


def test_reading_a_catalogue_says_what_was_cut(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    encoder = TextEncoder.load(str(folder), max_tokens=5).eval()
    texts = ["family", "family family family family"]
    with caplog.at_level(logging.WARNING, "tacit"):
        vectors, cut = encoder.read(texts, tmp_path)
    assert cut == 1
    assert "1 of 2 texts are longer than 5 tokens" in caplog.text and "policy.encoder_tokens" in caplog.text
    assert torch.equal(vectors, encoder.read(texts, tmp_path)[0])
    torch.testing.assert_close(vectors, encoder(texts).detach())


def test_what_was_read_before_changes_no_saved_file(folder: Path, tmp_path: Path) -> None:
    texts = ["family", "family family family family"]
    for name, read in (("fresh", []), ("used", texts)):
        encoder = TextEncoder.load(str(folder), max_tokens=5).eval()
        if read:
            encoder(read)
        encoder.save_pretrained(tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "fresh") for path in (tmp_path / "fresh").rglob("*") if path.is_file())
    assert files
    for file in files:
        assert (tmp_path / "fresh" / file).read_bytes() == (tmp_path / "used" / file).read_bytes(), file
    again = TextEncoder.load(str(tmp_path / "used"), max_tokens=5).eval()
    assert torch.equal(again(texts), encoder(texts))  # one batch, one process


def test_other_weights_and_limits_are_other_encoders(folder: Path) -> None:
    encoder, shorter = TextEncoder.load(str(folder), 5), TextEncoder.load(str(folder), 4)
    before = encoder.fingerprint()
    assert before == TextEncoder.load(str(folder), 5).fingerprint() != shorter.fingerprint()
    with torch.no_grad():
        next(encoder.parameters()).add_(0.5)
    assert encoder.fingerprint() != before


WORDS = ["family", "war", "a", "the", "film", "wild", "", " ", "x y z"]
TEXTS = [" ".join(WORDS[(k * j) % len(WORDS)] for j in range(k % 11)) for k in range(60)]


def test_vectors_are_those_of_sentence_transformers(folder: Path, tmp_path: Path) -> None:
    encoder = TextEncoder.load(str(folder), max_tokens=8).eval()
    theirs = encoder.model.encode(TEXTS, convert_to_tensor=True, normalize_embeddings=True, show_progress_bar=False)
    torch.testing.assert_close(encoder.encode(TEXTS), theirs, rtol=0.0, atol=1e-6)
    torch.testing.assert_close(encoder.read(TEXTS, tmp_path)[0], theirs, rtol=0.0, atol=1e-6)


def test_batches_hold_every_text_once_and_no_more_tokens_than_allowed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = TextEncoder.load(str(folder), max_tokens=8).eval()
    monkeypatch.setitem(AT_ONCE, "cpu", 24)
    texts = sorted(set(TEXTS))

    def batches(texts: list[str]) -> list[list[str]]:
        tokens = np.minimum(encoder._tokens(texts), 8).tolist()
        found = [[(tokens[row], texts[row]) for row in rows] for rows in encoder._batches(texts, tokens)]
        for batch in found:
            assert len(batch) == 1 or len(batch) * max(length for length, _ in batch) <= 24
        return [[text for _, text in batch] for batch in found]

    assert sorted(text for batch in batches(texts) for text in batch) == texts and len(batches(texts)) > 2
    assert batches(texts[::-1]) == batches(texts), "whatever the order of the texts"


def test_tokens_cut_once_give_the_vectors_of_each_batch_cut_alone(folder: Path) -> None:
    encoder = TextEncoder.load(str(folder), max_tokens=8).eval()
    texts = sorted(set(TEXTS))
    for rows, vectors in encoder._frozen(texts):
        with torch.inference_mode():
            assert torch.equal(vectors, encoder([texts[row] for row in rows]))
    assert list(encoder._frozen([])) == []


def test_what_was_read_frozen_can_be_trained_upon(folder: Path) -> None:
    encoder = TextEncoder.load(str(folder)).eval()
    layer = torch.nn.Linear(encoder.dim, 1)
    layer(encoder.encode(["family", "war"])).sum().backward()
    assert layer.weight.grad is not None and layer.weight.grad.abs().sum() > 0


def test_the_lowest_layers_can_stay_as_they_are(folder: Path) -> None:
    """Of two layers the first, with the embeddings; a step goes through the second alone."""
    encoder = TextEncoder.load(str(folder))
    stack = next(module for module in encoder.modules() if isinstance(module, torch.nn.ModuleList))
    stack.append(copy.deepcopy(stack[0]))
    encoder.freeze_below(0)
    assert all(p.requires_grad for p in encoder.parameters())
    encoder.freeze_below(1)
    frozen = {name for name, p in encoder.named_parameters() if not p.requires_grad}
    assert frozen == {name for name, _ in encoder.named_parameters() if "embeddings." in name or ".layer.0." in name}
    encoder(["a noir"])[0, 0].backward()
    assert {name for name, p in encoder.named_parameters() if p.grad is None and "pooler" not in name} == frozen
    with pytest.raises(InputError, match="encoder_frozen"):
        encoder.freeze_below(99)


@pytest.mark.parametrize("frozen", [0, 1])
def test_rows_side_by_side_have_the_vectors_and_gradients_of_padded_ones(
    folder: Path, monkeypatch: pytest.MonkeyPatch, frozen: int
) -> None:
    """The slow twin is the library's own modules, eight padded rows at a time. Two layers, none or one frozen."""
    encoder = TextEncoder.load(str(folder), max_tokens=8)
    stack = next(module for module in encoder.modules() if isinstance(module, torch.nn.ModuleList))
    stack.append(copy.deepcopy(stack[0]))
    encoder.freeze_below(frozen)
    encoder.train()
    assert bert_rows.is_plain(encoder.model), "or this compares a way with itself"
    slope = torch.randn(len(TEXTS), encoder.dim, generator=torch.Generator().manual_seed(0))

    def learnt() -> list[torch.Tensor]:
        encoder.zero_grad(set_to_none=True)
        vectors = encoder(TEXTS)
        (vectors * slope).sum().backward()
        return [vectors, *(p.grad.to_dense() for p in encoder.parameters() if p.grad is not None)]

    fast = learnt()
    monkeypatch.setattr("tacit.text.encoder.is_plain", lambda model: False)
    slow = learnt()
    assert len(fast) == len(slow) > 10
    for ours, theirs in zip(fast, slow, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_what_is_no_plain_bert_goes_through_its_own_modules(folder: Path) -> None:
    model = TextEncoder.load(str(folder)).eval().model
    assert bert_rows.is_plain(model)
    model[0].auto_model.train()  # with dropout
    assert not bert_rows.is_plain(model)
    model[0].auto_model.eval()
    model[0].auto_model.config.hidden_act = "relu"
    assert not bert_rows.is_plain(model)
    model[0].auto_model.config.hidden_act = "gelu"
    model[1].pooling_mode = "cls"
    assert not bert_rows.is_plain(model)
