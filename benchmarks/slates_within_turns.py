"""Does the reward tell slates apart where everything but the slate is the same?

    python benchmarks/slates_within_turns.py RUN [USERS [DRAWS]]

USERS (64) fresh simulated users talk to the supervised policy of RUN, told to recommend in each of four turns. In every
turn DRAWS (16) slates are drawn from the policy and stand, one after the other, in the turn that was really given; the
reward, its channels and the slate's appeal score each. Against them stands what the slate is truly worth to that user
(hidden utility without what words cost; known and seen items at their share), which no reward has read.

r: the correlation within a turn, a mean over turns. gain: what the best of the draws by that score is worth more than
their mean. Intervals (95 %) resample users. "best of all": by the hidden worth itself.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from tacit.dialogue.policy.plackett_luce import draw_slates
from tacit.dialogue.reward.features import SCALARS
from tacit.dialogue.reward.signals import CHANNELS
from tacit.dialogue.rollout import play
from tacit.dialogue.train.slate_groups import showing
from tacit.dialogue.users.behaviour import slate_value
from tacit.dialogue.users.crowd import Crowd, UserWorld
from tacit.dialogue.users.people import utility
from tacit.metrics.intervals import bootstrap_mean
from tacit.recommender import load_reward, policy_of
from tacit.types import Dialogue, Floats64, Ints64, Sample

STREAM, TURNS = 4_243, 4


def worth(crowd: Crowd, user: int, slates: Ints64) -> Floats64:
    """[n, K] item rows → [n] what each slate is worth to the user as it is now."""
    value = item_values(crowd, user, slates)
    return slate_value(value, np.ones_like(value, dtype=bool))


def item_values(crowd: Crowd, user: int, rows: Ints64) -> Floats64:
    """[n, K] item rows → [n, K] what each item is worth to the user as it is now."""
    state = crowd._user_state  # the oracle's business, and this benchmark's
    fresh = utility(state.people, state.taste, state._people_config, np.full(len(rows), user), rows)
    return np.where(state.seen[user][rows], fresh * state._people_config.known_value, fresh)


def within(scores: Floats64, truth: Floats64) -> Floats64:
    """[n, draws] twice → [n] Pearson's r of each row; NaN where one of them does not vary."""
    a, b = (x - x.mean(1, keepdims=True) for x in (scores, truth))
    with np.errstate(invalid="ignore"):
        return np.asarray((a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1)))


def main(run: Path, users: int = 64, draws: int = 16) -> None:
    policy, model = policy_of(run, "sft"), load_reward(run).model
    world = UserWorld.load(run / "users", policy.catalog)
    crowd = world.start(users, np.random.default_rng([0, STREAM]), ids_prefix="within-")
    tokens = torch.Generator().manual_seed(STREAM)
    found: list[tuple[int, Floats64, Floats64]] = []

    def act(contexts: Sequence[Dialogue]) -> list[Sample]:
        samples = policy.act(contexts, tokens, decide="recommend")
        place = {id(dialogue): user for user, dialogue in enumerate(crowd.dialogues)}
        logits = policy.slate_logits(contexts)
        for context, sample, row in zip(contexts, samples, logits, strict=True):
            if sample.slate is None:
                continue
            slates = draw_slates(row.repeat(draws, 1), len(sample.slate.items), tokens)
            turns = [showing(policy, sample, slate) for slate in slates.tolist()]
            features = model.features([context] * draws, turns)
            reward, channels, _ = model.score_features(features)
            appeal = features.scalars[:, SCALARS.index("appeal")]
            scores = torch.cat([reward[:, None], channels, appeal[:, None]], dim=1).double().numpy()
            user = place[id(context)]
            found.append((user, scores, worth(crowd, user, slates.numpy())))
        return samples

    play(act, crowd, None, TURNS)
    who = np.array([user for user, _, _ in found])
    scores, truth = np.stack([s for _, s, _ in found]), np.stack([w for _, _, w in found])
    print(f"{len(found)} turns of {users} users; a slate is worth {truth.mean():.3f} on average\n")
    print("| by | r within a turn | best of the draws − their mean |\n|---|---|---|")
    for k, name in enumerate(("reward", *CHANNELS, "appeal")):
        r = within(scores[..., k], truth)
        told = np.isfinite(r)
        best = truth[np.arange(len(truth)), scores[..., k].argmax(1)] - truth.mean(1)
        told_r = bootstrap_mean(r[told], who[told], np.random.default_rng(0))
        print(f"| {name} | {told_r} | {bootstrap_mean(best, who, np.random.default_rng(0))} |")
    print(f"| best of all | | {bootstrap_mean(truth.max(1) - truth.mean(1), who, np.random.default_rng(0))} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:4]))
