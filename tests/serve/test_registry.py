"""Versions, and one current that is whole whatever is killed or damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tacit.run import manifest
from tacit.serve import registry as registries
from tacit.serve.registry import Registry
from tacit.types import InputError


def policy(folder: Path, weights: str) -> Path:
    """What the registry looks at: files, and their manifest."""
    folder.mkdir(parents=True)
    (folder / "policy.json").write_text("{}")
    (folder / "policy.safetensors").write_text(weights)
    manifest.seal(folder)
    return folder


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


def promoted(registry: Registry, tmp_path: Path, *weights: str) -> list[str]:
    versions = [registry.add(policy(tmp_path / name, name)) for name in weights]
    for version in versions:
        registry.promote(version)
    return versions


def test_the_same_files_are_one_version_and_other_files_another(registry: Registry, tmp_path: Path) -> None:
    one = registry.add(policy(tmp_path / "a", "one"))
    assert registry.add(policy(tmp_path / "b", "one")) == one
    assert registry.add(policy(tmp_path / "c", "two")) != one
    assert len(registry.versions()) == 2 and registry.current() is None


def test_rollback_goes_back_step_by_step_and_no_further(registry: Registry, tmp_path: Path) -> None:
    one, two, three = promoted(registry, tmp_path, "one", "two", "three")
    assert registry.current() == three
    assert (registry.rollback(), registry.rollback()) == (two, one)
    with pytest.raises(InputError, match="no version before"):
        registry.rollback()
    assert registry.current() == one


def test_a_damaged_version_is_neither_promoted_nor_current(registry: Registry, tmp_path: Path) -> None:
    one, two = promoted(registry, tmp_path, "one", "two")
    (registry.path(two) / "policy.safetensors").write_text("twO")
    assert registry.current() == one
    with pytest.raises(InputError):
        registry.promote(two)
    registry.add(tmp_path / "two")  # from a good copy
    assert registry.current() == two


@pytest.mark.parametrize("name", ["atomic_write", "atomic_folder"])
def test_killed_at_a_write_the_version_before_is_current(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (one,) = promoted(registry, tmp_path, "one")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(registries, name, killed)
    with pytest.raises(KeyboardInterrupt):
        promoted(registry, tmp_path, "two")
    assert Registry(registry.folder).current() == one


def test_a_pointer_that_is_damaged_or_a_name_that_is_a_path_is_refused(registry: Registry, tmp_path: Path) -> None:
    promoted(registry, tmp_path, "one")
    with pytest.raises(InputError, match="no such version"):
        registry.path("../../one")
    (registry.folder / "current.json").write_text(json.dumps({"history": 3}))
    with pytest.raises(InputError, match=r"current\.json"):
        registry.current()
