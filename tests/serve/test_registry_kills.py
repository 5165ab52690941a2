"""kill -9 before every step on the disk: exactly one verified version is current, and the next command goes on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from kill_steps import killed_at_each_step

from tacit.run import manifest
from tacit.serve.registry import Registry

if not hasattr(os, "fork"):
    pytest.skip("kills need fork", allow_module_level=True)


def policy(folder: Path, weights: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "policy.json").write_text("{}")
    (folder / "policy.safetensors").write_text(weights)
    manifest.seal(folder)
    return folder


def register_and_promote(registry: Registry, new: Path) -> None:
    version = registry.add(new)
    registry.decided(version, True, "better", registry.keep_report(b"{}"), {})
    registry.promote(version)


def try_and_promote(registry: Registry, new: Path) -> None:
    canary = registry.begin_canary(registry.add(new), 0.05, force="for this test")
    registry.promote(registry.set_share(canary, 0.5).version, force="for this test")


def go_back(registry: Registry, new: Path) -> None:
    registry.rollback("worse")


@pytest.mark.parametrize("change", [register_and_promote, try_and_promote, go_back])
def test_killed_anywhere_one_whole_version_is_current(tmp_path: Path, change: Callable[[Registry, Path], None]) -> None:
    new, start = policy(tmp_path / "new", "three"), tmp_path / "start"
    registry = Registry(start)
    versions = [registry.add(policy(tmp_path / name, name)) for name in ("one", "two")]
    for version in versions:
        registry.promote(version, force="for this test")
    (tmp_path / "again").mkdir()
    moved = {*versions, registry.__class__(tmp_path / "again").add(new)}
    killed = 0
    place = tmp_path / "killed"
    shutil.copytree(start, place)
    for n in killed_at_each_step(lambda: change(Registry(place), new)):
        found = Registry(place)
        current = found.current()
        assert current in moved, n
        assert found.faults() == [], n
        if killed % 4 == 0:  # what was begun can be begun again, or another thing
            done = found.current() if change is not go_back else None
            if done in versions and found.candidate() is None:
                change(found, new)
            found.rollback("the next command") if len(found.history()) > 1 else found.promote(versions[1], force="it")
            assert found.current() in moved and found.faults() == []
        killed += 1
        shutil.rmtree(place)
        shutil.copytree(start, place)
    assert killed >= 10  # a move alone has the audit's and the pointer's
