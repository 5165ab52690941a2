"""Do soft labels help the slate: part of the target on items that are as good as the named one?

    python benchmarks/soft_labels.py REDIAL SHARE SEED...     # item texts are kept in .cache

SHARE of the training dialogues, MiniLM frozen, no state of the language model: two epochs of the slate's loss alone, in
SFT's batches and steps. The target of a turn is (1 − α) on the items it recommended and α spread over others: those
that training names beside them (by association), those whose texts are likest (20, cosines in a softmax of .05), or
all alike (label smoothing, Szegedy et al. 2016, arXiv 1512.00567). New items of the validation dialogues, whose seekers
train nowhere; differences from hard labels, 95 % over seekers. The test is not opened.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tacit.data.dialogues.sources import DataConfig, load_training
from tacit.dialogue.evaluate.protocols import Case, cases
from tacit.dialogue.evaluate.protocols import contexts as by_context
from tacit.dialogue.policy.network import PolicyConfig
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.train.segments import Pick, segments
from tacit.dialogue.train.sft_config import SFTConfig
from tacit.metrics.intervals import bootstrap_mean
from tacit.metrics.ranks import hit, ndcg
from tacit.referee.ranks import rank_full
from tacit.text.lm import LMConfig
from tacit.types import Dialogue, Ints64, Split, TestSet

EPOCHS, BATCH, LIKEST, SHARPNESS = 2, 16, 20, 0.05
SHARES = (0.1, 0.3)
Spread = Callable[[Policy, Sequence[int]], Tensor]


def beside(policy: Policy, rows: Sequence[int]) -> Tensor:
    """[n_items], sum 1 where training named anything beside ``rows``, else 0."""
    found = policy.head.neighbours(torch.tensor([list(rows)]))[0]
    return found / found.sum().clamp(min=1e-9)


def alike(policy: Policy, rows: Sequence[int]) -> Tensor:
    text = policy.head.item_text
    cosine = text @ text[list(rows)].mean(0)
    cosine[list(rows)] = -1.0
    best = cosine.topk(LIKEST)
    return torch.zeros_like(cosine).index_put_((best.indices,), torch.softmax(best.values / SHARPNESS, 0))


def all_alike(policy: Policy, rows: Sequence[int]) -> Tensor:
    return torch.full((len(policy.catalog),), 1.0 / len(policy.catalog))


SPREADS: dict[str, Spread] = {"named beside it": beside, "texts alike": alike, "all alike": all_alike}


def windows(policy: Policy, contexts: Sequence[Dialogue]) -> Tensor:
    return policy.encoder.encode([policy.window_text(context) for context in contexts], "windows")


def state(policy: Policy, n: int) -> Tensor:
    return torch.zeros(n, policy.head.from_lm.in_features)


def trained(first: Policy, split: Split, pieces: Sequence[Sequence[int]], picks: Sequence[Pick], read: Tensor,
            spread: Spread | None, share: float, seed: int) -> Policy:  # fmt: skip
    """``pieces``: which of ``picks`` each segment holds."""
    config, policy = SFTConfig(), copy.deepcopy(first).train()
    few = [policy.wish.weights, policy.directed.weight]
    learnt = [*policy.head.parameters(), *few]
    groups = [{"params": list(policy.head.parameters()), "peak": config.head_lr},
              {"params": few, "peak": 10 * config.head_lr}]  # fmt: skip
    optimizer = torch.optim.AdamW(groups, lr=config.head_lr, weight_decay=0.0)
    steps = EPOCHS * -(-len(pieces) // BATCH)
    order = np.concatenate([np.random.default_rng([seed, epoch]).permutation(len(pieces)) for epoch in range(EPOCHS)])
    own = {dialogue.id: dialogue for dialogue in split.train}
    for step, batch in enumerate(np.array_split(order, steps)):
        done = step / steps
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * (max(done, 0.01) / 0.1 if done < 0.1 else 1 - 0.9 * (done - 0.1) / 0.9)
        index = [i for piece in batch for i in pieces[piece]]
        if not index:
            continue
        with policy.directed.leaving_out(own):
            logits = policy.ranking_scores(read[index], state(policy, len(index)), [picks[i].context for i in index])
        log_p, wanted = torch.log_softmax(logits, -1), torch.zeros_like(logits)
        for row, i in enumerate(index):
            rows = picks[i].rows
            wanted[row, list(rows)] = 1.0 / len(set(rows))
            if spread is not None:
                others = spread(first, rows)
                wanted[row] = (1 - share * others.sum()) * wanted[row] + share * others
        loss = -(wanted * log_p).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learnt, 1.0)
        optimizer.step()
    return policy.eval()


@torch.no_grad()
def ranks(policy: Policy, groups: Sequence[Sequence[Case]], contexts: Sequence[Dialogue], read: Tensor) -> Ints64:
    parts = [slice(start, start + 64) for start in range(0, len(contexts), 64)]
    logits = torch.cat([policy.ranking_scores(read[p], state(policy, len(contexts[p])), contexts[p]) for p in parts])
    return rank_full(logits.numpy(), groups).masked


def main(path: Path, share: float, seeds: Sequence[int]) -> None:
    catalog, split = load_training(DataConfig(name="redial", path=str(path), limit=share))
    _, whole = load_training(DataConfig(name="redial", path=str(path)))
    found = [case for case in cases(TestSet(whole.valid), catalog) if not case.repeated]
    groups = by_context(found)
    torch.manual_seed(0)
    policy = Policy.fresh(catalog, split.train, PolicyConfig(lm=LMConfig(layers=1, width=64)), Path(".cache"))
    pieces = [[pick for pick in segment.picks if pick.rows] for segment in segments(split.train, policy, None)]
    picks = [pick for piece in pieces for pick in piece]
    numbers = iter(range(len(picks)))
    index = [[next(numbers) for _ in piece] for piece in pieces]
    contexts = [group[0].context for group in groups]
    read, asked = windows(policy, [pick.context for pick in picks]), windows(policy, contexts)
    seekers = np.array([case.context.user for group in groups for case in group])
    over = partial(bootstrap_mean, groups=seekers)
    print(f"{len(picks)} turns to learn from, {len(found)} new items of {len(set(seekers))} seekers")
    print("| seed | target | α | R@1 | R@10 | R@50 | NDCG@10 | NDCG@10 − hard | R@50 − hard |\n" + "|---" * 9 + "|")
    for seed in seeds:
        hard = None
        for name, spread in {"hard": None, **SPREADS}.items():
            for alpha in SHARES if spread else (0.0,):
                model = trained(policy, split, index, picks, read, spread, alpha, seed)
                place = ranks(model, groups, contexts, asked)
                hard = place if hard is None else hard
                levels = [hit(place, k).mean() for k in (1, 10, 50)] + [ndcg(place, 10).mean()]
                gains = ndcg(place, 10) - ndcg(hard, 10), hit(place, 50) - hit(hard, 50)
                told = [str(over(gain, generator=np.random.default_rng(0))) for gain in gains]
                cells = [f"{level:.3f}" for level in levels[:3]] + [f"{levels[3]:.4f}", *told]
                print(f"| {seed} | {name} | {alpha} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), [int(seed) for seed in sys.argv[3:]])
