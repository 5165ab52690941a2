"""Serve, observe, label, learn, judge, gate, try, promote or roll back: three times over; what must be refused; and, of
the same people, whether they are served better in the end."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import numpy as np

from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.users.crowd import UserWorld
from tacit.events.store import open_store
from tacit.labels.build import build
from tacit.labels.log import exported
from tacit.offpolicy.evaluate import Settings
from tacit.offpolicy.rewards import Rewards
from tacit.offpolicy.verdict import Rules
from tacit.pipelines import dialogue
from tacit.pipelines.loop import candidates, closing, poisoned, trying
from tacit.pipelines.loop.judging import Unseen, judge
from tacit.pipelines.loop.learning import labels as labels_of
from tacit.pipelines.loop.learning import learn
from tacit.pipelines.loop.place import Loop, Told, people
from tacit.pipelines.loop.report import write
from tacit.pipelines.loop.serving import serving
from tacit.pipelines.loop.settings import LoopConfig
from tacit.pipelines.loop.steps import Steps
from tacit.run.lock import exclusive
from tacit.serve.gatekeeper import ask
from tacit.serve.registry import Registry
from tacit.types import InputError


def run_loop(config: LoopConfig) -> Path:
    """The folder with ``loop.json`` and ``report.html``. What was stopped goes on."""
    folder = Path(config.out)
    with exclusive(folder):
        start = folder / "start"
        settings = [*config.settings, f"out={start}", f"seed={config.seed}"]
        for stage in ("prepare", "sft"):
            dialogue.run_pipeline(dialogue.load_config(config.run, settings), stage)
        policy = start / "sft" / "policy"
        world = UserWorld.load(start / "users", Policy.from_pretrained(policy).catalog)
        port = config.port or _free_port()
        with serving(start, folder / "serve", port, _options(config)) as base:
            registry = Registry(folder / "serve" / "registry")
            loop = Loop(config, folder, world, registry, Steps(folder / "steps"), base)
            gates = {f"round-{number}": _round(loop, number) for number in range(1, config.rounds + 1)}
            worst = _worse_are_refused(loop)
            # by force, past the gate: live signals must end it
            loop.steps.once(
                "worst-canary", lambda: trying.canary(loop, "worst", worst, "to show that live signals end it")
            )
            loop.steps.once("rollback", lambda: trying.take_back(loop, worst))
        loop.steps.once("fresh-people", lambda: closing.serve_fresh(loop, gates, worst))
        return write(folder, config, loop.steps.folder, registry)


def _options(config: LoopConfig) -> list[str]:
    canary = config.canary
    keys = (
        "first_share",
        "second_share",
        "sessions",
        "alpha",
        "margin",
        "tolerance",
        "window_s",
        "per_person",
        "check_s",
    )
    given = [part for key in keys for part in ("--canary", f"{key}={getattr(canary, key)}")]
    return ["--stage", "sft", "--epsilon", str(config.epsilon), *given]


def _round(loop: Loop, number: int) -> Told:
    """What the gate said of its candidate."""
    name, config = f"round-{number}", loop.config
    loop.steps.once(f"{name}-visit", lambda: people(loop, config.sessions, name))
    if number == config.poisoned_round:
        loop.steps.once(f"{name}-poison", lambda: poisoned.poison(loop))
    made = loop.steps.once(f"{name}-learn", lambda: learn(loop, name))
    loop.steps.once(f"{name}-visit-again", lambda: people(loop, config.sessions, name, 1))  # by whom it is judged
    if number == config.poisoned_round and config.learner == "log":
        loop.steps.once(f"{name}-pushed", lambda: poisoned.shares(loop, name, made))
    asked = loop.steps.once(f"{name}-gate", lambda: _gate(loop, name, made))
    if asked["passed"]:
        loop.steps.once(f"{name}-canary", lambda: trying.canary(loop, name, asked["version"], ""))
    return asked


def _rewards(loop: Loop, name: str) -> Rewards:
    """By what people did, or by labels of all that is mature now."""
    time.sleep(loop.config.label_window_s)
    if not loop.config.judge_by.endswith("label"):
        return Rewards(loop.config.judge_by)
    labels = loop.folder / "labels" / name
    with exported(loop.store, loop.folder) as export:
        build(export, labels, labels_of(loop), int(time.time() * 1000))
    return Rewards(loop.config.judge_by, labels)


def _gate(loop: Loop, name: str, made: Told) -> Told:
    """What the log since it was made says of a candidate, then ``tacit gate``."""
    policy, rewards, current = loop.folder / made["policy"], _rewards(loop, name), loop.current
    version = loop.registry.add(policy)
    limits = loop.config.gate
    rules = Rules(limits.primary, limits.ess, limits.ess_share, limits.unsupported)
    settings = Settings(seed=loop.config.seed, rules=rules)
    store = open_store(loop.store)
    try:
        out = loop.folder / "ope" / name
        people = Unseen(made["until"], loop.config.learn.held_out)
        found = judge(store, rewards, loop.registry, version, people, out, settings, loop.encoders)
    finally:
        store.close()
    exam, log = made["exam"], str(loop.store)
    asked = ask(
        loop.registry, policy, out / "ope.json", exam, log, limits, seed=loop.config.seed, encoders=loop.encoders
    )
    shown = asked.measured
    return {
        "version": version,
        "current": current,
        "passed": asked.decision.passed,
        "reasons": asked.decision.to_json()["reasons"],
        "verdict": found.verdict,
        "because": found.because,
        "ess": found.diagnostics.ess,
        "rounds": found.rounds,
        "people": found.persons,
        "primary": found.primary,
        "gain": {key: _ends(one.value, one.low, one.high) for key, one in found.differences.items()},
        "shares": None
        if shown is None
        else {"candidate": dict(shown.candidate.shown), "current": dict(shown.current.shown)},
    }


def _ends(*numbers: float) -> list[float | None]:
    return [number if np.isfinite(number) else None for number in numbers]


def _worse_are_refused(loop: Loop) -> str:
    """The version of the worst."""
    _is_refused(loop, "worse", candidates.FLATTER)
    return _is_refused(loop, "worst", candidates.TURNED_ROUND)


def _is_refused(loop: Loop, name: str, factor: float) -> str:
    made = loop.steps.once(f"{name}-make", lambda: _make_worse(loop, name, factor))
    asked = loop.steps.once(f"{name}-gate", lambda: _gate(loop, name, made))
    version = str(asked["version"])
    loop.steps.once(f"{name}-promote", lambda: _promote(loop, version))
    return version


def _make_worse(loop: Loop, name: str, factor: float) -> Told:
    current = loop.registry.path(loop.current)
    policy = candidates.scaled(current, loop.folder / "candidates" / name, factor)
    return {"policy": loop.within(policy), "until": 0, "exam": None, "by": f"by hand: logits times {factor}"}


def _promote(loop: Loop, version: str) -> Told:
    """As ``tacit promote`` would, without force."""
    try:
        loop.registry.promote(version)
    except InputError as error:
        return {"refused": str(error)}
    return {"refused": ""}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
