"""How far off-policy evaluation can be trusted, where the truth is known: simulated logs of small worlds.

    python benchmarks/ope_coverage.py [percent of the work, 100] [file of results so far] [coverage|verdict|fault]

Three tables: how often a 95 % interval holds the truth (700 logs for each of three kinds of reward); what the verdict
says of policies that are worse, as good, or clearly better (200 worlds each); and how often wrong probabilities are
noticed. Each log has a world and a generator of its own. With a file, what is done is kept there and not done again.
The last word does one table alone.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tacit.offpolicy import Log, Settings, evaluate
from tacit.offpolicy.evaluate import LOGGED, estimators
from tacit.offpolicy.inference import intervals
from tacit.offpolicy.reward_model import cross_fitted
from tacit.offpolicy.worlds import FAULTS, Fault, Rewards, World, corrupted, probabilities
from tacit.run.files import atomic_write
from tacit.types import Floats64, InputError

SEED = 20
LOGS, WORLDS = 700, 200
CONTEXTS, ITEMS = 20, 6
ROUNDS_COVERAGE, ROUNDS = 800, 2_000
DRAWS = 300
EPSILON = 0.1
REWARDS: tuple[Rewards, ...] = ("independent", "cascade", "whole slate")
ESTIMATORS = ("SNIPS", "snRIPS", "cascade-DR", "snPI", "IIPS", "IPS", "RIPS")
SHARED = ("other logits", "logits doubled")
# Relative gains of the policies to be judged, from and to; drawn evenly.
GAINS = {"worse by 2 to 20 %": (-0.2, -0.02), "as good": (0.0, 0.0), "better by 10 to 20 %": (0.1, 0.2)}


def world(part: int, number: int, rewards: Rewards) -> tuple[World, Floats64, np.random.Generator]:
    """A world, what is served in it, and the generator of everything else."""
    generator = np.random.default_rng([SEED, part, number])
    made = World.random(generator, CONTEXTS, ITEMS, rewards)
    return made, made.policy(generator, knows=0.3, noise=0.5), generator


def with_gain(made: World, logged: Floats64, gain: float, generator: np.random.Generator) -> Floats64:
    """A policy that earns ``gain`` more than the one served, relatively; it differs from it in other ways, too."""
    aside = logged + 0.2 * generator.normal(size=logged.shape)
    wanted = (1.0 + gain) * made.value(logged, EPSILON)
    low, high = -3.0, 3.0
    for _ in range(9):
        middle = (low + high) / 2.0
        if made.value(aside + middle * made.strength, EPSILON) < wanted:
            low = middle
        else:
            high = middle
    return np.asarray(aside + low * made.strength)


def coverage(rewards: Rewards, number: int) -> dict[str, Any]:
    """Of each estimator: does its interval hold the truth, how wide is it, and how far off is the value."""
    made, logged, generator = world(REWARDS.index(rewards), number, rewards)
    target = logged + generator.uniform(-0.4, 0.6) * made.strength + 0.2 * generator.normal(size=logged.shape)
    log, truth = made.log(logged, target, ROUNDS_COVERAGE, generator, EPSILON), made.value(target, EPSILON)
    terms = estimators(log, cross_fitted(log, generator))
    gain = truth - made.value(logged, EPSILON)
    contrasts = {name: {name: 1.0} for name in ESTIMATORS}
    contrasts |= {f"{name} - {LOGGED}": {name: 1.0, LOGGED: -1.0} for name in ESTIMATORS}
    found = intervals(terms, contrasts, log.clusters, generator, DRAWS)
    rows = {}
    for name in ESTIMATORS:
        value, difference = found[name], found[f"{name} - {LOGGED}"]
        held = value.low <= truth <= value.high, difference.low <= gain <= difference.high
        rows[name] = [float(held[0]), float(held[1]), (value.high - value.low) / truth, (value.value - truth) / truth]
    return rows


def verdicts(kind: str, rounds: int, number: int) -> dict[str, Any]:
    """The verdict on a policy whose gain is known, and the checks that failed though nothing was wrong."""
    made, logged, generator = world(10 + list(GAINS).index(kind), number, "cascade")
    target = with_gain(made, logged, generator.uniform(*GAINS[kind]), generator)
    found = evaluate(made.log(logged, target, rounds, generator, EPSILON), Settings(draws=DRAWS, seed=number))
    failed = [name for name, check in found.checks.items() if check.passed is False]
    return {"verdict": found.verdict, "failed": failed, "ess": found.diagnostics.ess}


def faults(fault: Fault, number: int) -> dict[str, Any]:
    """What was noticed of probabilities that are wrong."""
    made, logged, generator = world(20, number, "cascade")
    target = with_gain(made, logged, 0.1, generator)
    other = logged + 0.7 * generator.normal(size=logged.shape)
    log = made.log(logged, target, ROUNDS, generator, EPSILON)
    return {"noticed": _noticed(log, fault, other, logged, number)}


def shared_faults(fault: str, number: int) -> dict[str, Any]:
    """What is noticed where both policies' probabilities are wrong alike, in a table without contexts and versions."""
    made, logged, generator = world(30, number, "cascade")
    target = with_gain(made, logged, 0.1, generator)
    log = made.log(logged, target, ROUNDS, generator, EPSILON)
    assert log.contexts is not None and log.items is not None
    contexts, slates = log.contexts.astype(np.int64), log.items.astype(np.int64)
    drift = 0.7 * generator.normal(size=logged.shape)
    wrong = [policy + drift if fault == "other logits" else 2.0 * policy for policy in (logged, target)]
    p = [probabilities(policy[contexts], slates, EPSILON) for policy in wrong]
    bare = replace(log, contexts=None, versions=None, explored=None, epsilon=None, candidates=None)
    found = evaluate(replace(bare, logged=p[0], target=p[1]), Settings(draws=DRAWS, seed=number))
    return {"noticed": [name for name, check in found.checks.items() if check.passed is False]}


def _noticed(log: Log, fault: Fault, other: Floats64, logged: Floats64, number: int) -> list[str]:
    try:
        found = evaluate(corrupted(log, fault, other, logged), Settings(draws=DRAWS, seed=number))
    except InputError:
        return ["refused"]
    return [name for name, check in found.checks.items() if check.passed is False]


def work(share: float) -> dict[str, tuple[int, Callable[[int], dict[str, Any]]]]:
    """By name: how many, and what is done for each number."""
    logs, worlds = max(2, round(LOGS * share)), max(2, round(WORLDS * share))
    jobs: dict[str, tuple[int, Callable[[int], dict[str, Any]]]] = {}
    for rewards in REWARDS:
        jobs[f"coverage: {rewards}"] = logs, lambda i, r=rewards: coverage(r, i)
    for kind in GAINS:
        jobs[f"verdict: {kind}"] = worlds, lambda i, k=kind: verdicts(k, ROUNDS, i)
    jobs["verdict, 180 rounds: better by 10 to 20 %"] = worlds, lambda i: verdicts("better by 10 to 20 %", 180, i)
    for fault in FAULTS:
        jobs[f"fault: {fault}"] = worlds, lambda i, f=fault: faults(f, i)
    for alike in SHARED:
        jobs[f"fault of both: {alike}"] = worlds, lambda i, f=alike: shared_faults(f, i)
    return jobs


def main() -> None:
    share = float(sys.argv[1]) / 100.0 if len(sys.argv) > 1 else 1.0
    file = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    done: dict[str, list[Any]] = json.loads(file.read_text()) if file and file.exists() else {}
    only = sys.argv[3] if len(sys.argv) > 3 else ""
    for name, (count, one) in work(share).items():
        if not name.startswith(only):
            continue
        rows = done.setdefault(name, [])
        while len(rows) < count:
            rows.append(one(len(rows)))
            if file and (len(rows) % 50 == 0 or len(rows) == count):
                atomic_write(file, json.dumps(done) + "\n")
        report(name, done[name])
        sys.stdout.flush()


def report(name: str, rows: list[Any]) -> None:
    kind, _, _ = name.partition(": ")
    print(f"\n{name}, {len(rows)} {'logs' if kind == 'coverage' else 'worlds'}")
    if kind == "coverage":
        for estimator in ESTIMATORS:
            held, gain, width, off = np.mean([row[estimator] for row in rows], axis=0)
            print(f"  {estimator:11} holds the value {held:6.1%}, the gain {gain:6.1%}", end="")
            print(f", width {width:6.1%}, bias {off:+6.2%}")
    elif kind.startswith("fault"):
        print(f"  noticed {np.mean([bool(row['noticed']) for row in rows]):.1%}", end="; by ")
        print(dict(Counter(first for row in rows for first in row["noticed"]).most_common()))
    else:
        print(
            "  " + ", ".join(f"{said} {n / len(rows):.1%}" for said, n in Counter(r["verdict"] for r in rows).items())
        )
        print(f"  a check failed in {np.mean([bool(row['failed']) for row in rows]):.1%}", end=": ")
        print(dict(Counter(one for row in rows for one in row["failed"])), end="; ")
        print(f"median effective rounds {np.median([row['ess'] for row in rows]):.0f}")


if __name__ == "__main__":
    main()
