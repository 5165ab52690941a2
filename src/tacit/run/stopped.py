"""Ending a training whose numbers are no longer finite: what broke is kept in a folder, and one sentence tells it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.distributed.tensor import DTensor

from tacit.run.distributed import barrier, gathered, is_writer
from tacit.run.files import atomic_folder
from tacit.run.shards import held, whole
from tacit.types import InputError


def stop(
    folder: Path | None,
    who: str,
    reason: str,
    advice: str,
    batch: Mapping[str, object],
    tensors: Mapping[str, Tensor] | None = None,
    what: str = "batch",
) -> NoReturn:
    """Save the offending ``batch`` (JSON, and safetensors where there are tensors) and end the run with ``advice``.

    Without a folder, as where a trainer is called from Python, the sentence alone. Several processes of a run must all
    come here, since they judge by the same numbers; one writes, and the others wait for it.
    """
    if folder is None:
        raise InputError(f"{who} stopped: {reason}: {advice}, then run it again.")
    if is_writer():
        with atomic_folder(folder) as part:
            (part / f"{what}.json").write_text(json.dumps({"reason": reason, **batch}, indent=1), encoding="utf-8")
            if tensors:
                plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
                save_file(plain, part / f"{what}.safetensors")
    barrier()
    raise InputError(f"{who} stopped: {reason} (the {what} in {folder}): {advice}, then run it again.")


def stopped_folder(stage_folder: Path, step: int) -> Path:
    return stage_folder / f"stopped-{step:05d}"


def not_finite_number(values: Mapping[str, float]) -> str | None:
    """The name of the first number that is NaN or infinite; None where all are finite."""
    return next((name for name, value in values.items() if not math.isfinite(value)), None)


def first_not_finite(losses: Sequence[Tensor]) -> int | None:
    """The place of the first scalar that is NaN or infinite; None where all are finite.

    They are looked at together: one wait for the device they are on, in place of one a step.
    """
    finite = torch.isfinite(torch.stack(list(losses)))
    return None if bool(finite.all()) else int((~finite).int().argmax())


def weights_not_finite(weights: Mapping[str, Tensor]) -> list[str]:
    """The names of the weights that hold NaN or infinity, in whichever process's part."""
    here = [name for name, weight in weights.items() if not bool(torch.isfinite(held(weight)).all())]
    if not any(isinstance(weight, DTensor) for weight in weights.values()):
        return here
    found = {name for names in gathered(here) for name in names}
    return [name for name in weights if name in found]


def require_finite(weights: Mapping[str, Tensor], folder: Path | None, who: str, when: str, advice: str) -> None:
    """``InputError`` where a weight holds NaN or infinity, the weights in question kept in ``folder``."""
    names = weights_not_finite(weights)
    if names:
        broken = {name: whole(weights[name]) for name in names[:10]}
        stop(folder, who, f"{names[0]} holds NaN or infinity {when}", advice, {"weights": names}, broken, "weights")
