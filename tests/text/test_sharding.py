"""A language model held in parts by two processes: it learns what one process does, and each holds half."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from lm_families import ADDED, fresh
from safetensors.torch import load_file, load_model, save_model
from together import together

from tacit.run import distributed
from tacit.run.distributed import dealt, idle_turns, is_writer, rank, size, sum_gradients
from tacit.run.shards import Whole, clip_gradients, held, whole
from tacit.run.steps import clipped_step
from tacit.run.stopped import weights_not_finite
from tacit.text import sharding
from tacit.text.kv_cache import kv_cache
from tacit.text.lm import LMConfig, head_logits, train_parts
from tacit.text.packed import packed_rows
from tacit.text.sharding import in_parts, pass_along, shard, whole_inside

# The last batch leaves one of two processes without a row; rows of added tokens are in some of the others.
BATCHES = ([[1, 5, 37, 7], [1, 8, 9, 3, 4, 2], [1, 6, 38]], [[1, 4, 39, 2], [1, 5, 5]], [[1, 9, 7, 37, 2]])
KINDS = {
    "gpt2": ("gpt2", True, LMConfig()),
    "llama, untied": ("llama", False, LMConfig()),
    "llama, adapters": ("llama", True, LMConfig(lora=2)),
    "qwen3, adapters above frozen layers": ("qwen3", False, LMConfig(lora=2, frozen=0.5)),
}


def build(kind: str) -> Any:
    family, tied, config = KINDS[kind]
    lm = fresh(family, tied)
    train_parts(lm, config, ADDED)
    return lm


def learn(kind: str, folder: Path) -> None:
    lm = build(kind)
    shard(lm, "always")
    assert in_parts(lm) == (size() > 1)
    parameters = [p for p in lm.parameters() if p.requires_grad]
    optimizer, norms = torch.optim.AdamW(parameters, lr=0.05, fused=True), []
    for batch in BATCHES:
        words = sum(len(row) - 1 for row in batch)

        def loss(rows: Any, words: int = words) -> torch.Tensor:
            states = packed_rows(lm, rows)
            logits = [head_logits(lm, state[: len(row) - 1]) for state, row in zip(states, rows, strict=True)]
            told = torch.tensor([token for row in rows for token in row[1:]])
            return torch.nn.functional.cross_entropy(torch.cat(logits), told, reduction="sum") / words

        optimizer.zero_grad(set_to_none=True)
        for _, piece in dealt(batch, 1):
            torch.autograd.backward(loss(piece))
        pass_along(lm, loss, batch, 1)
        sum_gradients(optimizer)
        norms.append(clipped_step(optimizer, parameters, 0.5))
    with torch.no_grad(), whole_inside(lm):
        cache = kv_cache(lm, 8)  # each process reads another number of tokens: they do not wait for each other
        last = [cache.feed([[token]]) for token in ([1, 5, 37], [1, 8, 9, 3])[rank()]][-1]
        said = head_logits(lm, last).argmax().item()
    found = {
        "norms": norms,
        "said": said,
        "held": sum(held(p).numel() for p in lm.parameters()),
        "moments": sum(held(state["exp_avg"]).numel() for state in optimizer.state.values()),
    }
    (folder / f"{rank()}.json").write_text(json.dumps(found))
    weights = Whole(lm.state_dict(), keep=is_writer())
    if is_writer():
        save_model(weights, str(folder / "weights.safetensors"))


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_with_half_of_it_each_learn_what_one_does(kind: str, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    learn(kind, folders[0])
    assert together(learn, kind, folders[1]) == [0, 0]
    one = json.loads((folders[0] / "0.json").read_text())
    two = [json.loads((folders[1] / f"{number}.json").read_text()) for number in range(2)]
    for found in two:
        assert found["norms"] == pytest.approx(one["norms"], rel=1e-4)
        assert 0.4 * one["held"] < found["held"] < 0.6 * one["held"]
        assert 0.4 * one["moments"] < found["moments"] < 0.6 * one["moments"]
    assert sum(found["held"] for found in two) == one["held"]
    weights = [load_file(folder / "weights.safetensors") for folder in folders]
    assert weights[0].keys() == weights[1].keys()
    for name, weight in weights[0].items():  # a key's bias has no gradient in truth, and Adam steps by its rounding
        torch.testing.assert_close(weights[1][name], weight, rtol=1e-3, atol=1e-3)
    again = build(kind)
    load_model(again, str(folders[1] / "weights.safetensors"))
    cache = kv_cache(again.eval(), 8)
    with torch.no_grad():
        assert two[0]["said"] == head_logits(again, cache.feed([[1, 5, 37]])).argmax().item()


def parts(folder: Path) -> None:
    """What is asked of parts beside whole tensors."""
    lm, plain = fresh("gpt2", True), torch.nn.Parameter(torch.zeros(2))
    shard(lm, "auto")
    assert not in_parts(lm), "it has fewer than a billion weights"
    shard(lm, "never")
    assert not in_parts(lm)
    sharding.SHARD_FROM = lm.num_parameters()
    shard(lm, "auto")
    assert in_parts(lm)
    weight = lm.get_parameter("transformer.wpe.weight")
    assert not weights_not_finite({"weight": weight, "plain": plain})
    if rank() == 1:
        held(weight)[0] = torch.nan
    assert weights_not_finite({"weight": weight, "plain": plain}) == ["weight"], "it is in the other's part"
    weight.grad, plain.grad = torch.zeros_like(weight), torch.full((2,), 4.0)
    held(weight.grad)[0, 0] = 1.0 + rank()  # 16 + 16 + 1 + 4
    assert clip_gradients([weight, plain], 1.0) == pytest.approx(37**0.5)
    assert plain.grad.tolist() == pytest.approx([4.0 / 37**0.5] * 2)
    assert float(whole(weight.grad).square().sum()) == pytest.approx(5.0 / 37)
    (folder / str(rank())).touch()


def test_parts_are_judged_and_shortened_as_one(tmp_path: Path) -> None:
    assert together(parts, tmp_path) == [0, 0] and len(list(tmp_path.iterdir())) == 2


def one_dies(folder: Path) -> None:
    lm = fresh("gpt2", True)
    shard(lm, "always")
    packed_rows(lm, [[1, 2]]).sum().backward()
    if rank() == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    packed_rows(lm, [[1, 2]]).sum().backward()


def test_who_dies_in_a_pass_ends_the_others_with_a_sentence(tmp_path: Path) -> None:
    assert together(one_dies, tmp_path) == [2, -signal.SIGKILL]


@pytest.mark.parametrize(
    ("processes", "count", "most", "idle"), [(1, 5, 2, [0]), (2, 5, 2, [0, 1]), (2, 4, 2, [0, 0]), (3, 1, 4, [0, 1, 1])]
)
def test_who_was_dealt_less_waits_for_as_many_pieces(
    processes: int, count: int, most: int, idle: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = []
    for number in range(processes):
        monkeypatch.setattr(distributed, "_world", distributed._World(number, processes))
        assert idle_turns(count, most) == idle[number]
        turns.append(len(dealt(range(count), most)) + idle[number])
    assert len(set(turns)) == 1 and min(idle) == 0
