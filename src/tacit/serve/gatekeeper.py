"""A candidate at the gate: registered, measured beside the current version on the log, decided, noted in the audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tacit.dialogue.policy.policy import Policy
from tacit.events.store import open_store
from tacit.offpolicy.gate import Decision, GateConfig, decide, read_report
from tacit.offpolicy.guards import Measured
from tacit.serve.audit import Row
from tacit.serve.guard_measures import measure
from tacit.serve.registry import Registry
from tacit.text.encoder import TextEncoder
from tacit.types import InputError


@dataclass(frozen=True)
class Asked:
    version: str
    current: str
    decision: Decision
    measured: Measured | None
    row: Row


def ask(
    registry: Registry,
    policy: Path,
    ope: Path,
    exam: bool | None,
    log: str,
    config: GateConfig,
    past_sessions: int = 3,
    seed: int = 0,
    encoders: dict[str, TextEncoder] | None = None,
) -> Asked:
    """``policy``: a policy's folder. ``log``: the store whose turns the guards replay; none there, none hold.
    ``past_sessions``: the server's setting. ``encoders``: of ``Policy.several``."""
    report, content = read_report(ope)
    current = registry.current()
    if current is None:
        raise InputError(
            f"{registry.folder} has no current version to compare with: start `tacit serve`, or promote one."
        )
    version = registry.add(policy)
    folders = [registry.path(name) for name in (version, current)]
    measured = _measure(folders, log, config, past_sessions, seed, encoders)
    decision = decide(report, measured, exam, version, current, config)
    kept = registry.keep_report(content)
    row = registry.decided(version, decision.passed, decision.why, kept, decision.to_json())
    return Asked(version, current, decision, measured, row)


def _measure(
    folders: Sequence[Path],
    log: str,
    config: GateConfig,
    past_sessions: int,
    seed: int,
    encoders: dict[str, TextEncoder] | None,
) -> Measured | None:
    """Guards on contexts of the log; None where there is none, which the gate says."""
    if "://" not in log and not Path(log).is_file():
        return None
    candidate, current = Policy.several(folders, encoders)
    most = 2 * config.guards.contexts  # more would tell more, and take longer
    store = open_store(log)
    try:
        return measure(store, candidate, current, most, past_sessions, seed)
    finally:
        store.close()
