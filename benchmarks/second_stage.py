"""A stronger second stage: LightGBM's lambdarank over the policy's best 200 items, on people that neither has seen.

    pip install lightgbm
    python benchmarks/second_stage.py read RUN OUT [SHARE]     # RUN: `tacit outcomes`, its sft stage finished
    python benchmarks/second_stage.py rank RUN OUT [VECTORS]   # VECTORS: .npy [items, dim], unit rows

The policy of fold A, which SFT saw, reads the contexts of SHARE (.5) of the seekers of fold B and of all validation
dialogues, and keeps of each its 200 best items with FEATURES. ``rank`` fits lambdarank, and a conditional logit of the
same features, on fold B (a fifth of its seekers tells when to stop) and puts the 200 in a new order; other items stay
where they were. New items of validation, full catalogue, what was named masked; differences to the policy, 95 %
intervals by seeker. With VECTORS, likeness to the named items in that space is two more features. The test is not
opened.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import lightgbm
import numpy as np
import torch

from tacit.data.dialogues.folds import folds
from tacit.data.dialogues.sources import load_training
from tacit.data.lines import share as place_of
from tacit.dialogue.evaluate.protocols import Case, cases, contexts
from tacit.dialogue.players import precision
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.policy.slate import mask_rows
from tacit.dialogue.train.outcomes.recalibration import ItemOdds
from tacit.metrics.intervals import bootstrap_mean
from tacit.metrics.ranks import hit, ndcg
from tacit.pipelines.outcomes.config import OutcomesRunConfig
from tacit.run.stages import load_settings
from tacit.types import TestSet

TOP, CHUNK, MOST = 200, 64, 32
NEAR = 0.2  # a summed association that doubles what the logarithm sees
FEATURES = (
    *("logit", "rank", "co-mention", "log co-mention", "bias", "log count", "wish", "cosine of texts"),
    *("years apart", "liked", "seen", "named items", "turns"),
)
LIKENESS = ("likeness, most", "likeness, mean")
TREES = {
    "objective": "lambdarank", "metric": "ndcg", "eval_at": [10], "learning_rate": 0.05, "num_leaves": 15,
    "min_data_in_leaf": 400, "lambdarank_truncation_level": 20, "feature_fraction": 0.8, "seed": 0, "num_threads": 1,
    "deterministic": True, "verbose": -1,
}  # fmt: skip
Table = dict[str, np.ndarray]


@torch.no_grad()
def chunk(policy: Policy, odds: ItemOdds, years: torch.Tensor, groups: list[list[Case]]) -> tuple[Table, torch.Tensor]:
    """Of B contexts: top [B, 200] rows of items, features [B, 200, F], gold [B, 200], named [B, MOST] rows or −1; and
    all logits [B, items], nothing masked.
    """
    part = [group[0].context for group in groups]
    window, state = policy.read(part)
    named = policy.mentioned(part)
    logits = policy.ranking_scores(window, state, part)
    score, top = mask_rows(logits, named).topk(TOP)
    near = policy.head.neighbours(named)
    wish = policy.wish.add_features(torch.zeros_like(logits), policy.wishes(part))
    cosine = torch.nn.functional.normalize(window.float(), dim=1) @ policy.head.item_text.float().T
    told = torch.where(named >= 0, years[named.clamp(min=0)], torch.nan)
    apart = (years[None, :] - told.nanmean(1, keepdim=True)).abs()
    count = torch.from_numpy(np.log1p(policy.catalog.counts)).float()
    every = [near, torch.log1p(near / NEAR), policy.head.item_bias, count, wish, cosine, apart, odds.liked, odds.seen]
    columns = [column.expand_as(logits).gather(1, top) for column in every]
    place = torch.arange(TOP).float().expand_as(score)
    of_context = [(named >= 0).sum(1), torch.tensor([len(one.turns) for one in part])]
    columns = [score, place, *columns, *(number[:, None].float().expand_as(score) for number in of_context)]
    golds = [{case.gold for case in group if not case.repeated} for group in groups]
    gold = [[item in wanted for item in row] for row, wanted in zip(top.tolist(), golds, strict=True)]
    padded = torch.nn.functional.pad(named, (0, max(0, MOST - named.shape[1])), value=-1)[:, :MOST]
    made = {"top": top.numpy(), "features": torch.stack(columns, 2).numpy(), "gold": np.array(gold)}
    return made | {"named": padded.numpy()}, logits


def ranks_of(logits: np.ndarray, groups: list[list[Case]]) -> Iterator[tuple[int, int, int]]:
    """(context, item, masked rank) of each new case."""
    for k, (row, group) in enumerate(zip(logits, groups, strict=True)):
        for case in group:
            if not case.repeated:
                others = list({*case.mentioned} - {case.gold})
                yield k, case.gold, int((row >= row[case.gold]).sum() - (row[others] >= row[case.gold]).sum())


def read(run: Path, out: Path, share: float = 0.5) -> None:
    config = load_settings(OutcomesRunConfig, run, [])
    _, split = load_training(config.data)
    a, b = folds(split.train, config.first_fold, config.seed)
    policy = Policy.from_pretrained(run / "sft" / "policy")
    odds = ItemOdds.counted(a, policy.catalog)
    found = (re.search(r"\((\d{4})\)", item.title) for item in policy.catalog.items)
    years = torch.tensor([float(year[1]) if year else torch.nan for year in found])
    some = [dialogue for dialogue in b if place_of(dialogue.user) < share]
    out.mkdir(parents=True, exist_ok=True)
    for name, dialogues in (("valid", split.valid), ("b", some)):
        if (out / f"{name}.npz").is_file():
            continue
        groups = [
            g for g in contexts(cases(TestSet(tuple(dialogues)), policy.catalog)) if not all(c.repeated for c in g)
        ]
        parts, ranks = list[Table](), list[tuple[int, int, int]]()
        for start in range(0, len(groups), CHUNK):
            part = groups[start : start + CHUNK]
            with precision(policy, config.dtype):
                table, logits = chunk(policy, odds, years, part)
            parts.append(table)
            ranks += [(start + k, gold, rank) for k, gold, rank in ranks_of(logits.numpy(), part)]
            print(f"{name}: {start + len(part)} of {len(groups)}", file=sys.stderr, flush=True)
        whole = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        np.savez(out / f"{name}.npz", **whole, ranks=ranks, who=[group[0].context.user for group in groups])


def likeness(table: Table, vectors: np.ndarray) -> np.ndarray:
    """Cosine to the most alike of the named items, and the mean, [n, 200, 2]; NaN where nothing was named."""
    made = np.full((*table["top"].shape, 2), np.nan, dtype=np.float32)
    for k, (top, named) in enumerate(zip(table["top"], table["named"], strict=True)):
        if (named >= 0).any():
            cosines = vectors[top] @ vectors[named[named >= 0]].T
            made[k] = np.stack([cosines.max(1), cosines.mean(1)], axis=1)
    return made


def logit(x: np.ndarray, gold: np.ndarray) -> torch.Tensor:
    """Weights [F] of a conditional logit: the likelihood of each gold item among the 200; x standardised."""
    features, wanted = torch.from_numpy(x).float(), torch.from_numpy(gold).float()
    weights = torch.zeros(x.shape[2], requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        told = torch.log_softmax(features @ weights, 1)
        value = -(told * wanted).sum() / wanted.sum() + 1e-3 * weights.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[arg-type]
    return weights.detach()


def reranked(table: Table, score: np.ndarray) -> np.ndarray:
    """Rank of each new case [n]: among the 200 by ``score``, else as it was."""
    ranks = []
    for context, item, before in table["ranks"].tolist():
        at = np.flatnonzero(table["top"][context] == item)
        row = score[context]
        ranks.append(int((row >= row[at[0]]).sum()) if len(at) else before)
    return np.array(ranks)


def rank(out: Path, vectors: np.ndarray | None) -> None:
    train, valid = ({**np.load(out / f"{name}.npz")} for name in ("b", "valid"))
    names = (*FEATURES, *(LIKENESS if vectors is not None else ()))
    x, y = (
        np.concatenate([t["features"], *([likeness(t, vectors)] if vectors is not None else [])], 2)
        for t in (train, valid)
    )
    kept = train["gold"].any(1)
    late = np.array([place_of(f"stop {who}") < 0.2 for who in train["who"]])
    learnt, held = kept & ~late, kept & late
    sets = [
        lightgbm.Dataset(x[rows].reshape(-1, x.shape[2]), train["gold"][rows].ravel().astype(int),
                         group=[TOP] * int(rows.sum()), feature_name=list(names))
        for rows in (learnt, held)
    ]  # fmt: skip
    stop = lightgbm.early_stopping(50, verbose=False)
    trees = lightgbm.train(TREES, sets[0], 1000, valid_sets=[sets[1]], callbacks=[stop])
    mean, spread = np.nanmean(x, (0, 1)), np.nanstd(x, (0, 1)) + 1e-6
    plain = [np.nan_to_num((z - mean) / spread).astype(np.float32) for z in (x, y)]
    weights = logit(plain[0][kept], train["gold"][kept])
    scores = {
        "policy of A": valid["features"][:, :, 0],
        "conditional logit": (torch.from_numpy(plain[1]) @ weights).numpy(),
        "lambdarank": np.asarray(trees.predict(y.reshape(-1, y.shape[2]))).reshape(y.shape[:2]),
    }
    who = valid["who"][valid["ranks"][:, 0]]
    base = reranked(valid, scores["policy of A"])
    print(f"{kept.sum()} contexts of fold B, {trees.best_iteration} trees, {len(base)} new items of validation")
    gains = dict(zip(names, trees.feature_importance("gain"), strict=True))
    print({name: round(float(gain / sum(gains.values())), 3) for name, gain in gains.items()})
    print(dict(zip(names, np.round(weights.numpy(), 2).tolist(), strict=True)))
    print("| | R@1 | R@10 | R@50 | NDCG@10 | − policy |\n|---|---|---|---|---|---|")
    for name, score in scores.items():
        found = reranked(valid, score)
        levels = [hit(found, k).mean() for k in (1, 10, 50)] + [ndcg(found, 10).mean()]
        told = bootstrap_mean(ndcg(found, 10) - ndcg(base, 10), who, np.random.default_rng(0))
        gain = f"{told.value:+.4f} [{told.low:+.4f}, {told.high:+.4f}]"
        print(f"| {name} | {' | '.join(f'{level:.4f}' for level in levels)} | {gain} |")


if __name__ == "__main__":
    if sys.argv[1] == "read":
        read(Path(sys.argv[2]), Path(sys.argv[3]), *map(float, sys.argv[4:]))
    else:
        rank(Path(sys.argv[3]), np.load(sys.argv[4]) if len(sys.argv) > 4 else None)
