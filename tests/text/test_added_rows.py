"""Added tokens under adapters: their rows train, on both sides, and nothing else of the vocabulary does."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from lm_families import ADDED, FAMILIES, LAYERS, RANK, WIDTH, WORDS, fresh
from safetensors.torch import load_model, save_model

from tacit.text.added_rows import begin_rows
from tacit.text.lm import LMConfig, head_logits, over_vocabulary, train_parts, trunk
from tacit.types import InputError

# in + out of the linear layers of one block: attention's, then the feed-forward's
SIDES = {
    "gpt2": (16 + 48) + (16 + 16) + (16 + 64) + (64 + 16),
    "llama": (16 + 16) + 2 * (16 + 8) + (16 + 16) + 2 * (16 + 24) + (24 + 16),
    "qwen3": (16 + 16) + 2 * (16 + 8) + (16 + 16) + 2 * (16 + 24) + (24 + 16),
    "gemma3": (16 + 16) + 2 * (16 + 8) + (16 + 16) + 2 * (16 + 24) + (24 + 16),
}
IDS = torch.tensor([[1, 5, 37, 7, 38, 9, 2], [1, 8, 39, 3, 4, 37, 2]])


def step(lm: Any) -> None:
    optimizer = torch.optim.AdamW([p for p in lm.parameters() if p.requires_grad], lr=0.05)
    loss = torch.nn.functional.cross_entropy(lm(IDS).logits[:, :-1].flatten(0, 1), IDS[:, 1:].flatten())
    loss.backward()
    optimizer.step()


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_adapters_and_rows_train_alone(family: str, tied: bool) -> None:
    lm = fresh(family, tied)
    plain = lm(IDS).logits.detach()
    weights = [lm.get_input_embeddings().weight, lm.get_output_embeddings().weight]
    before = [weight.detach().clone() for weight in weights]
    train_parts(lm, LMConfig(lora=RANK), ADDED)
    torch.testing.assert_close(lm(IDS).logits, plain)
    trained = {name: p.numel() for name, p in lm.named_parameters() if p.requires_grad}
    rows = len(ADDED) * WIDTH * (1 if tied else 2)
    assert sum(trained.values()) == LAYERS * RANK * SIDES[family] + rows
    begun = [lm.get_input_embeddings().rows.detach().clone(), lm.get_output_embeddings().rows.detach().clone()]
    step(lm)
    for weight, old in zip(weights, before, strict=True):
        assert torch.equal(weight, old)
    for module, old in zip((lm.get_input_embeddings(), lm.get_output_embeddings()), begun, strict=True):
        assert ((module.rows - old).abs() > 0.01).any(1).all()
    assert (lm.get_input_embeddings().rows is lm.get_output_embeddings().rows) == tied


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_saved_and_loaded_it_gives_the_same_logits(family: str, tied: bool, tmp_path: Any) -> None:
    lm = fresh(family, tied)
    train_parts(lm, LMConfig(lora=RANK), ADDED)
    step(lm)
    save_model(lm, str(tmp_path / "lm.safetensors"))
    torch.manual_seed(9)
    config, model = FAMILIES[family]
    again: Any = model(config.from_dict(lm.config.to_dict())).eval()
    train_parts(again, LMConfig(lora=RANK), ADDED)
    assert not torch.allclose(again(IDS).logits, lm(IDS).logits, atol=1e-3)
    load_model(again, str(tmp_path / "lm.safetensors"))
    assert torch.equal(again(IDS).logits, lm(IDS).logits)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_row_has_the_gradient_that_it_has_in_the_whole_matrix(family: str, tied: bool) -> None:
    """The slow twin: all of the vocabulary trained, and the added rows' part of its gradient read off."""
    whole = fresh(family, tied)
    alone = copy.deepcopy(whole)
    train_parts(alone, LMConfig(lora=RANK), ADDED)  # adapters begin as nothing
    for lm in (whole, alone):
        torch.nn.functional.cross_entropy(lm(IDS).logits[:, :-1].flatten(0, 1), IDS[:, 1:].flatten()).backward()
    for own, all_of in (
        (alone.get_input_embeddings().rows, whole.get_input_embeddings().weight),
        (alone.get_output_embeddings().rows, whole.get_output_embeddings().weight),
    ):
        torch.testing.assert_close(own.grad, all_of.grad[ADDED])


@pytest.mark.parametrize("lora", [0, RANK])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_frozen_layers_stay_and_no_gradient_goes_through_them(family: str, tied: bool, lora: int) -> None:
    lm = fresh(family, tied)
    plain = lm(IDS).logits.detach()
    before = {name: p.detach().clone() for name, p in lm.named_parameters()}
    train_parts(lm, LMConfig(lora=lora, frozen=0.5), ADDED)
    torch.testing.assert_close(lm(IDS).logits, plain)
    lowest = [name for name, p in lm.named_parameters() if p.requires_grad and (".0." in name or ".1." in name)]
    assert not lowest
    passed: list[bool] = []
    layers = next(m for m in lm.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == LAYERS)
    layers[1].register_forward_hook(
        lambda module, args, out: passed.append((out if isinstance(out, torch.Tensor) else out[0]).requires_grad)
    )
    step(lm)
    assert passed == [False]
    if lora:
        adapters = sum(p.numel() for name, p in lm.named_parameters() if "lora_" in name and p.requires_grad)
        assert adapters == LAYERS // 2 * RANK * SIDES[family]
    else:
        names = [name for name, p in lm.named_parameters() if p.requires_grad and (".2." in name or ".3." in name)]
        assert names and all(not torch.equal(before[name], dict(lm.named_parameters())[name]) for name in names)
    assert lm.get_output_embeddings().rows.requires_grad
    assert lm.get_input_embeddings().rows.requires_grad == tied


def test_layers_that_cannot_be_told_apart() -> None:
    lm = fresh("llama", True)
    lm.config.num_hidden_layers = 7
    with pytest.raises(InputError, match=r"set policy\.lm\.frozen=0"):
        train_parts(lm, LMConfig(frozen=0.5), ADDED)


@pytest.mark.parametrize("tied", [True, False])
def test_rows_begin_as_the_mean_of_a_description(tied: bool) -> None:
    lm = fresh("llama", tied)
    old = [lm.get_input_embeddings().weight.detach().clone(), lm.get_output_embeddings().weight.detach().clone()]
    begin_rows(lm, {37: [5, 7], 38: [37]})  # 38 is like 37 was, not as it is begun
    for side, weight in zip(old, (lm.get_input_embeddings().weight, lm.get_output_embeddings().weight), strict=True):
        torch.testing.assert_close(weight[37], (side[5] + side[7]) / 2)
        torch.testing.assert_close(weight[38], side[37])
        assert torch.equal(weight[:37], side[:37])


def test_logits_in_pieces_are_those_at_once() -> None:
    lm = fresh("llama", True)
    tokens = IDS[:, 1:].flatten()

    def measure(logits: torch.Tensor, part: slice) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(logits, tokens[part], reduction="none")

    gradients, values = [], []
    for most in (10**9, 5 * WORDS):  # all 12 at once, then 5, 5 and 2
        lm.zero_grad()
        states = trunk(lm)(input_ids=IDS).last_hidden_state[:, :-1].flatten(0, 1)
        found = over_vocabulary(lm, states, measure, most)
        found.mean().backward()
        values.append(found.detach())
        gradients.append([p.grad.clone() for p in lm.parameters()])
    expected = -head_logits(lm, states).log_softmax(-1).gather(1, tokens[:, None]).squeeze(1)
    torch.testing.assert_close(values[0], expected)
    torch.testing.assert_close(values[1], expected)
    for once, pieces in zip(*gradients, strict=True):
        torch.testing.assert_close(once, pieces)
    assert math.isfinite(float(values[0].sum()))
