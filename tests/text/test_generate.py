"""Sampling several continuations at once, beside the obvious way."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_writer
import torch
from transformers import PreTrainedModel

from tacit.text.generate import (
    NoRepeatPerLine,
    Sampling,
    continuations,
    draw_nucleus,
    stream_seed,
    text_logprobs,
    uniforms,
)

PROMPTS = [[30, 31, 32, 33, 34], [40, 41], [50]]
SAMPLING = Sampling(temperature=0.7, top_p=0.9, max_tokens=12)


def writer() -> PreTrainedModel:
    """In double precision, so that no draw stands on the last bits of a product, which the batch may change."""
    return tiny_writer.fresh().double().eval()


def slow_draw(logits: torch.Tensor, u: float, temperature: float, top_p: float) -> int:
    """Walk down the sorted tokens: stop adding once their mass reaches top_p, then invert the CDF.

    With top_p 1 nothing has to be sorted out, and the tokens stand as they are.
    """
    p = torch.softmax(logits / temperature, -1)
    order = p.argsort(descending=True).tolist() if top_p < 1.0 else range(len(p))
    kept, mass = [], 0.0
    for token in order:
        kept.append(token)
        mass += float(p[token])
        if mass >= top_p:
            break
    reached = 0.0
    for token in kept:
        reached += float(p[token])
        if u * mass < reached:
            return token
    return kept[-1]


@pytest.mark.parametrize("width", [7, 900])  # fewer and more tokens than are looked at first
@pytest.mark.parametrize("top_p", [0.3, 0.9, 1.0])
@pytest.mark.parametrize("sharpness", [0.1, 4.0])
def test_nucleus_is_its_slow_twin(width: int, top_p: float, sharpness: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = sharpness * torch.randn(20, width, generator=generator)
    u = torch.rand(20, generator=generator)
    drawn = draw_nucleus(logits, u, 0.8, top_p)
    assert drawn.tolist() == [slow_draw(row, float(x), 0.8, top_p) for row, x in zip(logits, u, strict=True)]


def test_nucleus_by_hand() -> None:
    """Probabilities .5, .3, .2 and top_p .7: two tokens remain, with shares 5/8 and 3/8."""
    logits = torch.tensor([[0.2, 0.5, 0.3]]).log().expand(4, 3)
    assert draw_nucleus(logits, torch.tensor([0.0, 0.62, 0.63, 0.999]), 1.0, 0.7).tolist() == [1, 1, 2, 2]
    assert draw_nucleus(logits, torch.full((4,), 0.999), 1.0, 0.01).tolist() == [1, 1, 1, 1]


def one_by_one(
    prompt: list[int], stream: np.ndarray | None, ends: set[int], once: NoRepeatPerLine | None = None
) -> list[int]:
    """No cache, no padding, no batch."""
    lm, written = writer(), []
    for step in range(SAMPLING.max_tokens):
        with torch.no_grad():
            logits = lm(torch.tensor([prompt + written])).logits[0, -1]
        if once is not None:
            line = max((k + 1 for k, t in enumerate(written) if t in once.breaks), default=0)
            logits[[t for t in written[line:] if t in once.tokens]] = -torch.inf
        token = int(logits.argmax()) if stream is None else slow_draw(logits, stream[step], 0.7, 0.9)
        if token in ends:
            break
        written.append(token)
    return written


def test_batched_continuations_are_those_of_a_single_row() -> None:
    """Ragged prompts, several continuations each, and rows that end early and are dropped."""
    ends = set(range(0, 380, 7))
    streams = np.random.default_rng(0).random((len(PROMPTS), 4, SAMPLING.max_tokens))
    found = continuations(writer(), PROMPTS, streams, SAMPLING, ends)
    lengths = {len(tokens) for options in found for tokens in options}
    assert len(lengths) > 3
    for prompt, options, own in zip(PROMPTS, found, streams, strict=True):
        assert options == [one_by_one(prompt, stream, ends) for stream in own]


def test_greedy() -> None:
    found = continuations(writer(), PROMPTS, None, SAMPLING, set())
    assert found == [[one_by_one(prompt, None, set())] for prompt in PROMPTS]
    assert all(len(tokens) == SAMPLING.max_tokens for (tokens,) in found)


@pytest.mark.parametrize("greedy", [False, True])
def test_some_tokens_stand_once_a_line(greedy: bool) -> None:
    """Beside the slow way: whatever of ``once`` stands after the last break has no probability."""
    once = NoRepeatPerLine(range(100, 380), range(0, 100, 3))
    streams = None if greedy else np.random.default_rng(0).random((len(PROMPTS), 4, SAMPLING.max_tokens))
    found = continuations(writer(), PROMPTS, streams, SAMPLING, {5}, once)
    free = continuations(writer(), PROMPTS, streams, SAMPLING, {5})
    assert found != free
    for row, (prompt, options) in enumerate(zip(PROMPTS, found, strict=True)):
        for k, tokens in enumerate(options):
            assert tokens == one_by_one(prompt, None if streams is None else streams[row, k], {5}, once)


def test_streams_depend_on_prompt_index_and_seed() -> None:
    base = uniforms("a", 0, 0, 5)
    assert base.tolist() == uniforms("a", 0, 0, 5).tolist() and base.tolist() == uniforms("a", 0, 0, 9)[:5].tolist()
    assert all(uniforms(*other, 5).tolist() != base.tolist() for other in (("b", 0, 0), ("a", 1, 0), ("a", 0, 1)))
    assert 0 <= stream_seed("a", 0, 0) < 2**31


@pytest.mark.parametrize("once", [None, NoRepeatPerLine(tokens=(7, 8, 9), breaks=(5,))])
def test_the_head_in_chunks_is_the_head_at_once(once: NoRepeatPerLine | None) -> None:
    """Values and gradients, with a chunk of two places where there are nine."""
    prompts, texts = [[3, 4, 6], [10]], [[7, 8, 5, 8, 2], [9, 4, 7, 2]]
    found = []
    for most in (2 * len(tiny_writer.tokenizer()), 2**27):
        lm = tiny_writer.fresh()
        logprobs, mask = text_logprobs(lm, prompts, texts, [2], 0.7, once, most_logits=most)
        (logprobs * torch.arange(10.0).view(2, 5)).sum().backward()
        found.append((logprobs.detach(), torch.cat([p.grad.flatten() for p in lm.parameters() if p.grad is not None])))
        assert mask.tolist() == [[True] * 5, [True] * 4 + [False]] and float(logprobs[1, 4].detach()) == 0.0
    # float32, summed in another order: a gradient near 0 is left with rounding of its large terms on any processor
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=5e-5)
