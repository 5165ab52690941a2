"""Does a reward that learns from what was found against it stand up better to being optimised?

    python benchmarks/reward_finds.py RUN OUT [USERS [DRAWS]]

RUN has finished reward and PPO stages. **Round one**: USERS (64) simulated users each hold DRAWS (16) conversations
with the supervised policy and two with PPO's. The conversation of each user that the reward likes best of DRAWS, and
PPO's, are the finds. R_φ is then learnt anew, from RUN's own sessions and

- finds: these conversations with the feedback that they provoked, as a deployment could;
- as many others: as many of the same users' conversations with the supervised policy, drawn blindly (the control);
- negatives: the tenth of all turns of round one where the reward's standing exceeds the hidden utility's most, each
  channel of theirs at the twentieth part of its values in RUN's sessions. Only a simulator knows these: no trainer may.

**Round two**: as many fresh users with the supervised policy, the same conversations for every reward; best-of-n by
each. Reward and hidden utility in spreads of theirs over all conversations, and their gap; gains over n = 1, intervals
by user. ``within``: the correlation of the two over a user's conversations, a mean over users. Hidden utility is
emulated.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch

from tacit.data.dialogues.logs import read as read_log
from tacit.data.dialogues.sources import load_training
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.reward.collect import plain
from tacit.dialogue.reward.features import Features
from tacit.dialogue.reward.labels import Labeller, Observation, observe
from tacit.dialogue.reward.model import RewardModel
from tacit.dialogue.reward.signals import CHANNELS
from tacit.dialogue.reward.train import _some, calibrate_inputs, centre, fit, fresh_model, held, read
from tacit.dialogue.rollout import play
from tacit.dialogue.users import oracle
from tacit.dialogue.users.crowd import Crowd, UserWorld
from tacit.metrics.intervals import bootstrap_mean
from tacit.metrics.overoptimisation import best_of_n
from tacit.pipelines.dialogue import RunConfig, _labeller, load_config
from tacit.recommender import load_reward, policy_of
from tacit.run.folder import Run, Stage
from tacit.types import Dialogue, Floats64

TURNS, HUNT, FRESH = 4, 7919, 7927
WORST, LOW = 0.1, 0.05


@dataclass
class Talk:
    """One conversation: what each agent turn provoked, and what each was truly worth."""

    dialogue: Dialogue
    turns: list[Observation]
    hidden: Floats64  # [turns]
    total: float


def talks(policy: Policy, world: UserWorld, users: int, draws: int, stream: int, name: str) -> list[list[Talk]]:
    """[draws][users]: the same users in every draw."""
    found = []
    for draw in range(draws):
        policy.encoder.clear_cache()
        crowd = cast(Crowd, world.start(users, np.random.default_rng([0, stream]), ids_prefix=f"{name}-{draw}-"))
        tokens = torch.Generator().manual_seed(stream + draw)
        play(lambda contexts, tokens=tokens: policy.act(contexts, tokens), crowd, None, TURNS)
        hidden = oracle.read(crowd)
        row = []
        for i, dialogue in enumerate(crowd.dialogues):
            seen = observe(plain(dialogue))
            row.append(Talk(dialogue, seen, np.array(hidden[i][: len(seen)]), float(hidden.total[i])))
        found.append(row)
        print(f"{name}: {draw + 1} of {draws} conversations of {users} users", file=sys.stderr)
    return found


def turn_features(model: RewardModel, rows: Sequence[Sequence[Talk]]) -> Features:
    return read(model, [one for row in rows for talk in row for one in talk.turns])


def totals(model: RewardModel, features: Features, rows: Sequence[Sequence[Talk]]) -> tuple[Floats64, Floats64]:
    """Reward of every turn [n], and summed over each conversation [users, draws]."""
    each = model.score_features(features)[0].double().numpy()
    ends = np.cumsum([len(talk.turns) for row in rows for talk in row])
    sums = np.array([part.sum() for part in np.split(each, ends[:-1])])
    return each, sums.reshape(len(rows), -1).T


def standing(values: Floats64) -> Floats64:
    """Place among all values, in (0, 1)."""
    return np.asarray((values.argsort().argsort() + 0.5) / len(values))


class Lessons:
    """RUN's sessions as the reward stage read them; learns a reward of them and of more turns."""

    def __init__(self, run: Path, config: RunConfig, policy: Policy, labeller: Labeller) -> None:
        self.config, self.policy, self.labeller = config, policy, labeller
        logs = sorted((run / "reward" / "logs").glob("*.jsonl"))
        dialogues = [dialogue for path in logs for _, dialogue in read_log(path, policy.catalog)]
        self.turns = [one for dialogue in dialogues for one in observe(dialogue) if not held(one.context)]
        self.sft = [i for i, one in enumerate(self.turns) if one.context.id.startswith("sft-")]
        _, split = load_training(config.data)
        self.turns += [one for d in _some(split.train, config.reward.dialogues) for one in observe(d)]
        self.features = read(self.fresh(), self.turns)
        self.channels = labeller.channels(self.turns)

    def fresh(self) -> RewardModel:
        return fresh_model(self.policy, self.config.reward.model, self.labeller, self.config.seed)

    def learn(self, more: Sequence[Observation], channels: Floats64, folder: Path) -> RewardModel:
        model = self.fresh()
        turns = [*self.turns, *more]
        features = Features.concatenate([self.features, read(model, more)]) if more else self.features
        calibrate_inputs(model, features, turns)
        ids = [one.context.id for one in turns]
        both = np.concatenate([self.channels, channels])
        fit(model, features, both, ids, self.config.reward, Stage("reward", folder), self.config.seed)
        centre(model, self.features.rows(torch.tensor(self.sft)))
        return model.eval()


def main(run: Path, out: Path, users: int = 64, draws: int = 16) -> None:
    config, policy = load_config(run), policy_of(run, "sft")
    world, labeller = UserWorld.load(run / "users", policy.catalog), _labeller(Run(run, config.seed), config, policy)
    first = load_reward(run).model
    lessons = Lessons(run, config, policy, labeller)
    hunted = talks(policy, world, users, draws, HUNT, "sft")
    climbed = talks(policy_of(run, "ppo"), world, users, 2, HUNT, "ppo")
    rows = [*hunted, *climbed]
    each, sums = totals(first, turn_features(first, rows), rows)
    best = sums[:, :draws].argmax(1)
    finds = [hunted[k][user] for user, k in enumerate(best)] + [talk for row in climbed for talk in row]
    dice, n = np.random.default_rng(0), len(finds)
    drawn = zip(dice.integers(draws, size=n).tolist(), dice.integers(users, size=n).tolist(), strict=True)
    blind = [hunted[k][user] for k, user in drawn]
    turns = [one for row in rows for talk in row for one in talk.turns]
    gap = standing(each) - standing(np.concatenate([talk.hidden for row in rows for talk in row]))
    worst = [turns[i] for i in np.argsort(-gap)[: int(WORST * len(turns))]]
    low = np.nanquantile(lessons.channels, LOW, axis=0)
    shown = np.array([bool(one.turn.slate) for one in worst])
    negative = np.tile(low, (len(worst), 1))
    negative[~shown, CHANNELS.index("relevance")] = np.nan
    print(f"round one: {len(turns)} turns; {len(finds)} conversations are finds, {len(worst)} turns negatives\n")
    rewards: dict[str, RewardModel] = {"as it was": first}
    for name, chosen in (("with the finds", finds), ("with as many others", blind)):
        more = [one for talk in chosen for one in talk.turns]
        rewards[name] = lessons.learn(more, labeller.channels(more), out / name.replace(" ", "-"))
    rewards["with negatives"] = lessons.learn(worst, negative, out / "with-negatives")

    fresh = talks(policy, world, users, draws, FRESH, "fresh")
    value = np.array([[talk.total for talk in row] for row in fresh]).T
    features = turn_features(first, fresh)
    report(rewards, value, lambda model: totals(model, features, fresh)[1])


def report(rewards: dict[str, RewardModel], value: Floats64, proxy_of: Callable[[RewardModel], Floats64]) -> None:
    """``value`` [users, draws]: hidden utility of each conversation."""
    whose, before = np.arange(len(value)), dict[int, Floats64]()
    print(
        "| R_φ | n | reward, spreads | hidden utility, spreads | gap, spreads | hidden utility | − as it was | within |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, model in rewards.items():
        proxy = proxy_of(model)
        for n in (n for n in (4, 16) if n <= value.shape[1]):
            reward = (best_of_n(proxy, proxy, n) - proxy.mean(1)) / proxy.std()
            gain = best_of_n(proxy, value, n) - value.mean(1)
            before.setdefault(n, gain)
            cells = [reward, gain / value.std(), reward - gain / value.std(), gain, gain - before[n]]
            told = [short(values, whose) for values in cells]
            told[-1] = "" if name == "as it was" else told[-1]
            print(f"| {name} | {n} | {' | '.join(told)} | {short(within(proxy, value), whose)} |")


def within(proxy: Floats64, value: Floats64) -> Floats64:
    """Pearson's r over the draws of each user [users]; 0 where one of them does not vary."""
    a, b = (x - x.mean(1, keepdims=True) for x in (proxy, value))
    scale = np.sqrt((a * a).sum(1) * (b * b).sum(1))
    return np.asarray(np.where(scale > 0, (a * b).sum(1) / np.maximum(scale, 1e-12), 0.0))


def short(values: Floats64, whose: np.ndarray) -> str:
    found = bootstrap_mean(values, whose, np.random.default_rng(0))
    return f"{found.value:+.3f} [{found.low:.3f}, {found.high:.3f}]" if found.ends else f"{found.value:+.3f} not told"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
