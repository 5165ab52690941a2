"""Serve, observe, label, learn, judge, gate, try, promote or roll back: three times over, and what must be refused."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from tacit.catalog import Catalog
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.reward.verdict import ValidationReport
from tacit.dialogue.users.crowd import UserWorld
from tacit.events.store import open_store
from tacit.labels.build import build
from tacit.labels.log import exported
from tacit.labels.settings import LabelSettings
from tacit.offpolicy.evaluate import Settings
from tacit.offpolicy.verdict import Rules
from tacit.pipelines import dialogue
from tacit.pipelines.learn import rounds
from tacit.pipelines.loop import candidates
from tacit.pipelines.loop.judging import judge
from tacit.pipelines.loop.report import write
from tacit.pipelines.loop.serving import serving
from tacit.pipelines.loop.settings import LoopConfig
from tacit.pipelines.loop.steps import Steps
from tacit.pipelines.loop.visitors import Visit, fake_visits, visit
from tacit.run.files import read_json
from tacit.run.lock import exclusive
from tacit.serve.gatekeeper import ask
from tacit.serve.registry import Registry
from tacit.types import InputError

ASKS = ("Can you recommend something?", "I would like to watch something tonight.", "What is good?")
Told = dict[str, Any]


@dataclass(frozen=True)
class Loop:
    """Where everything is. ``base`` is the address of the server that runs."""

    config: LoopConfig
    folder: Path
    world: UserWorld
    registry: Registry
    steps: Steps
    base: str

    @property
    def store(self) -> Path:
        return self.registry.folder.parent / "log.sqlite"


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
            for number in range(1, config.rounds + 1):
                _round(loop, number)
            worst = _worse_are_refused(loop)
            # by force, past the gate: live signals must end it
            loop.steps.once("worst-canary", lambda: _try(loop, "worst", worst, "to show that live signals end it"))
            loop.steps.once("rollback", lambda: _take_back(loop, worst))
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


def _round(loop: Loop, number: int) -> None:
    name, config = f"round-{number}", loop.config
    loop.steps.once(f"{name}-visit", lambda: _visit(loop, config.sessions, name))
    if number == config.poisoned_round:
        loop.steps.once(f"{name}-poison", lambda: _poison(loop))
    made = loop.steps.once(f"{name}-learn", lambda: _learn(loop, name))
    loop.steps.once(f"{name}-visit-again", lambda: _visit(loop, config.sessions, name, 1))  # by whom it is judged
    asked = loop.steps.once(f"{name}-gate", lambda: _gate(loop, name, made))
    if asked["passed"]:
        loop.steps.once(f"{name}-canary", lambda: _try(loop, name, asked["version"], ""))


def _visit(loop: Loop, sessions: int, name: str, seed: int = 0) -> Told:
    generator = np.random.default_rng([loop.config.seed, seed, *name.encode()])
    return _told(visit(loop.base, loop.world, sessions, generator, f"{name}-{seed}-", loop.config.visit))


def _told(found: Visit) -> Told:
    return {
        "hidden": found.hidden.tolist(),
        "versions": [list(versions) for versions in found.versions],
        "accepted": found.accepted,
        "left": found.left,
        "slates": len(found.slates),
        "shown": dict(Counter(item for slate in found.slates for item in slate)),
        "rejected_events": found.rejected_events,
    }


def _poison(loop: Loop) -> Told:
    """5 % of the round's sessions come from 1 % of its accounts, and push an item that nobody asks for."""
    config = loop.config
    sessions = max(round(config.sessions * config.fake_sessions / (1.0 - config.fake_sessions)), 1)
    accounts = max(round(config.sessions * config.fake_accounts), 1)
    target = _unpopular(loop.world.catalog)
    shown = fake_visits(loop.base, target, sessions, accounts, ASKS, config.visit)
    return {"target": target, "sessions": sessions, "accounts": accounts, "target_shown_to_them": shown}


def _unpopular(catalog: Catalog) -> str:
    return catalog.items[int(np.argmin(catalog.counts))].id


def _learn(loop: Loop, name: str) -> Told:
    """A candidate; ``until`` is when the log it was made from ends."""
    time.sleep(loop.config.label_window_s)
    if loop.config.learner == "log":
        return _learn_from_log(loop)
    current = loop.registry.path(_current(loop))
    policy = candidates.scaled(current, loop.folder / "candidates" / name, candidates.SHARPER)
    return {"policy": _within(loop, policy), "until": 0, "exam": None, "by": "by hand: logits made sharper"}


def _learn_from_log(loop: Loop) -> Told:
    """`tacit learn`: a round of its own, which goes on where it was killed."""
    labels = LabelSettings(window_s=loop.config.label_window_s)
    policy = str(loop.registry.path(_current(loop)))
    asked = replace(loop.config.learn, store=str(loop.store), policy=policy, labels=labels, seed=loop.config.seed)
    made = rounds.once(asked, loop.folder / "start").folder
    told = read_json(made / "round.json", "delete the round's folder, and it is done again.")
    return {
        "policy": _within(loop, made / "step" / "policy"),
        "until": told["labels"]["as_of"],
        # the other methods train on labels, and use no reward model
        "exam": ValidationReport.load(made / "reward" / "validation.json").passed if asked.method == "ppo" else None,
        "by": f"tacit learn, {asked.method}",
        "round": told,
    }


def _label(loop: Loop, name: str) -> Path:
    """Of all that is mature now."""
    time.sleep(loop.config.label_window_s)
    labels = loop.folder / "labels" / name
    with exported(loop.store, loop.folder) as export:
        build(export, labels, LabelSettings(window_s=loop.config.label_window_s), int(time.time() * 1000))
    return labels


def _within(loop: Loop, path: Path) -> str:
    return str(path.relative_to(loop.folder))


def _gate(loop: Loop, name: str, made: Told) -> Told:
    """What the log since it was made says of a candidate, then ``tacit gate``."""
    policy, labels, current = loop.folder / made["policy"], _label(loop, name), _current(loop)
    version = loop.registry.add(policy)
    limits = loop.config.gate
    rules = Rules(ess=limits.ess, ess_share=limits.ess_share, unsupported=limits.unsupported)
    settings = Settings(seed=loop.config.seed, rules=rules)
    store = open_store(loop.store)
    try:
        out = loop.folder / "ope" / name
        found = judge(store, labels, loop.registry, version, made["until"], out, settings)
    finally:
        store.close()
    exam, log = made["exam"], str(loop.store)
    asked = ask(loop.registry, policy, out / "ope.json", exam, log, limits, seed=loop.config.seed)
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
        "gain": {key: _ends(one.value, one.low, one.high) for key, one in found.differences.items()},
        "shares": None
        if shown is None
        else {"candidate": dict(shown.candidate.shown), "current": dict(shown.current.shown)},
    }


def _ends(*numbers: float) -> list[float | None]:
    return [number if np.isfinite(number) else None for number in numbers]


def _try(loop: Loop, name: str, version: str, force: str) -> Told:
    """A canary, with people talking, until the server has promoted it or taken it back."""
    config = loop.config.canary
    loop.registry.begin_canary(version, config.first_share, f"{name} of the loop", force=force)
    visits = list[Told]()
    for batch in range(loop.config.canary_visits):
        visits.append(_visit(loop, loop.config.sessions, f"{name}-canary", batch))
        time.sleep(config.window_s + 2 * config.check_s)
        if loop.registry.pointer().canary is None:
            break
    ended = ""
    if loop.registry.pointer().canary is not None:
        ended = "still running: taken back by the operator"
        loop.registry.rollback("live signals have told nothing yet, and the loop goes on")
    row = loop.registry.audit.rows()[-1]
    return {
        "version": version,
        "ended": ended or row.what,
        "why": row.why,
        "look": row.details.get("look"),
        "current": _current(loop),
        "visits": visits,
    }


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
    current = loop.registry.path(_current(loop))
    policy = candidates.scaled(current, loop.folder / "candidates" / name, factor)
    return {"policy": _within(loop, policy), "until": 0, "exam": None, "by": f"by hand: logits times {factor}"}


def _promote(loop: Loop, version: str) -> Told:
    """As ``tacit promote`` would, without force."""
    try:
        loop.registry.promote(version)
    except InputError as error:
        return {"refused": str(error)}
    return {"refused": ""}


def _take_back(loop: Loop, version: str) -> Told:
    """Promoted by force, then rolled back: seconds until the server follows, and by what people were answered."""
    if _current(loop) == version:
        loop.registry.rollback("the loop goes on without it")  # live signals let it pass
    before = _current(loop)
    loop.registry.promote(version, force="to show a rollback")
    _wait_for(loop, version)
    visits = list[Told]()
    people = threading.Thread(target=lambda: visits.append(_visit(loop, loop.config.sessions, "rollback")))
    people.start()
    time.sleep(1.0)
    asked = time.monotonic()
    loop.registry.rollback("the loop shows a rollback")
    _wait_for(loop, before)
    took_s = time.monotonic() - asked
    people.join()
    late = _visit(loop, 20, "after-rollback")
    return {
        "seconds": took_s,
        "back_to": before,
        "answers_by_version": dict(Counter(one for answered in visits[0]["versions"] for one in answered)),
        "afterwards": dict(Counter(one for answered in late["versions"] for one in answered)),
    }


def _wait_for(loop: Loop, version: str) -> None:
    """Until the server says that it serves this version."""
    with httpx.Client(base_url=loop.base, trust_env=False, timeout=60) as http:
        token = http.get("/v1/session").json()["token"]
        end = time.monotonic() + 60
        while time.monotonic() < end:
            answer = http.get("/v1/models", headers={"Authorization": f"Bearer {token}"})
            if answer.status_code == 200 and answer.json()["data"][0]["policy_version"] == version:
                return
            time.sleep(0.05)
    raise InputError(f"The server did not follow the registry to {version}: {loop.folder / 'serve.log'} says why.")


def _current(loop: Loop) -> str:
    current = loop.registry.current()
    assert current is not None  # the server made its first one current when it started
    return current


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
