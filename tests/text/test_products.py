"""Products by oneDNN beside torch's own: values, gradients, and what goes torch's way."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from tacit.text.products import OwnProducts, linear, spare_rows, torch_is_narrow, worth_it


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a processor whose widest instructions torch's own products leave unused, whatever this one is."""
    monkeypatch.setattr("tacit.text.products.torch_is_narrow", lambda: True)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def learnt(by: object, x: Tensor, weight: Tensor, bias: Tensor | None) -> list[Tensor]:
    parts = [part.detach().requires_grad_() for part in (x, weight, bias) if part is not None]
    out = by(*parts)  # type: ignore[operator]
    return [out, *torch.autograd.grad((out * drawn(*out.shape, seed=9)).sum(), parts)]


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("shape", [(96, 128), (3, 32, 128)], ids=["rows", "batch"])
@pytest.mark.parametrize("turned", [False, True], ids=["as it is", "transposed"])
def test_values_and_gradients_are_those_of_torch(biased: bool, shape: tuple[int, ...], turned: bool) -> None:
    x, bias = drawn(*shape), drawn(192) if biased else None
    weight = drawn(128, 192, seed=1).t() if turned else drawn(192, 128, seed=1)
    assert worth_it(x, weight, bias)
    for ours, its in zip(learnt(linear, x, weight, bias), learnt(nn.functional.linear, x, weight, bias), strict=True):
        torch.testing.assert_close(ours, its, rtol=1e-4, atol=1e-3)
    with torch.no_grad():
        torch.testing.assert_close(linear(x, weight, bias), nn.functional.linear(x, weight, bias), rtol=1e-4, atol=1e-3)


def test_only_what_is_learnt_has_a_gradient() -> None:
    x, weight, bias = drawn(96, 128), drawn(192, 128), drawn(192).requires_grad_()
    linear(x, weight, bias).sum().backward()
    assert bias.grad is not None and bool((bias.grad == 96).all())
    assert x.grad is None and weight.grad is None


def test_modules_in_the_context_multiply_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A linear layer and GPT-2's transposed one, and nothing after the context."""
    calls: list[tuple[int, ...]] = []

    def noted(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        calls.append(tuple(weight.shape))
        return nn.functional.linear(x, weight, bias)

    monkeypatch.setattr("tacit.text.products.linear", noted)
    plain, turned, x = nn.Linear(128, 192), Conv1D(192, 128), drawn(96, 128)
    with OwnProducts():
        plain(x)
        turned(x)
    assert calls == [(192, 128), (192, 128)]
    plain(x)
    assert len(calls) == 2


def test_what_is_small_or_of_another_precision_goes_the_way_of_torch() -> None:
    x, weight = drawn(96, 128), drawn(192, 128)
    assert not worth_it(x.double(), weight.double())
    assert not worth_it(x[:3].repeat(1, 100), drawn(192, 12800)), "three rows"
    assert not worth_it(drawn(8, 8), drawn(8, 8))
    with torch.autocast("cpu", torch.bfloat16):
        assert not worth_it(x, weight)


def test_spare_rows_make_the_next_multiple_of_32() -> None:
    cpu = torch.device("cpu")
    assert [spare_rows(n, cpu) for n in (1, 31, 32, 33, 64)] == [31, 1, 0, 31, 0]
    assert spare_rows(33, torch.device("meta")) == 0


@pytest.mark.parametrize(
    ("capability", "maker", "narrow"),
    [
        ("AVX512", "AuthenticAMD", True),
        ("AVX512", "GenuineIntel", False),
        ("AVX2", "AuthenticAMD", False),
        ("DEFAULT", "", False),
    ],
)
def test_torch_is_narrow_where_avx512_is_not_intel_s(
    monkeypatch: pytest.MonkeyPatch, capability: str, maker: str, narrow: bool
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr("tacit.text.products.vendor", lambda: maker)
    assert torch_is_narrow.__wrapped__() is narrow


def test_where_torch_is_not_narrow_all_goes_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tacit.text.products.torch_is_narrow", lambda: False)
    assert not worth_it(drawn(96, 128), drawn(192, 128)) and spare_rows(33, torch.device("cpu")) == 0
