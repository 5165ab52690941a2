"""Checkpoints: safetensors for tensors, JSON for the rest, a manifest of hashes, and never pickle.

A checkpoint is a folder ``step-00000120/{tensors.safetensors,state.json,manifest.json}``. It is filled under another
name, synced to disk and renamed, so a killed process leaves whole checkpoints only. What is read back must match the
manifest's sha256; a damaged one is skipped with a warning and the one before it is taken.
"""

from __future__ import annotations

import base64
import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tacit.run.files import atomic_folder, says_when_full, sha256
from tacit.run.shards import as_held, held

log = logging.getLogger("tacit")

_FORMAT = 1
_PARTS = ("tensors.safetensors", "state.json")


@dataclass
class Checkpoint:
    step: int
    tensors: dict[str, Tensor]
    state: dict[str, Any]

    @torch.no_grad()
    def into(self, weights: Mapping[str, Tensor]) -> None:
        """Put the tensors of these names in place of ``weights``."""
        for name, weight in weights.items():
            held(weight).copy_(held(as_held(self.tensors[name], weight)))


class Checkpoints:
    """The last ``keep`` checkpoints of one stage, newest first."""

    def __init__(self, folder: str | Path, keep: int = 2) -> None:
        self.folder = Path(folder)
        self.keep = keep

    def save(self, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """``state`` is anything JSON can hold. Saving a step discards later ones: they belong to an abandoned past."""
        target = self.folder / f"step-{step:08d}"
        with says_when_full(target):
            self.folder.mkdir(parents=True, exist_ok=True)
        for unfinished in self.folder.glob(".step-*"):  # left by a process that was killed
            shutil.rmtree(unfinished, ignore_errors=True)
        with atomic_folder(target) as part:
            save_file(_separate(tensors), part / "tensors.safetensors")
            (part / "state.json").write_text(json.dumps(state), encoding="utf-8")
            files = {name: {"sha256": sha256(part / name), "bytes": (part / name).stat().st_size} for name in _PARTS}
            manifest = {"format": _FORMAT, "step": step, "files": files}
            (part / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        steps = self.steps()
        for other in [s for s in steps if s > step] + [s for s in steps if s <= step][self.keep :]:
            shutil.rmtree(self.folder / f"step-{other:08d}", ignore_errors=True)

    def latest(self) -> Checkpoint | None:
        """The newest checkpoint whose files match their hashes; None when there is none."""
        for step in self.steps():
            folder = self.folder / f"step-{step:08d}"
            damage = _damage(folder)
            if damage is None:
                state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
                return Checkpoint(step, load_file(folder / "tensors.safetensors"), state)
            log.warning("%s; this checkpoint is not used and the one before it is taken.", damage)
        return None

    def steps(self) -> list[int]:
        """Steps on disk, newest first, damaged ones included."""
        found = (path.name.removeprefix("step-") for path in self.folder.glob("step-*"))
        return sorted((int(name) for name in found if name.isdigit()), reverse=True)


def _damage(folder: Path) -> str | None:
    """One clause naming the damaged file, or None when the checkpoint is whole."""
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        files = {name: (manifest["files"][name]["sha256"], manifest["files"][name]["bytes"]) for name in _PARTS}
    except (OSError, ValueError, KeyError, TypeError):
        return f"{path} is missing or unreadable"
    if manifest.get("format") != _FORMAT:
        return f"{path} has format {manifest.get('format')}, this version reads {_FORMAT}"
    for name, (digest, size) in files.items():
        part = folder / name
        if not part.is_file():
            return f"{part} is missing"
        if part.stat().st_size != size:
            return f"{part} is {part.stat().st_size} bytes instead of {size}"
        if sha256(part) != digest:
            return f"{part} does not match its hash"
    return None


def _separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous tensors that share no storage, as safetensors wants; tied weights are written once each."""
    seen: set[int] = set()
    separate: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        value = tensor.detach().contiguous()
        storage = value.untyped_storage().data_ptr()
        separate[name] = value.clone() if storage in seen else value
        seen.add(storage)
    return separate


def pack_optimizer(
    optimizer: torch.optim.Optimizer, prefix: str = "optimizer."
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimizer as named tensors and a JSON-able rest; ``unpack_optimizer`` restores it bit for bit.

    Tensors of which this process holds a part are given as they are (``shards.all_whole``)."""
    content = optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    scalars: dict[str, dict[str, Any]] = {}
    for index, slots in content["state"].items():
        for name, value in slots.items():
            if isinstance(value, Tensor):
                tensors[f"{prefix}{index}.{name}"] = value
            else:
                scalars.setdefault(str(index), {})[name] = value
    groups = [
        {name: {"tuple": list(value)} if isinstance(value, tuple) else value for name, value in group.items()}
        for group in content["param_groups"]
    ]
    return tensors, {"prefix": prefix, "scalars": scalars, "groups": groups}


def unpack_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Restore what ``pack_optimizer`` gave. ``tensors`` may hold other names too; they are left alone."""
    prefix = state["prefix"]
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    slots: dict[int, dict[str, Any]] = {int(index): dict(values) for index, values in state["scalars"].items()}
    for key, tensor in tensors.items():
        if key.startswith(prefix):
            index, _, name = key.removeprefix(prefix).partition(".")
            slots.setdefault(int(index), {})[name] = as_held(tensor, weights[int(index)])
    groups = [
        {name: tuple(v["tuple"]) if isinstance(v, dict) and "tuple" in v else v for name, v in group.items()}
        for group in state["groups"]
    ]
    optimizer.load_state_dict({"state": slots, "param_groups": groups})


Generator = torch.Generator | np.random.Generator


def pack_rng(*generators: Generator) -> dict[str, Any]:
    """The exact state of each generator, JSON-able, in the order given."""
    return {"generators": [_pack_one(generator) for generator in generators]}


def unpack_rng(state: Mapping[str, Any], *generators: Generator) -> None:
    """Set the generators, given in the same order, to the packed states."""
    packed = state["generators"]
    if len(packed) != len(generators):
        raise ValueError(f"{len(packed)} generator states were saved, {len(generators)} generators were given")
    for one, generator in zip(packed, generators, strict=True):
        if isinstance(generator, torch.Generator):
            raw = np.frombuffer(base64.b64decode(one["torch"]), dtype=np.uint8)
            generator.set_state(torch.from_numpy(raw.copy()))
        else:
            generator.bit_generator.state = _decode(one["numpy"])


def _pack_one(generator: Generator) -> dict[str, Any]:
    if isinstance(generator, torch.Generator):
        return {"torch": base64.b64encode(generator.get_state().numpy().tobytes()).decode("ascii")}
    return {"numpy": _encode(generator.bit_generator.state)}


def _encode(value: Any) -> Any:
    """numpy keeps arrays (MT19937) or big integers (PCG64) in nested dicts; JSON holds the integers as they are."""
    if isinstance(value, np.ndarray):
        return {"dtype": str(value.dtype), "array": value.tolist()}
    if isinstance(value, np.integer):
        return int(value)
    return {key: _encode(inner) for key, inner in value.items()} if isinstance(value, Mapping) else value


def _decode(value: Any) -> Any:
    if isinstance(value, Mapping) and set(value) == {"dtype", "array"}:
        return np.array(value["array"], dtype=value["dtype"])
    return {key: _decode(inner) for key, inner in value.items()} if isinstance(value, Mapping) else value
