"""``tacit gate``, ``promote``, ``rollback``, ``versions``: what they print, what the audit keeps, when they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ppo_fakes import N_ITEMS
from tiny_log import START_MS, Log, exposure
from typer.testing import CliRunner

from tacit.cli.main import app
from tacit.events.schema import Shown
from tacit.run import manifest
from tacit.serve.registry import Registry


def call(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    return result.exit_code, result.stdout, result.stderr


def policy(folder: Path, weights: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "policy.json").write_text("{}")
    (folder / "policy.safetensors").write_text(weights)
    manifest.seal(folder)
    return folder


@pytest.fixture
def state(tmp_path: Path) -> tuple[Path, str, str]:
    """A state folder in which the first of two versions is current."""
    registry = Registry(tmp_path / "serve" / "registry")
    one, two = (registry.add(policy(tmp_path / name, name)) for name in ("one", "two"))
    registry.promote(one)
    return tmp_path / "serve", one, two


def test_promote_asks_for_the_gate_or_a_reason_and_rollback_goes_back(state: tuple[Path, str, str]) -> None:
    folder, one, two = state
    code, _, err = call("promote", folder, two)
    assert code == 2 and "tacit gate" in err and "--force" in err
    assert call("promote", folder, two[:8], "--force", "an item must go")[0] == 0
    assert Registry(folder / "registry").current() == two
    code, out, _ = call("rollback", folder.parent, "--why", "clicks fell")  # the run that has it
    assert code == 0 and out.strip() == one
    code, out, _ = call("versions", folder, "--audit")
    assert code == 0 and f"{one}  current" in out and "promote by force" in out and "clicks fell" in out
    assert call("rollback", folder)[0] == 2


def test_a_canary_is_begun_grown_and_shown(state: tuple[Path, str, str]) -> None:
    folder, _, two = state
    assert call("promote", folder, two, "--share", 0.05, "--force", "for this test")[0] == 0
    assert call("promote", folder, two, "--share", 0.5)[0] == 0
    assert "given to 50% of the sessions" in call("versions", folder)[1]
    code, _, err = call("promote", folder, two, "--share", 1.5)
    assert code == 2 and "share of a canary" in err


def test_names_that_are_none_or_fit_several_and_folders_without_a_registry_are_refused(
    state: tuple[Path, str, str], tmp_path: Path
) -> None:
    folder, _, _ = state
    for name in ("", "zz", "../one"):
        code, _, err = call("promote", folder, name, "--force", "x")
        assert code == 2 and "see `tacit versions`" in err
    code, _, err = call("versions", tmp_path / "nothing")
    assert code == 2 and "holds no registry" in err


def test_versions_shows_what_was_changed_by_hand(state: tuple[Path, str, str]) -> None:
    folder, _, _ = state
    audit = folder / "registry" / "audit.jsonl"
    audit.write_text(audit.read_text().replace("first", "FIRST"))
    code, out, _ = call("versions", folder)
    assert code == 1 and "was changed after it was written" in out


def report(target: str, logger: str, **changes: Any) -> dict[str, Any]:
    gain = {"difference": 0.2, "difference_low": 0.1, "difference_high": 0.3, "value": 1.0, "low": 0.9, "high": 1.1}
    return {
        "format": 1,
        "loggers": [logger],
        "target": target,
        "reward": "reward",
        "estimates": {"SNIPS": gain},
        "diagnostics": {"ess": 500.0, "ess_share": 0.5, "unsupported_mass": 0.0},
        "checks": {"A/A": {"passed": True, "said": "exact"}},
        "verdict": "better",
        "because": [],
        **changes,
    }


def test_the_gate_measures_guards_on_the_log_and_what_passes_may_be_promoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_server = pytest.importorskip("tiny_server")
    tiny_server.hash_encoders(monkeypatch)
    folder = tmp_path / "serve"
    registry = Registry(folder / "registry")
    current = registry.add(tiny_server.save_policy(tmp_path / "current", 0))
    registry.promote(current)
    # The same weights, another reward exam's run beside it: what it does is the same.
    candidate = tiny_server.save_policy(tmp_path / "run" / "ppo" / "policy", 0)
    (candidate / "note.txt").write_text("another version")
    manifest.seal(candidate)
    from tacit.serve.versions import version_of

    version = version_of(candidate)
    with Log(folder) as log:
        for k in range(6):
            items = (Shown(f"i{k}", 1, 1 / N_ITEMS), Shown(f"i{k + 1}", 2, 1 / (N_ITEMS - 1)))
            shown = log.show(
                exposure(
                    f"x{k}",
                    session_id=f"s{k}",
                    user=f"u{k}",
                    created_ms=START_MS + k,
                    items=items,
                    policy_version=current,
                )
            )
            log.send(log.event(shown, "not_for_me" if k % 2 else "click", f"i{k}"))
    path = tmp_path / "ope.json"
    path.write_text(json.dumps(report(version, current)))
    asked = ("gate", candidate, "--ope", path, "--state", folder, "guards.contexts=3")
    done = candidate.parent / "done.json"
    for method, holds in (("ppo", 1), ("offpolicy", 0)):  # what learnt from labels alone had no reward to examine
        done.write_text(json.dumps({"method": method}))
        code, out, _ = call(*asked)
        assert code == holds and ("untold  reward exam" in out) == (method == "ppo"), out
    done.unlink()
    code, out, err = call(*asked, "need_exam=false")
    assert code == 0, out
    assert "holds  KL to the logger: A turn is 0.00 nats" in out and "50.0% were" in out and "report" in err
    row = registry.audit.rows()[-1]
    assert row.what == "gate" and row.details["passed"] is True and registry.faults() == []
    assert call("promote", folder, version)[0] == 0 and registry.current() == version
    assert registry.audit.rows()[-1].report == row.report
    path.write_text(json.dumps(report(current, version, verdict="insufficient evidence", because=["12 rounds."])))
    code, out, _ = call("gate", tmp_path / "current", "--ope", path, "--state", folder, "guards.contexts=9")
    assert code == 1 and "FAILS  verdict" in out and "12 rounds." in out and "untold  guards" in out
    assert "untold  reward exam" in out and "is refused" in out
    assert call("promote", folder, current)[0] == 2


def test_a_setting_that_is_none_is_refused(state: tuple[Path, str, str], tmp_path: Path) -> None:
    folder, one, two = state
    path = tmp_path / "ope.json"
    path.write_text(json.dumps(report(two, one)))
    code, _, err = call("gate", tmp_path / "two", "--ope", path, "--state", folder, "guards.kl=-1")
    assert code == 2 and "guards.kl" in err
