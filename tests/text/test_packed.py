"""Ragged rows without padding beside the model's own way: states, gradients, and caches that grow in chunks."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    GemmaConfig,
    GPT2Config,
    GraniteMoeHybridConfig,
    Lfm2Config,
    LlamaConfig,
    MistralConfig,
    MptConfig,
    PretrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3_5TextConfig,
)

from tacit.text import packed
from tacit.text.kv_cache import _Packed, _Padded, kv_cache
from tacit.text.lm import trunk
from tacit.text.packed import packed_rows, packs
from tacit.text.prefix_trees import prefix_trees

ROWS = [[5, 6, 7, 8, 9, 10, 11], [12], [13, 14, 15]]
TREE = [ROWS[0][:5], ROWS[0], [*ROWS[0][:6], 20, 21], [3, 4], ROWS[0][:5]]  # beginnings in common, one row twice
SHAPE = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 4}
SHARED = {**SHAPE, "num_key_value_heads": 2, "vocab_size": 60, "max_position_embeddings": 64}
WITHOUT_HEADS = {name: value for name, value in SHARED.items() if name != "head_dim"}
CONFIGS: dict[str, PretrainedConfig] = {
    "gpt2": GPT2Config(vocab_size=60, n_positions=64, n_embd=16, n_layer=2, n_head=4, attn_pdrop=0.0, resid_pdrop=0.0),
    "llama": LlamaConfig(**SHARED),
    "qwen": Qwen2Config(**SHARED),
    "gemma": GemmaConfig(**SHARED),
    "mistral": MistralConfig(**SHARED, sliding_window=64),  # of any width: not packed
    # layers that keep a state beside those that keep keys
    "qwen3.5": Qwen3_5TextConfig(
        **SHARED,
        layer_types=["linear_attention", "full_attention"],
        linear_num_key_heads=2,
        linear_num_value_heads=2,
        linear_key_head_dim=4,
        linear_value_head_dim=4,
    ),
    "lfm2": Lfm2Config(**WITHOUT_HEADS, layer_types=["conv", "full_attention"]),
    "granite4": GraniteMoeHybridConfig(
        **WITHOUT_HEADS,
        layer_types=["mamba", "attention"],
        mamba_n_heads=4,
        mamba_d_head=8,
        mamba_d_state=8,
        mamba_chunk_size=4,
        num_local_experts=0,
        shared_intermediate_size=16,
    ),
    # distances in place of positions
    "mpt": MptConfig(d_model=16, n_heads=4, n_layers=2, vocab_size=60, max_seq_len=64),
    "bloom": BloomConfig(vocab_size=60, hidden_size=16, n_layer=2, n_head=4),
}
SINGLE = ("mpt", "bloom")  # whose softmax makes NaN of a double's mask
PADDED = ("mistral", "qwen3.5", "lfm2", "granite4", *SINGLE)


def model(family: str) -> PreTrainedModel:
    """In double precision, but for ``SINGLE`` and the norms, which some families compute in single precision."""
    torch.manual_seed(0)
    lm: PreTrainedModel = AutoModelForCausalLM.from_config(CONFIGS[family])
    with torch.no_grad():
        for parameter in lm.parameters():
            parameter.add_(torch.randn_like(parameter) / 10)
    return lm.eval() if family in SINGLE else lm.double().eval()


def one_by_one(lm: PreTrainedModel, row: list[int]) -> torch.Tensor:
    """[len(row), width], no batch and no cache."""
    states: torch.Tensor = trunk(lm)(input_ids=torch.tensor([row]), use_cache=False).last_hidden_state
    return states[0]


@pytest.mark.parametrize("call", [0, packed._CALL], ids=["one by one", "rectangle"])
@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen", "gemma"])
@pytest.mark.parametrize("rows", [ROWS, [ROWS[0], ROWS[0][::-1]], [[5]], TREE], ids=["ragged", "equal", "one", "tree"])
def test_packed_states_and_gradients_are_those_of_single_rows(
    family: str, rows: list[list[int]], call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "_CALL", call)
    trees = prefix_trees(rows, 16)
    unlike = len(set(trees.sizes)) > 1
    assert packed.Packing(trees.sizes, torch.device("cpu")).one_by_one == (unlike and call == 0)
    lm = model(family)
    assert packs(lm)
    found = packed_rows(lm, rows)
    assert trunk(lm).config._attn_implementation == "sdpa"
    slope = torch.arange(found.numel()).view(found.shape).double().cos()
    expected = [one_by_one(lm, row) for row in rows]
    for row, own in zip(found, expected, strict=True):
        torch.testing.assert_close(row[: len(own)], own, atol=1e-6, rtol=1e-5)
        assert not row[len(own) :].any()
    assert any(seen is not None for seen in trees.seen()) == (rows is TREE)
    weights = [p for p in lm.parameters() if p.requires_grad]
    loss = sum(((own * s[: len(own)]).sum() for own, s in zip(expected, slope, strict=True)), torch.zeros(()))
    ours = torch.autograd.grad((found * slope).sum(), weights, allow_unused=True)
    theirs = torch.autograd.grad(loss, weights, allow_unused=True)
    for mine, its in zip(ours, theirs, strict=True):
        assert (mine is None) == (its is None)
        if mine is not None:
            torch.testing.assert_close(mine, its, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("room", [1, 5, 100])
@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen", "gemma", *PADDED])
@torch.no_grad()
def test_a_cache_gives_the_states_of_whole_rows(family: str, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts, ragged chunks, rows that are repeated, single tokens, rows that leave, in this order."""
    lm = model(family)
    assert packs(lm) == (family not in PADDED)
    monkeypatch.setattr(packed, "_CALL", 0 if room == 5 else packed._CALL)
    cache = kv_cache(lm, room)
    assert isinstance(cache, _Padded if family in PADDED else _Packed)
    rows = [list(row) for row in ROWS]

    def check(states: torch.Tensor) -> None:
        wanted, atol = torch.stack([one_by_one(lm, row)[-1] for row in rows]), 1e-5 if family in SINGLE else 1e-6
        torch.testing.assert_close(states, wanted, atol=atol, rtol=1e-5)

    check(cache.feed(rows))
    cache.repeat(2)
    rows = [list(row) for row in rows for _ in range(2)]
    for step in range(5):
        if step == 2:
            cache.keep(torch.tensor([4, 0, 3]))
            rows = [rows[4], rows[0], rows[3]]
        if step == 4:
            cache.keep(torch.tensor([2, 0]))
            rows = [rows[2], rows[0]]
        chunks = [[20 + step, *range(30, 30 + (row % 3 if step < 2 else 0))] for row in range(len(rows))]
        rows = [row + chunk for row, chunk in zip(rows, chunks, strict=True)]
        check(cache.feed(chunks))


@pytest.mark.parametrize("room", [1, 100])
@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen", "gemma"])
@torch.no_grad()
def test_a_cache_that_begins_with_what_was_read_before_gives_the_states_of_whole_rows(family: str, room: int) -> None:
    lm = model(family)
    before = kv_cache(lm, room)
    read = [[5, 6, 7, 8, 9], [10, 11, 12]]
    before.feed(read)
    first, second = before.prefix(0), before.prefix(1)
    assert first is not None and second is not None and (len(first), len(second)) == (5, 3)
    before.feed([[1], [2]])  # a prefix is a copy: what comes later is not in it
    rows = [[5, 6, 7, 8, 30, 31], [20, 21], [10, 11, 12, 32]]  # the first four of five, nothing, all three
    cache = kv_cache(lm, room, [first.first(4), None, second])

    def check(states: torch.Tensor) -> None:
        torch.testing.assert_close(states, torch.stack([one_by_one(lm, row)[-1] for row in rows]), atol=1e-6, rtol=1e-5)

    check(cache.feed([[30, 31], [20, 21], [32]]))
    more = [[10, 11], [12], [13, 14, 15]]
    rows = [row + chunk for row, chunk in zip(rows, more, strict=True)]
    check(cache.feed(more))
    other = kv_cache(lm, room)
    other.feed([[4]])
    assert cache.join(other)


def test_a_model_that_is_not_packed_keeps_no_prefix() -> None:
    lm = model("mistral")
    cache = kv_cache(lm, 4)
    cache.feed([[5, 6]])
    assert cache.prefix(0) is None


@pytest.mark.parametrize("activation", ["gelu_new", "gelu_pytorch_tanh", "relu"])
@torch.no_grad()
def test_long_rows_of_gpt2_in_single_precision_give_the_states_of_its_modules(activation: str) -> None:
    """From 256 tokens on GELU is computed inside the product before it."""
    torch.manual_seed(0)
    shape = GPT2Config(vocab_size=60, n_positions=320, n_embd=32, n_layer=2, n_head=4, activation_function=activation)
    lm = AutoModelForCausalLM.from_config(shape).eval()
    for parameter in lm.parameters():
        parameter.add_(torch.randn_like(parameter) / 10)
    row = torch.randint(60, (300,)).tolist()
    torch.testing.assert_close(packed_rows(lm, [row])[0], one_by_one(lm, row), atol=2e-5, rtol=1e-4)
