"""Does PPO's gain on what real people named beat imitation of people with the same four weights?

    python benchmarks/terms_by_imitation.py RUN...

Each RUN is a finished `tacit run` on ReDial. PPO moved four weights of the slate's logits (TERMS) by what simulated
users did; the control starts from the same supervised policy and fits the same four to what the validation people were
recommended, by cross-entropy: real people, whom neither SFT nor PPO was trained on. Both rank the test's items over the
full catalogue, what was named before masked: new items, those that the seeker liked and had not seen, and graded gain
(liked 1, named ½, disliked −1, over log2(rank + 1) where rank ≤ 10); repeated items with nothing masked. Differences
with 95 % over the test's seekers; "all": of each case's mean over the runs. The control **judges the test** once a RUN;
SFT's and PPO's ranks are those of the RUN's own evaluation.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import Tensor

from tacit.data.dialogues.sources import load_test, load_training
from tacit.dialogue.evaluate.protocols import Case, cases
from tacit.dialogue.evaluate.protocols import contexts as by_context
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.train.segments import Pick, segments
from tacit.metrics.intervals import bootstrap_mean
from tacit.metrics.ranks import hit, ndcg
from tacit.pipelines.dialogue import load_config
from tacit.recommender import policy_of
from tacit.referee.ranks import CaseRanks, concatenate, rank_full
from tacit.types import Bools, Dialogue, Floats64, TestSet

BATCH, STEPS = 64, 60
DISCOUNT_TO = 10
Measured = dict[str, Floats64]  # "slice, measure" → a value for each case of the slice
Read = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Asked:
    """The test's cases, and where each slice of them is."""

    cases: Sequence[Case]
    slices: dict[str, Bools]
    gain: Floats64

    @classmethod
    def of(cls, test: TestSet, policy: Policy) -> Asked:
        found = cases(test, policy.catalog)
        repeated = np.array([case.repeated for case in found])
        liked, seen = (np.array([getattr(case.response, name) for case in found]) for name in ("liked", "seen"))
        gain = np.select([liked == True, liked == False], [1.0, -1.0], 0.5)  # noqa: E712
        fresh = ~repeated & (liked == True) & (seen == False)  # noqa: E712
        return cls(found, {"new": ~repeated, "liked and unseen": fresh, "repeated": repeated}, gain)

    def measured(self, ranks: CaseRanks) -> Measured:
        rank = {name: (ranks.full if name == "repeated" else ranks.masked)[at] for name, at in self.slices.items()}
        found = {f"{name}, R@{k}": hit(rank[name], k) for name in ("new", "repeated") for k in (1, 10, 50)}
        found |= {f"{name}, NDCG@10": ndcg(rank[name], 10) for name in rank}
        new = self.slices["new"]
        return found | {
            "new, graded gain": np.where(rank["new"] <= DISCOUNT_TO, self.gain[new] / np.log2(1 + rank["new"]), 0.0)
        }

    def persons(self, measure: str) -> np.ndarray:
        return np.array([case.context.user for case in self.cases])[self.slices[measure.split(", ")[0]]]


def read(policy: Policy, contexts: Sequence[Dialogue]) -> Read:
    parts = [policy.read(contexts[start : start + BATCH]) for start in range(0, len(contexts), BATCH)]
    window, state = (torch.cat(part) for part in zip(*parts, strict=True))
    return window, state


def fit(policy: Policy, picks: Sequence[Pick]) -> str:
    """Cross-entropy of ``picks``, a turn's items sharing its weight, in PPO's four weights; what they became."""
    contexts = [pick.context for pick in picks]
    window, state = read(policy, contexts)
    head = policy.head
    terms = [head.scale, head.near_scale, head.repeat_bias, policy.directed.weight]
    policy.requires_grad_(False)
    for term in terms:
        term.requires_grad_(True)
    optimizer = torch.optim.LBFGS(terms, max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> float:
        optimizer.zero_grad()
        total = 0.0
        for start in range(0, len(picks), BATCH):
            part = slice(start, start + BATCH)
            log_p = torch.log_softmax(policy.ranking_scores(window[part], state[part], contexts[part]), -1)
            rows = [log_p[row, list(pick.rows)].mean() for row, pick in enumerate(picks[part])]
            piece = -torch.stack(rows).sum() / len(picks)
            piece.backward()
            total += piece.item()
        return total

    before = loss()
    optimizer.step(loss)
    words = ", ".join(f"{term.item():.2f}" for term in terms)
    return f"scale, co-mention, repeat, directed {words}; {before:.4f} → {loss():.4f} nats of {len(picks)} turns"


@torch.no_grad()
def ranked(policy: Policy, asked: Asked) -> CaseRanks:
    groups = by_context(asked.cases)
    pieces = [groups[start : start + BATCH] for start in range(0, len(groups), BATCH)]
    found = [rank_full(policy.slate_logits([group[0].context for group in piece]).numpy(), piece) for piece in pieces]
    return concatenate(found)


def evaluated(run: Path, name: str, asked: Asked) -> CaseRanks:
    """Those that `tacit evaluate` wrote down, in the order of the same cases."""
    table = pl.read_parquet(run / "evaluate" / "ranks" / f"{name}.parquet")
    assert table["turn"].to_list() == [case.turn for case in asked.cases], f"{run}: other test dialogues"
    return CaseRanks(*(table[f"redial-standard{kind}"].to_numpy() for kind in ("", "/masked")))


def main(runs: Sequence[Path]) -> None:
    systems: dict[str, list[Measured]] = {"sft": [], "ppo": [], "imitation": []}
    for run in runs:
        config, policy = load_config(run), policy_of(run, "sft").eval()
        _, split = load_training(replace(config.data, limit=1.0))
        asked = Asked.of(load_test(config.data), policy)
        for name in ("sft", "ppo"):
            systems[name].append(asked.measured(evaluated(run, name, asked)))
        picks = [pick for segment in segments(split.valid, policy, None) for pick in segment.picks if pick.rows]
        print(f"{run.name}: {fit(policy, picks)}", flush=True)
        systems["imitation"].append(asked.measured(ranked(policy, asked)))
        show(run.name, {name: found[-1:] for name, found in systems.items()}, asked)
    show("all", systems, asked)


def show(label: str, systems: dict[str, list[Measured]], asked: Asked) -> None:
    print(
        "| run | cases | SFT | imitation | PPO | imitation − SFT | PPO − SFT | PPO − imitation |\n" + "|---" * 8 + "|"
    )
    for measure in systems["sft"][0]:
        value = {name: np.mean([found[measure] for found in runs], axis=0) for name, runs in systems.items()}
        over = partial(bootstrap_mean, groups=asked.persons(measure))
        pairs = [("imitation", "sft"), ("ppo", "sft"), ("ppo", "imitation")]
        told = [over(value[a] - value[b], generator=np.random.default_rng(0)) for a, b in pairs]
        levels = " | ".join(f"{value[name].mean():.4f}" for name in ("sft", "imitation", "ppo"))
        print(f"| {label} | {measure} | {levels} | " + " | ".join(map(str, told)) + " |", flush=True)


if __name__ == "__main__":
    main([Path(run) for run in sys.argv[1:]])
