"""Which of engagement, relevance and sentiment follows what people did, alone and in all combinations; no training.

    python benchmarks/channels_and_people.py RUN [OUT.json]

RUN is a run of ReDial whose reward stage is finished. Every real recommending turn of the validation dialogues, all
of them even where RUN learnt from a part (their seekers train nowhere), is scored by R_φ with the weights of each
subset of ``signals`` (RUN's own for the channels that are in it, 0 for the others), and held against what its seeker
did next:

- liked: each item that was shown and judged (the turn with that item alone on its slate) was liked, or was not;
- accepted, refused, asks again: what the next words do, read from them (``dialogue.reward.listening``);
- feels better: whether VADER's sentiment of the next words is above the median of those that people said.

AUC of pairs that share a fifth of popularity and a fifth of length, intervals over seekers; .5 is nothing. Beside the
subsets stand popularity and length themselves (pairs of any kind), and ``satisfaction``'s forecast, which R_φ is not.
Nothing is fitted here, and the test is not opened.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from tacit.data.dialogues.sources import load_training
from tacit.dialogue.reward.features import Features
from tacit.dialogue.reward.foretell import Foreteller
from tacit.dialogue.reward.labels import Observation
from tacit.dialogue.reward.listening import Listener, accepted, mood, refused, requested
from tacit.dialogue.reward.mismatches import Place, places
from tacit.dialogue.reward.model import RewardModel
from tacit.dialogue.reward.satisfaction import foretold
from tacit.dialogue.reward.signals import CHANNELS
from tacit.dialogue.reward.statistics import auc_over, fifths
from tacit.dialogue.reward.train import read
from tacit.metrics.intervals import Estimate
from tacit.metrics.persons import of_dialogues
from tacit.pipelines.dialogue import load_config
from tacit.recommender import load_reward
from tacit.types import Bools, Dialogue, Floats64, Slate, Turn

SUBSETS = [chosen for n in (1, 2, 3) for chosen in combinations(CHANNELS, n)]


@dataclass(frozen=True)
class Turns:
    """n turns that showed something, in their contexts, and for each outcome 1, 0 or NaN (not observed) [n]."""

    contexts: list[Dialogue]
    turns: list[Turn]
    outcomes: dict[str, Floats64]

    def popularity(self, model: RewardModel) -> Floats64:
        """Mean training mentions of what is shown [n]."""
        counts = model.catalog.counts
        return np.array(
            [np.mean([counts[model.catalog.index(i)] for i in turn.slate.items]) for turn in self.turns if turn.slate]
        )

    def words(self) -> Floats64:
        return np.array([float(len(turn.text.split())) for turn in self.turns])


def next_words(real: list[Place], listener: Listener) -> Turns:
    """Of each turn that shows something what the seeker's next words do."""
    kept = [place for place in real if place.turn.slate]
    after = [
        place.dialogue.turns[place.t + 1].text if place.t + 1 < len(place.dialogue.turns) else "" for place in kept
    ]
    told = np.array([bool(listener.masked(text)) for text in after])
    intents = [listener.intents(text) for text in after]
    felt = np.array([listener.sentiment(text) for text in after])

    def observed(values: list[bool] | Bools) -> Floats64:
        return np.where(told, np.asarray(values, dtype=float), math.nan)

    outcomes = {
        "accepted": observed([accepted(one) for one in intents]),
        "refused": observed([refused(one) for one in intents]),
        "feels better": observed(felt > np.median(felt[told])),
        "asks again": observed([requested(one) for one in intents]),
    }
    return Turns([place.context for place in kept], [place.turn for place in kept], outcomes)


def judged(dialogues: list[Dialogue]) -> Turns:
    """Each shown item that its seeker judged, alone on the slate of its turn."""
    contexts, turns, liked = [], [], []
    for dialogue in dialogues:
        for t, turn in enumerate(dialogue.turns):
            for item in turn.slate.items if t and turn.speaker == "agent" and turn.slate else ():
                word = dialogue.judgements.get(item)
                if word is not None and word.liked is not None:
                    contexts.append(dialogue.before(t))
                    turns.append(replace(turn, slate=Slate((item,)), feedback=None))
                    liked.append(float(word.liked))
    return Turns(contexts, turns, {"liked": np.array(liked)})


def subset_rewards(model: RewardModel, features: Features) -> dict[str, Floats64]:
    """Name of a subset → rewards [n]. Gain and bias change no order, so RUN's stay."""
    own, found = model.weights.clone(), {}
    for chosen in SUBSETS:
        model.weights.copy_(own * torch.tensor([float(name in chosen) for name in CHANNELS]))
        found[" + ".join(chosen)] = model.score_features(features)[0].double().numpy()
    model.weights.copy_(own)
    return found


def forecast(people: Foreteller, turns: Turns) -> Floats64:
    """What is foretold of satisfaction [n] (``tacit score``)."""
    heads = people.heads(people.situations(turns.contexts, turns.turns)).double().numpy()
    moods = np.array([mood(people.listener.pleasures(context.turns)) for context in turns.contexts])
    return foretold(moods, heads, people)


def agreement(
    scores: Floats64, outcome: Floats64, whose: npt.NDArray[np.object_], strata: npt.NDArray[np.int64] | None
) -> Estimate:
    told = np.isfinite(outcome)
    generator = np.random.default_rng(0)
    within = None if strata is None else strata[told]
    return auc_over(scores[told], outcome[told] > 0, whose[told], generator, within)


def main(run: Path, out: Path | None = None) -> None:
    reward = load_reward(run)
    _, split = load_training(replace(load_config(run).data, limit=1.0))
    dialogues = [dialogue.merged() for dialogue in split.valid]
    listener = Listener(reward.catalog)
    rows: dict[str, dict[str, Estimate]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for turns in (judged(dialogues), next_words(places(split.valid), listener)):
        features = read(
            reward.model, [Observation(c, t, None, None) for c, t in zip(turns.contexts, turns.turns, strict=True)]
        )
        popularity, words = turns.popularity(reward.model), turns.words()
        scores = subset_rewards(reward.model, features)
        if reward.people is not None:
            scores["satisfaction, foretold"] = forecast(reward.people, turns)
        whose = np.asarray(of_dialogues(turns.contexts).groups)
        strata = 10 * fifths(popularity) + fifths(words)
        for name, outcome in turns.outcomes.items():
            for score, values in scores.items():
                rows.setdefault(score, {})[name] = agreement(values, outcome, whose, strata)
            for score, values in (("popularity", popularity), ("length", words)):
                rows.setdefault(score, {})[name] = agreement(values, outcome, whose, None)
            sizes[name] = int(np.isfinite(outcome).sum()), int(np.nansum(outcome))
    print("| reward | " + " | ".join(f"{name} ({yes} of {n})" for name, (n, yes) in sizes.items()) + " |")
    print("|---" * (len(sizes) + 1) + "|")
    for score in (*[" + ".join(c) for c in SUBSETS], "satisfaction, foretold", "popularity", "length"):
        if score in rows:
            cells = [f"{e.value:.3f} [{e.low:.3f}, {e.high:.3f}]" for e in (rows[score][name] for name in sizes)]
            print(f"| {score} | " + " | ".join(cells) + " |")
    groups = max(e.groups for row in rows.values() for e in row.values())
    print(f"\n{groups} seekers at most")
    if out is not None:
        told = {score: {name: e.as_json() for name, e in row.items()} for score, row in rows.items()}
        out.write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(Path, sys.argv[2:3]))
