"""What a machine says of its processor, read off texts such as Linux gives."""

from __future__ import annotations

import os
import platform

import pytest

from tacit.run import processor

INTEL = "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu avx2 avx512f amx_bf16\n\nprocessor\t: 1\n"
AMD = "processor\t: 0\nvendor_id\t: AuthenticAMD\nflags\t\t: fpu avx2 avx512_bf16\n"
ARM = "processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd bf16\nCPU implementer\t: 0x41\n"


@pytest.mark.parametrize(
    ("text", "maker", "sets"),
    [
        (INTEL, "GenuineIntel", ["avx2", "avx512f", "amx_bf16"]),
        (AMD, "AuthenticAMD", ["avx2", "avx512_bf16"]),
        (ARM, "", ["asimd", "bf16"]),
        ("", "", []),
    ],
)
def test_maker_and_instruction_sets(monkeypatch: pytest.MonkeyPatch, text: str, maker: str, sets: list[str]) -> None:
    monkeypatch.setattr(processor, "_cpuinfo", lambda: text)
    monkeypatch.setattr(platform, "processor", lambda: "")
    assert (processor.vendor(), processor.instruction_sets()) == (maker, sets)
    assert processor.instructions().endswith(maker)


def test_windows_says_the_maker_in_other_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "_cpuinfo", lambda: "")
    monkeypatch.setattr(platform, "processor", lambda: "AMD64 Family 25 Model 33 Stepping 0, AuthenticAMD")
    assert processor.vendor() == "AuthenticAMD"


def test_cores_are_of_this_machine() -> None:
    assert 1 <= processor.usable_cores() <= (os.cpu_count() or 1)
