"""How often the gate itself lets a policy through, where the truth is known: simulated worlds, a log of each.

    python benchmarks/gate.py [percent of the work, 100] [file of results so far]

In each world a policy serves some rounds and another one asks to follow it. The evaluation reads the log, the guards
compare what both show in the same contexts, and ``tacit.offpolicy.gate.decide`` has the last word, as ``tacit gate``
does: once where both intervals decide, once where snRIPS was named beforehand. 200 worlds each of a policy that is
truly worse, as good, clearly better, and of one that is better and pushes a single item into most slates; people who
read from the top, and people whom the whole slate sways, which snRIPS is not made for. Each world has a generator of
its own; with a file, what is done is kept there.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ope_coverage import CONTEXTS, DRAWS, EPSILON, GAINS, ITEMS, ROUNDS, WORLDS, with_gain
from tacit.offpolicy import Log, Settings, evaluate
from tacit.offpolicy.evaluate import Evaluation
from tacit.offpolicy.gate import GateConfig, decide
from tacit.offpolicy.guards import Measured, Side
from tacit.offpolicy.verdict import LEADING, Primary, Rules, verdict
from tacit.offpolicy.worlds import Rewards, World, draw, probabilities
from tacit.run.files import atomic_write
from tacit.types import Floats64

SEED = 21
PUSHED = "better by 10 to 20 %, pushing one item"
KINDS = {**GAINS, PUSHED: GAINS["better by 10 to 20 %"]}
# Rounds, effective ones that are asked for, and how people read; the last is the size of `tacit loop`.
LOGS: dict[str, tuple[int, float, Rewards]] = {
    "2,000 rounds, from the top": (ROUNDS, 200.0, "cascade"),
    "2,000 rounds, the whole slate": (ROUNDS, 200.0, "whole slate"),
    "450 rounds, from the top": (450, 100.0, "cascade"),
    "450 rounds, the whole slate": (450, 100.0, "whole slate"),
}
PRIMARIES: tuple[Primary, ...] = ("both", "snRIPS")
PUSH = 3.0  # logits, of the item that is pushed, in every context
WORDS = 12.0  # of a reply: these policies differ in their slates alone
ANNOYED = 0.3  # of the slates that nobody clicks are refused so often
CONTEXTS_ASKED = 2 * GateConfig().guards.contexts


def measured(log: Log, logged: Floats64, target: Floats64, generator: np.random.Generator) -> Measured:
    """What the guards look at: both policies answer contexts of the log without ε, as the server's guards ask them to;
    how often what they show is refused is told by the log, weighed by importance."""
    contexts = generator.integers(CONTEXTS, size=CONTEXTS_ASKED)
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


def asked(kind: str, log_of: str, number: int) -> dict[str, Any]:
    """One world: was the policy let through, by which rules not, and what it truly gains."""
    rounds, ess, rewards = LOGS[log_of]
    place = list(LOGS).index(log_of)
    generator = np.random.default_rng([SEED, list(KINDS).index(kind), number, *([place] if place else [])])
    made = World.random(generator, CONTEXTS, ITEMS, rewards)
    logged = made.policy(generator, knows=0.3, noise=0.5)
    target = with_gain(made, logged, generator.uniform(*KINDS[kind]), generator)
    if kind == PUSHED:
        target[:, generator.integers(ITEMS)] += PUSH
    log = made.log(logged, target, rounds, generator, EPSILON)
    found = evaluate(log, Settings(draws=DRAWS, seed=number, rules=Rules(ess=ess)), "candidate")
    guards = measured(log, logged, target, generator)
    gain = made.value(target, EPSILON) / made.value(logged, EPSILON) - 1.0
    return {"gain": gain, **{primary: word(found, guards, primary, ess) for primary in PRIMARIES}}


def word(found: Evaluation, guards: Measured, primary: Primary, ess: float) -> list[str]:
    """The rules by which the gate refuses, when ``primary`` was named beforehand; none: let through."""
    leading = {name: found.differences[name] for name in LEADING}
    seen, rules = found.diagnostics, Rules(primary=primary, ess=ess)
    said, because = verdict(leading, seen.ess, seen.ess_share, seen.unsupported_mass, found.checks, rules)
    report = replace(found, primary=primary, verdict=said, because=because).as_json()
    config = GateConfig(primary=primary, ess=ess, need_exam=False)  # these policies were trained on no reward
    decision = decide(report, guards, None, "candidate", "served", config)
    return [reason.rule for reason in decision.reasons if reason.passed is not True]


def rows(kind: str, log_of: str, done: list[dict[str, Any]], count: int) -> Iterator[dict[str, Any]]:
    yield from done[:count]
    for number in range(len(done), count):
        yield asked(kind, log_of, number)


def main() -> None:
    count = max(2, round(WORLDS * (float(sys.argv[1]) / 100.0 if len(sys.argv) > 1 else 1.0)))
    file = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    done: dict[str, list[dict[str, Any]]] = json.loads(file.read_text()) if file and file.exists() else {}
    for log_of, kind in product(LOGS, KINDS):
        name, found = f"{log_of}; {kind}", list[dict[str, Any]]()
        for row in rows(kind, log_of, done.get(name, []), count):
            found.append(row)
            if file and (len(found) % 20 == 0 or len(found) == count):
                atomic_write(file, json.dumps({**done, name: found}) + "\n")
        done[name] = found
        report(name, found)


def report(name: str, found: list[dict[str, Any]]) -> None:
    gains = [row["gain"] for row in found]
    print(f"\n{name}, {len(found)} worlds; true gain {min(gains):+.1%} to {max(gains):+.1%}")
    for primary in PRIMARIES:
        rules = Counter(rule for row in found for rule in row[primary])
        passed = np.mean([not row[primary] for row in found])
        print(f"  {primary}: let through {passed:.1%}; refused by ", end="")
        print(", ".join(f"{rule} {n}" for rule, n in rules.most_common()) or "none", flush=True)


if __name__ == "__main__":
    main()
