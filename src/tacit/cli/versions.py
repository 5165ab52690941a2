"""``tacit gate``, ``promote``, ``rollback``, ``versions``: results on stdout, what was done on stderr."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tacit.cli.serve import default_folder
from tacit.run.config import load
from tacit.run.terminal import printable
from tacit.serve.audit import Row
from tacit.serve.registry import Registry
from tacit.types import InputError

if TYPE_CHECKING:
    from tacit.offpolicy.gate import GateConfig
    from tacit.offpolicy.guards import Measured


def ask_gate(
    policy: Path,
    ope: Path,
    settings: list[str],
    state: Path | None,
    store: str | None,
    exam: Path | None,
    stage: str,
    seed: int,
) -> bool:
    """Did it pass?"""
    from tacit.dialogue.reward.verdict import ValidationReport
    from tacit.offpolicy.gate import GateConfig, decide, read_report
    from tacit.serve.live import policy_folder

    config = load(GateConfig, None, settings)
    registry = registry_of(state or default_folder(policy))
    report, content = read_report(ope)
    folder = policy_folder(policy, stage)
    current = registry.current()
    if current is None:
        raise InputError(
            f"{registry.folder} has no current version to compare with: start `tacit serve`, or promote one."
        )
    examined = exam or folder.parent.parent / "reward" / "validation.json"
    passed = ValidationReport.load(examined).passed if exam or examined.is_file() else None
    version = registry.add(folder)
    log = store or str(registry.folder.parent / "log.sqlite")
    measured = _measure(registry, version, current, log, config, seed)
    decision = decide(report, measured, passed, version, current, config)
    for reason in decision.reasons:
        print(printable(f"{_MARKS[reason.passed]}  {reason.rule}: {reason.said}"))
    row = registry.decided(version, decision.passed, decision.why, registry.keep_report(content), decision.to_json())
    print(printable(f"{version} {'passes' if decision.passed else 'is refused'}, beside {current}"))
    _say(f"row {row.n} of {registry.audit.path}, report {row.report}")
    return decision.passed


_MARKS = {True: "holds", False: "FAILS", None: "untold"}


def _measure(
    registry: Registry, version: str, current: str, log: str, config: GateConfig, seed: int
) -> Measured | None:
    """Guards on contexts of the log; None where there is none, which the gate says."""
    import numpy as np

    from tacit.dialogue.policy.policy import Policy
    from tacit.events.store import open_store
    from tacit.offpolicy.guard_measures import logged_contexts, measure

    if "://" not in log and not Path(log).is_file():
        return None
    policies = [Policy.from_pretrained(registry.path(name)) for name in (version, current)]
    most = 2 * config.guards.contexts  # more would tell more, and take longer
    catalogs = [policy.catalog for policy in policies]
    logged = logged_contexts(open_store(log), catalogs, most, np.random.default_rng(seed))
    return measure(policies[0], policies[1], logged, seed) if logged else None


def promote_version(state: Path, name: str, share: float | None, why: str, force: str) -> None:
    registry = registry_of(state)
    version = _resolve(registry, name)
    if share is None:
        registry.promote(version, why, force=force)
        _say(f"{version} is current: servers follow within a second.")
        return
    canary = registry.pointer().canary
    if canary is not None and canary.version == version:
        registry.set_share(canary, share, why)
    else:
        registry.begin_canary(version, share, why, force=force)
    _say(f"{version} is given to {share:.0%} of the sessions that begin now, beside {registry.current()}.")


def roll_back(state: Path, why: str) -> None:
    registry = registry_of(state)
    version = registry.rollback(why)
    print(version)
    _say(f"{version} is served to all: servers follow within a second.")


def show_versions(state: Path, audit: bool) -> int:
    """How many faults."""
    registry = registry_of(state)
    rows = registry.audit.rows()
    current, canary = registry.current(), registry.pointer().canary
    for version in registry.versions():
        role = "current" if version == current else ""
        if canary is not None and canary.version == version:
            role = f"given to {canary.share:.0%} of the sessions"
        print(printable(f"{version}  {role or '-'}  {_last_word(rows, version)}"))
    if audit:
        for row in rows:
            print(printable(_told(row)))
    faults = registry.faults()
    for fault in faults:
        print(printable(fault))
    _say("no fault" if not faults else f"{len(faults):,} faults")
    return len(faults)


def registry_of(folder: Path) -> Registry:
    """Of a state folder of ``tacit serve``, or of a run that has one."""
    for place in (folder, folder / "serve"):
        if (place / "registry").is_dir():
            return Registry(place / "registry")
    raise InputError(f"{folder} holds no registry: give the folder that `tacit serve` keeps, such as RUN/serve.")


def _resolve(registry: Registry, name: str) -> str:
    """A version by its name or how that begins; a policy folder is registered."""
    if (Path(name) / "policy.json").is_file():
        return registry.add(Path(name))
    found = [version for version in registry.versions() if name and version.startswith(name)]
    if name in found:
        return name
    if len(found) != 1:
        said = "no version" if not found else f"{len(found)} versions"
        raise InputError(f"{registry.folder} has {said} of a name that begins with {name!r}: see `tacit versions`.")
    return found[0]


def _last_word(rows: list[Row], version: str) -> str:
    for row in reversed(rows):
        if row.version == version and row.what == "gate":
            passed = "let pass" if row.details.get("passed") is True else "refused"
            return f"the gate, {row.at}: {passed} beside {row.previous_version}"
    return "never at the gate"


def _told(row: Row) -> str:
    forced = " by force" if row.forced else ""
    beside = f" after {row.previous_version}" if row.previous_version else ""
    report = f" report {row.report}" if row.report else ""
    return (
        f"{row.n}  {row.at}  {row.who}  {row.what}{forced} {row.version or ''}{beside}: {row.why}{report}  {row.hash}"
    )


def _say(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)
