"""``tacit gate``, ``promote``, ``rollback``, ``versions``: results on stdout, what was done on stderr."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from tacit.cli.serve import default_folder
from tacit.run.config import load
from tacit.run.files import read_json
from tacit.run.terminal import printable
from tacit.serve.audit import Row
from tacit.serve.registry import Registry
from tacit.types import InputError


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
    from tacit.offpolicy.gate import GateConfig
    from tacit.run.network import quiet_progress_bars
    from tacit.serve.gatekeeper import ask
    from tacit.serve.live import policy_folder

    quiet_progress_bars()
    config = load(GateConfig, None, settings)
    registry = registry_of(state or default_folder(policy))
    folder = policy_folder(policy, stage)
    examined = exam or folder.parent.parent / "reward" / "validation.json"
    if exam is None and _learnt_from_labels(folder):
        config, passed = replace(config, need_exam=False), None  # no reward model had a say
    else:
        passed = ValidationReport.load(examined).passed if exam or examined.is_file() else None
    asked = ask(registry, folder, ope, passed, store or str(registry.folder.parent / "log.sqlite"), config, seed=seed)
    for reason in asked.decision.reasons:
        print(printable(f"{_MARKS[reason.passed]}  {reason.rule}: {reason.said}"))
    print(printable(f"{asked.version} {'passes' if asked.decision.passed else 'is refused'}, beside {asked.current}"))
    _say(f"row {asked.row.n} of {registry.audit.path}, report {asked.row.report}")
    return asked.decision.passed


WITHOUT_REWARD = ("offpolicy", "dpo", "setdpo", "kto", "items")  # of `tacit learn`: labels alone teach these


def _learnt_from_labels(policy: Path) -> bool:
    """Is it of a round of `tacit learn` by a method that uses labels alone?"""
    done = policy.parent / "done.json"
    return done.is_file() and read_json(done, "learn the round again.").get("method") in WITHOUT_REWARD


_MARKS = {True: "holds", False: "FAILS", None: "untold"}


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
    _say("no fault" if not faults else "1 fault" if len(faults) == 1 else f"{len(faults):,} faults")
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
    why = row.why or "no reason given"
    return f"{row.n}  {row.at}  {row.who}  {row.what}{forced} {row.version or ''}{beside}: {why}{report}  {row.hash}"


def _say(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)
