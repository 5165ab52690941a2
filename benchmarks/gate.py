"""How often the gate itself lets a policy through, where the truth is known: simulated worlds, a log of each.

    python benchmarks/gate.py [percent of the work, 100] [file of results so far]

In each world a policy serves 2,000 rounds and another one asks to follow it. The evaluation reads the log, the guards
compare what both show in the same contexts, and ``tacit.offpolicy.gate.decide`` has the last word, as ``tacit gate``
does. 200 worlds each of a policy that is truly worse, as good, clearly better, and of one that is better and pushes a
single item into most slates. Each world has a generator of its own; with a file, what is done is kept there.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ope_coverage import CONTEXTS, DRAWS, EPSILON, GAINS, ITEMS, ROUNDS, WORLDS, with_gain
from tacit.offpolicy import Log, Settings, evaluate
from tacit.offpolicy.gate import GateConfig, decide
from tacit.offpolicy.guards import Measured, Side
from tacit.offpolicy.worlds import World, draw, probabilities
from tacit.run.files import atomic_write
from tacit.types import Floats64

SEED = 21
PUSHED = "better by 10 to 20 %, pushing one item"
KINDS = {**GAINS, PUSHED: GAINS["better by 10 to 20 %"]}
PUSH = 3.0  # logits, of the item that is pushed, in every context
WORDS = 12.0  # of a reply: these policies differ in their slates alone
ANNOYED = 0.3  # of the slates that nobody clicks are refused so often
CONFIG = GateConfig(need_exam=False)  # these policies were trained on no reward


def measured(log: Log, logged: Floats64, target: Floats64, generator: np.random.Generator) -> Measured:
    """What the guards look at: both policies answer contexts of the log without ε, as the server's guards ask them to;
    how often what they show is refused is told by the log, weighed by importance."""
    contexts = generator.integers(CONTEXTS, size=2 * CONFIG.guards.contexts)
    sides, slates = list[Side](), []
    for logits in (target, logged):
        shown, _, _ = draw(logits[contexts], log.places, 0.0, generator)
        slates.append(shown)
        sides.append(Side(WORDS, Counter(f"item-{item}" for item in shown.ravel())))
    own, other = (probabilities(logits[contexts], slates[0], 0.0) for logits in (target, logged))
    weights = (log.target / log.logged).prod(axis=1)
    assert log.rewards is not None
    refused = (log.rewards.sum(axis=1) == 0.0) & (generator.random(log.n) < ANNOYED)
    return Measured(
        len(contexts),
        sides[0],
        sides[1],
        float(np.log(own / other).sum(axis=1).mean()),
        float(weights @ refused / weights.sum()),
        float(refused.mean()),
    )


def asked(kind: str, number: int) -> dict[str, Any]:
    """One world: was the policy let through, by which rules not, and what it truly gains."""
    generator = np.random.default_rng([SEED, list(KINDS).index(kind), number])
    made = World.random(generator, CONTEXTS, ITEMS, "cascade")
    logged = made.policy(generator, knows=0.3, noise=0.5)
    target = with_gain(made, logged, generator.uniform(*KINDS[kind]), generator)
    if kind == PUSHED:
        target[:, generator.integers(ITEMS)] += PUSH
    log = made.log(logged, target, ROUNDS, generator, EPSILON)
    found = evaluate(log, Settings(draws=DRAWS, seed=number), "candidate")
    guards = measured(log, logged, target, generator)
    decision = decide(found.as_json(), guards, None, "candidate", "served", CONFIG)
    return {
        "passed": decision.passed,
        "refused_by": [reason.rule for reason in decision.reasons if reason.passed is not True],
        "gain": made.value(target, EPSILON) / made.value(logged, EPSILON) - 1.0,
        "verdict": found.verdict,
    }


def rows(kind: str, done: list[dict[str, Any]], count: int) -> Iterator[dict[str, Any]]:
    yield from done[:count]
    for number in range(len(done), count):
        yield asked(kind, number)


def main() -> None:
    count = max(2, round(WORLDS * (float(sys.argv[1]) / 100.0 if len(sys.argv) > 1 else 1.0)))
    file = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    done: dict[str, list[dict[str, Any]]] = json.loads(file.read_text()) if file and file.exists() else {}
    for kind in KINDS:
        found = list[dict[str, Any]]()
        for row in rows(kind, done.get(kind, []), count):
            found.append(row)
            if file and (len(found) % 20 == 0 or len(found) == count):
                atomic_write(file, json.dumps({**done, kind: found}) + "\n")
        done[kind] = found
        report(kind, found)


def report(kind: str, found: list[dict[str, Any]]) -> None:
    passed, gains = np.mean([row["passed"] for row in found]), [row["gain"] for row in found]
    print(f"\n{kind}, {len(found)} worlds: let through {passed:.1%}; true gain {min(gains):+.1%} to {max(gains):+.1%}")
    rules = Counter(rule for row in found for rule in row["refused_by"])
    print("  refused by " + (", ".join(f"{rule} {n}" for rule, n in rules.most_common()) or "none"), flush=True)


if __name__ == "__main__":
    main()
