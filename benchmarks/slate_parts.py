"""Which parts of the slate should learn from what the reward makes of slates?

    python benchmarks/slate_parts.py RUN [STEPS [SEED]]

RUN has finished SFT and reward stages. 300 fresh simulated users talk to its supervised policy, told to recommend in
each of four turns; what was read of every turn is kept, so that a step costs no conversation. From there the slate
alone is trained, once for each row of the table, on the turns of 200 users: STEPS (84, those of 14 iterations of PPO)
of 45 turns, eight slates each drawn anew, advantages within the group as in PPO, .02 times the KL from SFT added.

drawn, likeliest: what a slate is truly worth (hidden worth of its items, which no reward reads) to the 100 other users,
drawn from the policy, or its five likeliest items: the second does not gain by being surer. NDCG@10: new items of the
validation dialogues; their seekers train nowhere. The test is not opened. Differences from SFT, 95 % over users and
seekers. "surer": SFT's logits times 2, nothing learnt.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from slates_within_turns import TURNS, item_values
from tacit import losses
from tacit.data.dialogues.sources import load_training
from tacit.dialogue.evaluate.protocols import Case, cases
from tacit.dialogue.evaluate.protocols import contexts as by_context
from tacit.dialogue.policy.plackett_luce import draw_slates, group_logprobs
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.reward.model import RewardModel
from tacit.dialogue.rollout import play
from tacit.dialogue.train.ppo_batch import frozen_copy
from tacit.dialogue.train.ppo_learner import STEPS
from tacit.dialogue.train.slate_groups import advantages_where_told, showing
from tacit.dialogue.users.behaviour import slate_value
from tacit.dialogue.users.crowd import UserWorld
from tacit.metrics.intervals import bootstrap_mean
from tacit.metrics.ranks import ndcg
from tacit.pipelines.dialogue import load_config
from tacit.recommender import load_reward, policy_of
from tacit.referee.ranks import rank_full
from tacit.types import Dialogue, Floats64, Sample, TestSet

USERS, TRAINED, STREAM = 300, 200, 991
TURNS_A_STEP, GROUP, KL = 45, 8, 0.02
TERMS = tuple(name for name, rate in STEPS.items() if rate == "terms_lr")
VECTORS = ("head.item_projection", "head.from_", "head.item_residual")
PARTS: dict[str, tuple[tuple[str, ...], float]] = {
    "the four weights of the terms": (TERMS, 3e-2),
    "the same, a third of the step": (TERMS, 1e-2),
    "items' biases": (("head.item_bias",), 1e-2),
    "items' own vectors": (("head.item_residual",), 1e-3),
    "all vectors": (VECTORS, 1e-4),
    "everything": (("head.", "directed.", "wish.weights"), 1e-4),
}


@dataclass(frozen=True)
class Shown:
    """A turn that was played: what the slate is drawn from, and what each item was worth to the user then [n_items]."""

    user: int
    context: Dialogue
    sample: Sample
    window: Tensor
    state: Tensor
    worth: Floats64


@dataclass(frozen=True)
class Asked:
    """What people named next, and what is read of the contexts they named it in."""

    groups: Sequence[Sequence[Case]]  # those of one context each
    contexts: Sequence[Dialogue]
    read: tuple[Tensor, Tensor]


def played(policy: Policy, world: UserWorld) -> list[Shown]:
    crowd = world.start(USERS, np.random.default_rng([0, STREAM]), ids_prefix="parts-")
    draws, found = torch.Generator().manual_seed(STREAM), []

    def act(contexts: Sequence[Dialogue]) -> list[Sample]:
        samples = policy.act(contexts, draws, decide="recommend")
        place = {id(dialogue): user for user, dialogue in enumerate(crowd.dialogues)}
        window, state = policy.read(contexts)
        for row, (context, sample) in enumerate(zip(contexts, samples, strict=True)):
            if sample.slate is not None:
                user = place[id(context)]
                worth = item_values(crowd, user, np.arange(len(policy.catalog))[None])[0]
                found.append(Shown(user, context, sample, window[row], state[row], worth))
        return samples

    play(act, crowd, None, TURNS)
    return found


def asked(policy: Policy, run: Path) -> Asked:
    _, split = load_training(replace(load_config(run).data, limit=1.0))
    found = [case for case in cases(TestSet(split.valid), policy.catalog) if not case.repeated]
    groups = by_context(found)
    contexts = [group[0].context for group in groups]
    pieces = [policy.read(contexts[start : start + 64]) for start in range(0, len(contexts), 64)]
    window, state = (torch.cat(part) for part in zip(*pieces, strict=True))
    return Asked(groups, contexts, (window, state))


@torch.no_grad()
def ranked(policy: Policy, people: Asked) -> Floats64:
    """NDCG@10 of each case, what was mentioned masked."""
    window, state = people.read
    parts = [slice(start, start + 64) for start in range(0, len(people.contexts), 64)]
    logits = torch.cat([policy.ranking_scores(window[p], state[p], people.contexts[p]) for p in parts]).numpy()
    return ndcg(rank_full(logits, people.groups).masked, 10)


def scores(policy: Policy, turns: Sequence[Shown]) -> Tensor:
    window, state = (torch.stack([getattr(turn, name) for turn in turns]) for name in ("window", "state"))
    return policy.slate_scores(window, state, [turn.context for turn in turns])


@torch.no_grad()
def served(policy: Policy, turns: Sequence[Shown], surer: float = 1.0) -> tuple[Floats64, Floats64]:
    """(drawn, likeliest): what a turn's slate is worth, [n] each; eight draws a turn."""
    draws, drawn, likeliest = torch.Generator().manual_seed(3), [], []
    for start in range(0, len(turns), 64):
        piece = turns[start : start + 64]
        logits = surer * scores(policy, piece)
        several = draw_slates(logits.repeat_interleave(GROUP, 0), 5, draws).unflatten(0, (len(piece), GROUP))
        for turn, slates, best in zip(piece, several.numpy(), logits.topk(5).indices.numpy(), strict=True):
            drawn.append(value(turn.worth[slates]).mean())
            likeliest.append(float(value(turn.worth[best][None])[0]))
    return np.array(drawn), np.array(likeliest)


def value(worth: Floats64) -> Floats64:
    return slate_value(worth, np.ones_like(worth, dtype=bool))


def train(policy: Policy, model: RewardModel, turns: Sequence[Shown], part: tuple[str, ...], lr: float, steps: int,
          seed: int) -> None:  # fmt: skip
    """Group-relative steps on ``turns``; parameters whose names begin with ``part`` move."""
    first = frozen_copy(policy)
    for name, parameter in policy.named_parameters():
        parameter.requires_grad_(name.startswith(part))
    learnt = [parameter for parameter in policy.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learnt, lr=lr, eps=1e-5, weight_decay=0.0)
    draws, rows = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    for _ in range(steps):
        batch = [turns[i] for i in rows.choice(len(turns), TURNS_A_STEP, replace=False)]
        log_p = torch.log_softmax(scores(policy, batch), -1)
        slates = draw_slates(log_p.detach().repeat_interleave(GROUP, 0), 5, draws).unflatten(0, (len(batch), GROUP))
        shown = [showing(policy, turn.sample, row) for turn, group in zip(batch, slates, strict=True)
                 for row in group.tolist()]  # fmt: skip
        found = model.score([turn.context for turn in batch for _ in range(GROUP)], shown)
        rewards = torch.tensor([reward for reward, _ in found]).view(len(batch), GROUP)
        told = losses.tells_apart(rewards)
        gain = advantages_where_told(rewards, told).unsqueeze(2) * group_logprobs(log_p, slates)
        with torch.no_grad():
            before = torch.log_softmax(scores(first, batch), -1)
        loss = KL * losses.categorical_kl(log_p, before).mean() - gain[told].mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learnt, 1.0)
        optimizer.step()


def main(run: Path, steps: int = 84, seed: int = 0) -> None:
    policy, model = policy_of(run, "sft").eval(), load_reward(run).model
    turns = played(policy, UserWorld.load(run / "users", policy.catalog))
    people, training = asked(policy, run), [turn for turn in turns if turn.user < TRAINED]
    held = [turn for turn in turns if turn.user >= TRAINED]
    named = [case.context.user for group in people.groups for case in group]
    users, seekers = np.array([turn.user for turn in held]), np.array(named)
    start = {name: weight.clone() for name, weight in policy.state_dict().items()}
    base, hits = served(policy, held), ranked(policy, people)
    over = partial(bootstrap_mean, generator=np.random.default_rng(0))
    print("| learnt | drawn | likeliest | NDCG@10, new |\n|---|---|---|---|")
    print(f"| SFT | {base[0].mean():.3f} | {base[1].mean():.3f} | {hits.mean():.4f} |")
    surer = served(policy, held, 2.0)
    print(f"| surer | {over(surer[0] - base[0], users)} | | |")
    for name, (part, lr) in PARTS.items():
        policy.load_state_dict(start)
        train(policy, model, training, part, lr, steps, seed)
        drawn, likeliest = served(policy, held)
        gained = ranked(policy, people) - hits
        cells = over(drawn - base[0], users), over(likeliest - base[1], users), over(gained, seekers)
        print(f"| {name} | {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:4]))
