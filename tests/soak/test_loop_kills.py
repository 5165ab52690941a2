"""kill -9 of the whole circle in the middle of its steps: one verified version is current, and it ends as one that ran
through."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from places import ROOT
from tiny_run import TINY

from tacit.run.lock import exclusive
from tacit.serve.registry import Registry

KILLS = min(int(os.environ.get("TACIT_SOAK_KILLS", "20")), 12)
SEED = int(os.environ.get("TACIT_SOAK_SEED", "0") or 0)
SMALL = ["rounds=1", "poisoned_round=1", "sessions=12", "fresh_people=12", "canary_visits=1",
         "canary.sessions=4", "canary.window_s=4", "visit.max_turns=2", "learn.step.least_ess=1", "learn.held_out=0.5",
         "learn.reward.exam.contexts=4"]  # fmt: skip
STEPS = ("round-1-visit", "round-1-poison", "round-1-learn", "round-1-visit-again", "round-1-pushed", "round-1-gate",
         "worse-gate", "worst-make", "worst-gate", "worst-promote", "worst-canary", "rollback",
         "fresh-people")  # fmt: skip
LONG_S = 900.0  # that a loaded machine may take for one step


def start(out: Path) -> subprocess.Popen[bytes]:
    settings = [part for part in TINY if part.startswith(("data.", "policy.", "sft.", "dtype="))]
    settings += ["sft.encoder_trainable=false"]
    command = [sys.executable, "-m", "tacit.cli.main", "loop", str(ROOT / "configs" / "loop.yaml"), f"out={out}"]
    given = [*SMALL, f"settings=[{', '.join(settings)}]"]
    with open(out.with_suffix(".txt"), "ab") as said:
        return subprocess.Popen([*command, *given], stdout=said, stderr=said, cwd=ROOT)


def killed_in(process: subprocess.Popen[bytes], out: Path, step: str, after_s: float) -> bool:
    """Killed so long after the step before was done, the first one after it had begun; False where it ended first."""
    path, before = out / "steps", STEPS[: STEPS.index(step)]
    end = time.monotonic() + LONG_S
    served = out / "serve" / "registry" / "current.json"
    while not all((path / f"{name}.json").is_file() for name in before) or not served.is_file():
        assert time.monotonic() < end, out.with_suffix(".txt").read_text()
        if process.poll() is not None:
            return False
        time.sleep(0.05)
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return True


def one_version_is_current(out: Path) -> str:
    """The server has ended with the loop; the audit's chain holds, and the pointer names files that are whole."""
    end = time.monotonic() + 60.0
    while True:
        try:
            with exclusive(out / "serve", ".serving.lock"):
                break
        except Exception:
            assert time.monotonic() < end, "the server outlived the loop that started it"
            time.sleep(0.1)
    registry = Registry(out / "serve" / "registry")
    assert registry.faults() == []
    current = registry.current()
    assert current is not None and current == registry.history()[-1]
    return current


def ended(out: Path) -> dict[str, object]:
    told = json.loads((out / "loop.json").read_text())
    assert told["audit"]["faults"] == []
    return {"rounds": [(one["round"], one["passed"]) for one in told["rounds"]], "refused": told["refused"],
            "current": one_version_is_current(out), "steps": sorted(told["seconds"])}  # fmt: skip


def test_wherever_it_is_killed_one_version_is_current_and_it_ends_the_same(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert start(whole).wait(LONG_S) == 0, whole.with_suffix(".txt").read_text()
    shutil.copytree(whole / "start", broken / "start", ignore=shutil.ignore_patterns("learn", ".lock"))
    chance = random.Random(SEED)
    steps, kills = sorted(chance.sample(STEPS, min(KILLS, len(STEPS))), key=STEPS.index), 0
    for step in steps:
        kills += killed_in(start(broken), broken, step, chance.uniform(0.0, 3.0))
        print(f"killed in {step}: {one_version_is_current(broken)} is current")
    assert start(broken).wait(LONG_S) == 0, broken.with_suffix(".txt").read_text()
    assert kills >= len(steps) - 1 and ended(broken) == ended(whole)
