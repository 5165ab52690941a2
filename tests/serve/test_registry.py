"""Versions, and one current that is whole whatever is killed or damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tacit.run import manifest
from tacit.serve import pointer as pointers
from tacit.serve import versions as copies
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


def pass_gate(registry: Registry, version: str) -> str:
    """The gate's word, and the hash of the report it read."""
    report = registry.keep_report(json.dumps({"target": version}).encode())
    registry.decided(version, True, "better", report, {})
    return report


def promoted(registry: Registry, tmp_path: Path, *weights: str) -> list[str]:
    versions = [registry.add(policy(tmp_path / name, name)) for name in weights]
    for version in versions:
        registry.promote(version, force="for this test")
    return versions


def test_the_same_files_are_one_version_and_other_files_another(registry: Registry, tmp_path: Path) -> None:
    one = registry.add(policy(tmp_path / "a", "one"))
    assert registry.add(policy(tmp_path / "b", "one")) == one
    assert registry.add(policy(tmp_path / "c", "two")) != one
    assert len(registry.versions()) == 2 and registry.current() is None


def test_the_gates_word_counts_with_its_report_and_in_an_audit_that_is_whole(
    registry: Registry, tmp_path: Path
) -> None:
    (_,) = promoted(registry, tmp_path, "one")
    two = registry.add(policy(tmp_path / "two", "two"))
    report = registry.folder / "reports" / f"{pass_gate(registry, two)}.json"
    content = report.read_bytes()
    report.unlink()
    with pytest.raises(InputError, match=r"report .* is missing or changed: run `tacit gate` again"):
        registry.promote(two)
    report.write_bytes(content)
    audit = registry.audit.path.read_text()
    registry.audit.path.write_text(audit.replace('"why":"better"', '"why":"Better"'))
    with pytest.raises(InputError, match=r"audit.jsonl was changed, see `tacit versions`"):
        registry.begin_canary(two, 0.5)
    registry.audit.path.write_text(audit)
    registry.promote(two)
    assert registry.current() == two


def test_the_remedy_for_a_changed_version_is_one_that_the_registry_has(registry: Registry, tmp_path: Path) -> None:
    version = registry.add(policy(tmp_path / "one", "one"))
    (registry.path(version) / "policy.safetensors").write_text("other")
    with pytest.raises(InputError, match=r"differs.: put it back from a copy, or remove it and register the policy"):
        registry.promote(version)
    (tmp_path / "one" / "policy.safetensors").write_text("other")
    with pytest.raises(InputError, match=r"differs.: restore the folder from a copy, or make the policy again"):
        registry.add(tmp_path / "one")


def test_a_reason_of_spaces_is_none(registry: Registry, tmp_path: Path) -> None:
    (one,) = promoted(registry, tmp_path, "one")
    two = registry.add(policy(tmp_path / "two", "two"))
    with pytest.raises(InputError, match="The gate has not let"):
        registry.promote(two, force="  ")
    assert registry.current() == one


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
        registry.promote(two, force="for this test")
    registry.add(tmp_path / "two")  # from a good copy
    assert registry.current() == two


@pytest.mark.parametrize(("module", "name"), [(pointers, "atomic_write"), (copies, "atomic_folder")])
def test_stopped_at_a_write_the_version_before_is_current(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: object, name: str
) -> None:
    (one,) = promoted(registry, tmp_path, "one")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, name, killed)
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


def test_without_the_gate_nothing_is_promoted_but_the_first_version_or_by_force(
    registry: Registry, tmp_path: Path
) -> None:
    one, two = (registry.add(policy(tmp_path / name, name)) for name in ("one", "two"))
    registry.promote(one)
    with pytest.raises(InputError, match="gate has not let"):
        registry.promote(two)
    with pytest.raises(InputError, match="gate has not let"):
        registry.begin_canary(two, 0.05)
    registry.promote(two, force="the old one names a film that is gone")
    row = registry.audit.rows()[-1]
    assert (row.what, row.version, row.previous_version, row.forced) == ("promote", two, one, True)
    assert "film that is gone" in row.why and row.report is None and row.who


def test_the_gates_last_word_counts_and_only_beside_what_is_current(registry: Registry, tmp_path: Path) -> None:
    (one,) = promoted(registry, tmp_path, "one")
    two, three = (registry.add(policy(tmp_path / name, name)) for name in ("two", "three"))
    report = pass_gate(registry, two)
    registry.decided(two, False, "worse", report, {})
    with pytest.raises(InputError, match="gate has not let"):
        registry.promote(two)
    pass_gate(registry, two)
    pass_gate(registry, three)
    registry.promote(three)
    with pytest.raises(InputError, match=f"beside {three}"):
        registry.promote(two)  # it was compared with the version before
    assert registry.rollback() == one
    registry.promote(two)  # beside which it was
    assert registry.current() == two and registry.faults() == []


def test_a_canary_runs_grows_and_ends(registry: Registry, tmp_path: Path) -> None:
    (one,) = promoted(registry, tmp_path, "one")
    two, three = (registry.add(policy(tmp_path / name, name)) for name in ("two", "three"))
    report = pass_gate(registry, two)
    canary = registry.begin_canary(two, 0.05)
    assert registry.current() == one and registry.candidate() == canary
    with pytest.raises(InputError, match="being tried"):
        registry.promote(three, force="another")
    with pytest.raises(InputError, match="being tried"):
        registry.begin_canary(two, 0.5)
    grown = registry.set_share(canary, 0.5)
    with pytest.raises(InputError, match="changed meanwhile"):
        registry.rollback(canary=canary)
    assert [share for _, share in grown.shares] == [0.05, 0.5] and registry.candidate() == grown
    assert registry.rollback("worse", canary=grown) == one and registry.candidate() is None
    registry.begin_canary(two, 0.05)
    registry.promote(two)
    assert registry.current() == two and registry.candidate() is None
    assert registry.audit.rows()[-1].report == report and registry.faults() == []
    with pytest.raises(InputError, match="beside itself"):
        registry.begin_canary(two, 0.05)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_that_is_none_is_refused(registry: Registry, tmp_path: Path, share: float) -> None:
    promoted(registry, tmp_path, "one")
    two = registry.add(policy(tmp_path / "two", "two"))
    with pytest.raises(InputError, match="share of a canary"):
        registry.begin_canary(two, share, force="for this test")


def test_a_candidate_whose_files_are_damaged_is_given_to_nobody(registry: Registry, tmp_path: Path) -> None:
    (one,) = promoted(registry, tmp_path, "one")
    two = registry.add(policy(tmp_path / "two", "two"))
    registry.begin_canary(two, 0.5, force="for this test")
    (registry.path(two) / "policy.safetensors").write_text("twO")
    assert registry.candidate() is None and registry.current() == one


def test_a_share_that_grows_keeps_the_sessions_it_had_and_another_canary_chooses_others() -> None:
    small, large = pointers.Canary("v", ((0, 0.05),), "salt"), pointers.Canary("v", ((0, 0.05), (9, 0.5)), "salt")
    other = pointers.Canary("w", ((0, 0.5),), "pepper")
    sessions = [f"session-{k}" for k in range(4000)]
    chosen = {one for one in sessions if small.chooses(one)}
    assert chosen < {one for one in sessions if large.chooses(one)}
    assert len(chosen) / 4000 == pytest.approx(0.05, abs=0.015)  # four standard errors
    both = sum(large.chooses(one) and other.chooses(one) for one in sessions) / 4000
    assert both == pytest.approx(0.25, abs=0.03)


def test_a_folder_from_before_there_was_an_audit_opens(registry: Registry, tmp_path: Path) -> None:
    (one,) = promoted(registry, tmp_path, "one")
    (registry.folder / "audit.jsonl").unlink()
    (registry.folder / "current.json").write_text(json.dumps({"format": 1, "history": [one]}))
    assert registry.current() == one and registry.faults() == []
    promoted(registry, tmp_path, "two")
    assert registry.rollback() == one and registry.faults() == []
