"""Scoring finished turns on the tokens the policy drew alone, beside the obvious way: logits at every position.

    OMP_NUM_THREADS=1 python benchmarks/scoring.py

Forward and backward of a language model of the default size over one batch of PPO: prompts of up to 150 tokens,
replies of up to 40. Packed: the LM head reads the states before drawn tokens. Padded: it reads every state, and a mask
drops the rest. The two give the same sum. Times are medians; the two ways take turns within a round.
"""

from __future__ import annotations

import statistics
import time

import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel

from tacit.text.lm import LMConfig

BATCH, ROUNDS = 8, 3


def packed(lm: PreTrainedModel, ids: Tensor, drawn: Tensor) -> Tensor:
    hidden = lm.base_model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    logits = lm.get_output_embeddings()(hidden[drawn[:, 1:]]).float()
    return torch.log_softmax(logits, dim=-1).gather(1, ids[:, 1:][drawn[:, 1:]].unsqueeze(1)).sum()


def padded(lm: PreTrainedModel, ids: Tensor, drawn: Tensor) -> Tensor:
    logits = lm(input_ids=ids, use_cache=False).logits[:, :-1].float()
    logprobs = torch.log_softmax(logits, dim=-1).gather(2, ids[:, 1:].unsqueeze(2)).squeeze(2)
    return torch.where(drawn[:, 1:], logprobs, 0.0).sum()


def main() -> None:
    torch.manual_seed(0)
    shape = LMConfig()
    lm = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=shape.vocabulary,
            n_positions=shape.positions,
            n_embd=shape.width,
            n_layer=shape.layers,
            n_head=shape.heads,
            bos_token_id=0,
            eos_token_id=0,
        )
    ).eval()
    prompt, reply = torch.randint(40, 151, (BATCH, 1)), torch.randint(5, 41, (BATCH, 1))
    place = torch.arange(int((prompt + reply).max()))
    drawn = (place >= prompt) & (place < prompt + reply)
    ids = torch.randint(0, shape.vocabulary, drawn.shape)
    torch.testing.assert_close(packed(lm, ids, drawn), padded(lm, ids, drawn), rtol=1e-5, atol=1e-2)
    times: list[list[float]] = []
    for _ in range(ROUNDS):
        row = []
        for way in (packed, padded):
            lm.zero_grad(set_to_none=True)
            start = time.perf_counter()
            way(lm, ids, drawn).backward()
            row.append(time.perf_counter() - start)
        times.append(row)
    ours, other = (statistics.median(column) for column in zip(*times, strict=True))
    share = float(drawn.float().mean())
    print(f"{BATCH} turns, {drawn.shape[1]} positions, {share:.0%} of them drawn; forward and backward, s")
    print(f"packed {ours:.3f}   padded {other:.3f}   ratio {other / ours:.2f}")


if __name__ == "__main__":
    main()
