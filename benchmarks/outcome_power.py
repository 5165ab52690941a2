"""How many logged slates it takes until learning from outcomes is told from imitation: a power curve.

    python benchmarks/outcome_power.py RUN [sizes, 300,1000,3000,10000,30000] [logs, 3] [file of results so far]

RUN is a finished run of `tacit outcomes`. Its policy of fold A draws slates in the real contexts of fold B; a simulated
user with the taste of that context's person (``users.taste``, fitted on all training and validation dialogues, which
no learner sees) looks down the slate, likes or rejects what it looked at. One log of the largest size is made; every
learner then learns from its first n slates, as does the control, which imitates what was liked. Each is judged by the
true utility of its five best items in the contexts of the validation people, by person. Weights of the reward's loss
are the run's own choices, so nothing is chosen here.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from tacit.data.dialogues.folds import folds
from tacit.data.dialogues.sources import load_training
from tacit.dialogue.policy.plackett_luce import draw_slates
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.train.outcomes.learn import CONTROL, LEARNERS, learn
from tacit.dialogue.train.outcomes.recalibration import ItemOdds, Read, Recalibration
from tacit.dialogue.train.outcomes.tables import Outcomes
from tacit.dialogue.users.behaviour import POSITION_DISCOUNT, sigmoid
from tacit.dialogue.users.people import MEDIAN_UTILITY, spread_out, utterances
from tacit.dialogue.users.profiles import draw_weights, traits
from tacit.dialogue.users.replay import Grades, Replayed
from tacit.dialogue.users.taste import Taste, TasteConfig, fit_taste, likes
from tacit.metrics.intervals import bootstrap_means
from tacit.pipelines.outcomes.config import OutcomesRunConfig
from tacit.run.files import atomic_write, read_json
from tacit.run.stages import load_settings
from tacit.types import Dialogue, Floats64

SIZES, LOGS, SLATE = (300, 1_000, 3_000, 10_000, 30_000), 3, 5
CHUNK = 256  # slates that are drawn at once
STEPS = 60  # of each learner, about: fewer slates are gone through more often, so that all go equally far
QUALITY = 0.3  # as users.people.quality


@dataclass(frozen=True)
class Crowd:
    """Persons of some dialogues: ``taste`` [m, d]; their utilities of the whole catalogue, a few at a time."""

    taste: np.ndarray
    novelty: Floats64
    threshold: Floats64
    items: Taste

    def utility(self, persons: np.ndarray) -> Floats64:
        affinity = self.taste[persons] @ self.items.items.T
        mean, spread = affinity.mean(1), np.maximum(affinity.std(1), 1e-9)
        wish = utterances(affinity, mean, spread, self.items, self.novelty[persons], QUALITY)
        middle, gain = spread_out(wish)
        start = np.log(MEDIAN_UTILITY / (1 - MEDIAN_UTILITY)) - self.threshold[persons, None]
        return sigmoid(gain[:, None] * (wish - middle[:, None]) + start)


def contexts(dialogues: list[Dialogue], tasted: dict[str, int]) -> list[tuple[Dialogue, str]]:
    """Each agent turn that shows something after words of the person, in dialogues whose taste is known."""
    return [
        (dialogue.before(t), dialogue.id)
        for dialogue in dialogues
        if dialogue.id in tasted
        for t, turn in enumerate(dialogue.turns)
        if turn.speaker == "agent" and turn.slate and any(u.text.strip() for u in dialogue.turns[:t])
    ]


def logged(
    start: Recalibration, read: Read, crowd: Crowd, persons: np.ndarray, n: int, seed: int, grades: Grades
) -> tuple[np.ndarray, list[Replayed]]:
    """n slates: the context of each [n], and what was looked at with its outcome. A shorter log begins a longer one."""
    contexts, found = list[np.ndarray](), list[Replayed]()
    for part in range(-(-n // CHUNK)):
        generator, draws = np.random.default_rng([seed, 5, part]), torch.Generator().manual_seed(seed * 10_000 + part)
        at = generator.integers(len(persons), size=CHUNK)
        with torch.no_grad():
            slates = draw_slates(start.logits(read, torch.from_numpy(at)), SLATE, draws).numpy()
        utility = np.take_along_axis(crowd.utility(persons[at]), slates, 1)
        looked = np.cumprod(generator.random(slates.shape) < POSITION_DISCOUNT, axis=1).astype(bool)
        looked[:, 0] = True
        liked = generator.random(slates.shape) < utility
        for items, saw, took in zip(slates, looked, liked, strict=True):
            shown, taken = items[saw].tolist(), took[saw].tolist()
            gains = tuple(grades.liked if one else grades.rejected for one in taken)
            found.append(Replayed(Dialogue(str(len(found)), "", ()), tuple(shown), gains, tuple(taken)))
        contexts.append(at)
    return np.concatenate(contexts)[:n], found[:n]


def judged(weights: Recalibration, read: Read, crowd: Crowd, persons: np.ndarray) -> Floats64:
    """Of each context the position-discounted mean utility of the five best items, [m]."""
    values = []
    discount = POSITION_DISCOUNT ** np.arange(SLATE)
    for part in np.array_split(np.arange(len(persons)), max(1, len(persons) // CHUNK)):
        with torch.no_grad():
            best = weights.logits(read, torch.from_numpy(part)).topk(SLATE, dim=1).indices.numpy()
        values.append((np.take_along_axis(crowd.utility(persons[part]), best, 1) * discount).sum(1) / discount.sum())
    return np.concatenate(values)


def main(run: Path, sizes: tuple[int, ...], logs: int, results: Path | None) -> None:
    config = load_settings(OutcomesRunConfig, run)
    _, split = load_training(config.data)
    a, b = folds(split.train, config.first_fold, config.seed)
    policy = Policy.from_pretrained(run / "sft" / "policy")
    odds, choices = ItemOdds.counted(a, policy.catalog), read_json(run / "learn" / "choices.json", "finish the run.")
    tasters = [d for d in (*split.train, *split.valid) if len(likes(d, TasteConfig().mention)) >= 2]
    taste = fit_taste(policy.catalog, tasters, TasteConfig(), config.seed)
    tasted = {dialogue.id: row for row, dialogue in enumerate(tasters)}
    mixed = traits(draw_weights(len(tasters), [0.25, 0.2, 0.2, 0.2, 0.15], 2.0, np.random.default_rng(config.seed)))
    crowd = Crowd(taste.seekers, mixed.novelty, mixed.threshold, taste)
    teach, judge = (contexts(list(part), tasted) for part in (b, split.valid))
    user = {dialogue.id: dialogue.user for dialogue in split.valid}
    read, held = Read.of(policy, [c for c, _ in teach]), Read.of(policy, [c for c, _ in judge])
    teachers, judges = (np.array([tasted[id] for _, id in part]) for part in (teach, judge))
    start = Recalibration(policy.head, odds)
    before = judged(start, held, crowd, judges)
    found = read_json(results, "delete it.") if results and results.is_file() else {}
    print(
        f"{len(teach)} contexts of fold B, {len(judge)} of {len(set(user.values()))} validation people; utility of the"
    )
    print(f"policy of fold A: {before.mean():.4f}\n")
    print(f"| slates | {CONTROL} − A | {' | '.join(f'{name} − {CONTROL}' for name in LEARNERS)} |\n|---{'|---' * 4}|")
    table = {n: np.zeros((len(judges), 1 + len(LEARNERS))) for n in sizes}
    for log in range(logs):
        made: tuple[np.ndarray, list[Replayed]] | None = None
        for n in sizes:
            key = f"{n}-{log}"
            if key not in found:
                if made is None:  # one log of the largest size, whose beginnings are the others
                    seed = 100 * config.seed + log
                    made = logged(start, read, crowd, teachers, max(sizes), seed, config.grades)
                at, users = made[0][:n], made[1][:n]
                values = []
                for name in (CONTROL, *LEARNERS):
                    weights, epochs = Recalibration(policy.head, odds), max(1, round(STEPS * config.learn.batch / n))
                    settings, weight = replace(config.learn, epochs=epochs), float(choices[name]["weight"])
                    learn(weights, read, Outcomes.of(users), name, weight, settings, log, torch.from_numpy(at))
                    values.append(judged(weights, held, crowd, judges))
                found[key] = np.round(np.stack(values), 6).tolist()
                if results:
                    atomic_write(results, json.dumps(found) + "\n")
            values = np.array(found[key])
            table[n] += np.concatenate([values[:1] - before, values[1:] - values[:1]]).T / logs
    for n, columns in table.items():
        people = np.array([user[id] for _, id in judge])
        cells = [
            f"{estimate.value:+.4f} [{estimate.low:+.4f}, {estimate.high:+.4f}]"
            for estimate in bootstrap_means(columns, people, np.random.default_rng(1))
        ]
        print(f"| {n:,} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    words = sys.argv[1:]
    chosen = tuple(int(word) for word in words[1].split(",")) if len(words) > 1 else SIZES
    main(Path(words[0]), chosen, int(words[2]) if len(words) > 2 else LOGS, Path(words[3]) if len(words) > 3 else None)
