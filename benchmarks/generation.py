"""Continuations of many prompts beside ``generate`` of transformers, with the same weights.

    OMP_NUM_THREADS=1 python benchmarks/generation.py [small|smollm2] [rounds]

``small`` is the policy's own model, ``smollm2`` a Llama of SmolLM2-135M's shape; weights are drawn, which changes no
step's cost. Prompts hold 80 to 160 tokens, continuations 40 at most: once all of them (*full*), once ended after 20 on
average (*ends*: a twentieth of the vocabulary ends a text). ``generate`` samples with its dynamic cache. CPU seconds.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from racing import race
from tacit.text.generate import Sampling, continuations

TOKENS = 40


def small() -> PreTrainedModel:
    shape = GPT2Config(vocab_size=4000, n_positions=320, n_embd=192, n_layer=4, n_head=4, pad_token_id=0)
    shape.activation_function = "gelu_pytorch_tanh"
    return GPT2LMHeadModel(shape).eval()


def smollm2() -> PreTrainedModel:
    shape = LlamaConfig(
        vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, tie_word_embeddings=True, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return LlamaForCausalLM(shape).eval()


def main(lm: PreTrainedModel, batch: int, ends: list[int], rounds: int) -> dict[str, float]:
    dice = np.random.default_rng(0)
    prompts = [dice.integers(5, 3000, size=int(dice.integers(80, 160))).tolist() for _ in range(batch)]
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    settings = {"do_sample": True, "top_k": 0, "top_p": 1.0, "max_new_tokens": TOKENS}
    settings |= {"eos_token_id": ends} if ends else {"min_new_tokens": TOKENS}

    @torch.no_grad()
    def theirs() -> None:
        lm.generate(ids, attention_mask=mask, **settings)

    def ours() -> None:
        continuations(lm, prompts, dice.random((batch, 1, TOKENS)), Sampling(1.0, 1.0, TOKENS), ends)

    return race({"generate": theirs, "continuations": ours}, rounds)


if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else "small"
    model, batches = (small(), (16, 64)) if name == "small" else (smollm2(), (8, 32))
    for batch in batches:
        for what, ends in (("full", []), ("ends", list(range(5, model.config.vocab_size // 20)))):
            times = main(model, batch, ends, int(sys.argv[2]) if len(sys.argv) > 2 else 5)
            ratio = times["generate"] / times["continuations"]
            print(f"{name} batch {batch:3d} {what}: {times}  {ratio:.2f} x the speed of generate", flush=True)
