"""Which number format ``dtype=auto`` takes: by a measurement on the CPU, by what a GPU can do."""

from __future__ import annotations

import pytest
import torch

from tacit.run import precision
from tacit.run.precision import choose_dtype, faster, step_seconds


@pytest.mark.parametrize(
    ("float32", "bfloat16", "choice"),
    [(1.0, 0.79, "bfloat16"), (1.0, 0.8, "float32"), (1.0, 1.0, "float32"), (1.0, 16.0, "float32")],
)
def test_float32_stays_where_bfloat16_gains_less_than_a_fifth(float32: float, bfloat16: float, choice: str) -> None:
    assert faster(float32, bfloat16) == choice


def test_a_cpu_is_measured_and_the_reason_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "step_seconds", lambda width: {"float32": 0.004, "bfloat16": 0.002})
    assert choose_dtype("cpu", 64) == (
        "bfloat16",
        "a step of width 64 takes 4.0 ms in float32, 2.0 ms in bfloat16",
    )


def test_a_gpu_is_asked_whether_it_multiplies_bfloat16_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    for able, choice in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, able=able: able)
        assert choose_dtype("cuda:0", 64)[0] == choice
    assert choose_dtype("mps", 64)[0] == "float32"


def test_a_measurement_leaves_threads_and_draws_as_they_were() -> None:
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    seconds = step_seconds(16)
    assert set(seconds) == {"float32", "bfloat16"} and min(seconds.values()) >= 0
    assert torch.get_num_threads() == threads and torch.equal(torch.random.get_rng_state(), state)
