"""What this machine's processor is and can, as far as the system says it."""

from __future__ import annotations

import functools
import os
import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_NAMED = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")
_VENDORS = ("GenuineIntel", "AuthenticAMD", "HygonGenuine")


def usable_cores() -> int:
    """Those this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def instruction_sets() -> list[str]:
    """Of those that matter here, what Linux says the processor has; empty where it does not say."""
    found = {*_field("flags").split(), *_field("features").split()}
    return [name for name in _NAMED if name in found]


def vendor() -> str:
    """``GenuineIntel``, ``AuthenticAMD`` or another maker of x86 processors; empty where the system does not say."""
    text = _field("vendor_id") or platform.processor()  # Windows: "Intel64 Family 6 …, GenuineIntel"
    return next((name for name in _VENDORS if name in text), "")


def instructions() -> str:
    """What decides how torch rounds here: the widest instructions of its own kernels, and the maker of the processor,
    by which MKL chooses its kernels."""
    import torch  # late: a folder may be opened to be read

    return " ".join(part for part in (platform.machine(), torch.backends.cpu.get_cpu_capability(), vendor()) if part)


def _field(name: str) -> str:
    """The first value of a field of /proc/cpuinfo; empty where there is none."""
    lines = (line.partition(":") for line in _cpuinfo().splitlines())
    return next((value.strip() for key, _, value in lines if key.strip().lower() == name), "")


@functools.cache
def _cpuinfo() -> str:
    try:
        return _CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
