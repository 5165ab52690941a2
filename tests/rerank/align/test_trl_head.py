"""The head on a CPU is TRL's, by other operations."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tacit.rerank.align.trl_head import scoring_answers_alone, token_scores

EVERYTHING = ("entropy", "log_sum_sq_probs", "mean_logits", "is_top1")


def test_a_token_by_hand() -> None:
    """Logits 0, log 2, log 5 after scaling: P = 1/8, 2/8, 5/8."""
    hidden, weight = torch.ones(2, 1), torch.tensor([[0.0], [0.6931472], [1.6094379]])
    said, entropy, squares, mean, top = token_scores(
        hidden, weight, None, torch.tensor([1, 2]), 1.0, None, 1.0, EVERYTHING
    )
    assert said is not None and entropy is not None and squares is not None and mean is not None and top is not None
    torch.testing.assert_close(said.exp(), torch.tensor([0.25, 0.625]))
    assert entropy[0].item() == pytest.approx(0.900256, abs=1e-5)  # log 8 - (2 log 2 + 5 log 5) / 8
    assert squares.exp()[0].item() == pytest.approx(30 / 64)
    assert mean[0].item() == pytest.approx(0.767528, abs=1e-5)
    assert top.tolist() == [False, True]


@pytest.mark.parametrize(("softcap", "bias"), [(None, False), (3.0, True)])
def test_it_is_the_blockwise_head(softcap: float | None, bias: bool) -> None:
    from trl.kernels import ChunkedLogProbFunction  # type: ignore[import-untyped]

    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(*shape, generator=generator) for shape in ((17, 8), (50, 8), (50,))]
    targets = torch.randint(50, (17,), generator=generator)
    found = []
    for ours in (True, False):
        hidden, weight, shift = (tensor.clone().requires_grad_() for tensor in tensors)
        given: tuple[Any, ...] = (hidden, weight, shift if bias else None, targets, 0.7)
        last = softcap, 1.5, EVERYTHING
        values = token_scores(*given, *last) if ours else ChunkedLogProbFunction.apply(*given, 16, *last)
        assert values[0] is not None
        (values[0] * torch.arange(17.0)).sum().backward()
        found.append([*values, hidden.grad, weight.grad, *([shift.grad] if bias else [])])
    for ours_, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours_, theirs, atol=2e-5, rtol=1e-4)


def test_trl_has_its_own_head_back() -> None:
    from trl.trainer import utils  # type: ignore[import-untyped]

    before = utils._ChunkedLogProbFunction, utils._use_triton
    with pytest.raises(KeyError), scoring_answers_alone():
        assert utils._ChunkedLogProbFunction is not before[0]
        raise KeyError
    assert (utils._ChunkedLogProbFunction, utils._use_triton) == before
