"""How often rounds of learning and judging tell a better candidate better, by how many people there are to ask.

    python benchmarks/loop_power.py RUN [seeds, 20]

RUN holds a supervised policy and simulated users (`tacit sft configs/demo.yaml`). The users look and click by their own
rules; nobody speaks, and nobody leaves, so that a seed costs a second and not ten minutes: this says what sizes
`tacit loop` needs, and is no proof of it. In each of three rounds the candidate is made of all clicks so far
(method=items), and judged on people it has not learnt from; one that is told better is served from then on. Once both
intervals decide, once snRIPS was named beforehand; of what was told better, how often 4,000 fresh people disagree.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.train.item_credit import credible
from tacit.dialogue.users import behaviour as act
from tacit.dialogue.users.crowd import UserWorld
from tacit.dialogue.users.people import draw_people, utility
from tacit.offpolicy import Log, Settings, evaluate
from tacit.offpolicy.verdict import Primary, Rules
from tacit.offpolicy.worlds import draw, probabilities
from tacit.types import Floats64

EPSILON, PLACES, TURNS, ROUNDS, KL = 0.05, 5, 3, 3, 0.5
SIZES = ((80, 80), (160, 160), (320, 320))  # people to learn from, people to judge by, a round
QUALITIES = (0.3, 1.0)  # weight of what all agree on, beside each one's own taste
PRIMARIES: tuple[Primary, ...] = ("both", "snRIPS")
FRESH = 4_000


class Visits:
    """People of one world, each with slates in contexts of the policy's own first answers."""

    def __init__(self, world: UserWorld, logits: Floats64, quality: float) -> None:
        self.world, self.logits = world, logits
        self.config = replace(world.config.people, quality=quality)

    def come(self, n: int, bias: Floats64, generator: np.random.Generator) -> dict[str, Any]:
        """n people: contexts, slates, probabilities, who saw and clicked what, and the utility of what was shown."""
        people = draw_people(self.world.taste, self.config, n, generator)
        who = np.repeat(np.arange(n), TURNS)
        contexts = generator.integers(len(self.logits), size=len(who))
        slates, drawn, explored = draw(self.logits[contexts] + bias, PLACES, EPSILON, generator)
        worth = np.zeros(slates.shape)
        for turn in range(TURNS):
            worth[turn::TURNS] = utility(people, self.world.taste, self.config, np.arange(n), slates[turn::TURNS])
        mask, rules = np.ones(slates.shape, dtype=np.bool_), self.world.config.behaviour
        patience, reach = people.patience[who], people.traits.reach[who]
        seen = act.examine(worth, mask, patience, reach, generator.random(slates.shape), rules)
        clicked = act.click(worth, seen, generator.random(slates.shape), rules)
        return {"who": who, "contexts": contexts, "slates": slates, "drawn": drawn, "explored": explored,
                "seen": seen, "clicked": clicked, "worth": float(worth.mean())}  # fmt: skip


def learnt(log: list[dict[str, Any]], bias: Floats64, logits: Floats64) -> Floats64:
    """The bias of a candidate: credit of all clicks so far, as far as KL from the current one allows."""
    value, item = [], []
    for part in log:
        rate = part["clicked"].sum(0) / np.maximum(part["seen"].sum(0), 1)
        value.append((part["clicked"] - rate)[part["seen"]])
        item.append(part["slates"][part["seen"]])
    values = np.concatenate(value)
    way = credible(values, np.ones(len(values)), np.concatenate(item), len(bias)).item
    low, high = 0.0, 64.0
    for _ in range(12):
        middle = (low + high) / 2.0
        low, high = (middle, high) if PLACES * divergence(logits + bias, middle * way) <= KL else (low, middle)
    return bias + low * way


def divergence(logits: Floats64, way: Floats64) -> float:
    """KL of the first place, nats: what a slate of a few out of many has at each of its places, nearly."""
    old, new = (torch.log_softmax(torch.from_numpy(x[:200]), dim=1) for x in (logits, logits + way))
    return float((new.exp() * (new - old)).sum(1).mean())


def seed(visits: Visits, people: tuple[int, int], number: int, primary: Primary) -> tuple[int, int, float, float]:
    """(candidates told better, those of them that are worth less, mean utility of what was shown in round 1, and of
    what would be shown at the end)"""
    generator, rules = np.random.default_rng([number, *people]), Rules(primary=primary, ess=100.0)
    bias, log, told, wrong, first = np.zeros(visits.logits.shape[1]), list[dict[str, Any]](), 0, 0, 0.0
    worth = visits.come(FRESH, bias, np.random.default_rng(number))["worth"]
    for turn in range(ROUNDS):
        log.append(visits.come(people[0], bias, generator))
        first = first if turn else log[0]["worth"]
        candidate, judging = learnt(log, bias, visits.logits), visits.come(people[1], bias, generator)
        table = Log(
            logged=judging["drawn"],
            target=probabilities(visits.logits[judging["contexts"]] + candidate, judging["slates"], EPSILON),
            rewards=judging["clicked"].astype(np.float64),
            users=judging["who"],
            sessions=judging["who"].astype(str),
        )
        found = evaluate(table, Settings(draws=200, seed=number, rules=rules))
        log.append(judging)
        if found.verdict == "better":
            then = visits.come(FRESH, candidate, np.random.default_rng(number))["worth"]
            told, wrong, bias, worth = told + 1, wrong + (then < worth), candidate, then
    return told, wrong, first, worth


def main() -> None:
    run, seeds = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 20
    policy = Policy.from_pretrained(run / "sft" / "policy")
    world = UserWorld.load(run / "users", policy.catalog)
    contexts = world.start(300, np.random.default_rng(0), "").dialogues
    logits = policy.slate_logits(contexts).double().numpy()
    for quality, people, primary in product(QUALITIES, SIZES, PRIMARIES):
        rows = [seed(Visits(world, logits, quality), people, number, primary) for number in range(seeds)]
        told, wrong = [row[0] for row in rows], sum(row[1] for row in rows)
        gains = [row[3] - row[2] for row in rows]
        print(
            f"quality {quality:g}, {people[0]} + {people[1]} people a round, {primary}: some candidate told better in "
            f"{sum(n > 0 for n in told)} of {seeds} seeds, {np.mean(told):.1f} a seed, {wrong} of {sum(told)} wrongly; "
            f"utility {rows[0][2]:.3f}, gain {np.mean(gains):+.3f} ({min(gains):+.3f} to {max(gains):+.3f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
