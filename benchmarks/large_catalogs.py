"""``Policy.act`` on a large catalogue beside one of 300 items, and the memory of a policy with a million items.

    OMP_NUM_THREADS=1 python benchmarks/large_catalogs.py act [items] [batch] [rounds]
    OMP_NUM_THREADS=1 python benchmarks/large_catalogs.py memory [items] [items with history]

Vectors and neighbours are drawn; the rest is a fresh policy on the synthetic world. ``memory`` saves such a policy,
then acts, and trains, each in a process of its own, and tells its peak. CPU seconds.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from racing import race
from tacit.catalog import Catalog
from tacit.data.dialogues.sources import DataConfig, load_training
from tacit.dialogue.policy.associations import Associations
from tacit.dialogue.policy.network import PolicyConfig
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.policy.slate import HALF_FROM, SlateHead
from tacit.dialogue.train.ppo_batch import evaluate_all, frozen_copy
from tacit.dialogue.train.ppo_learner import Learner, PPOConfig
from tacit.types import Dialogue, Item


def fresh() -> tuple[Policy, list[Dialogue]]:
    catalog, split = load_training(DataConfig())
    policy = Policy.fresh(catalog, split.train, PolicyConfig()).eval()
    merged = [dialogue.merged() for dialogue in split.train]
    return policy, [d.before(3) for d in merged if len(d.turns) > 3 and d.turns[2].speaker == "user"]


def widened(policy: Policy, n: int, known: int) -> Policy:
    """The same policy over n items, of which the first ``known`` have history."""
    made = [Item(f"made{k}", f"Made Up {k}", "") for k in range(n - len(policy.catalog))]
    catalog = Catalog([*policy.catalog.items, *made], np.r_[np.ones(known), np.zeros(n - known)].astype(np.int64))
    near = torch.randint(n, (known, 100), dtype=torch.int32)
    text = torch.empty(n, policy.encoder.dim, dtype=torch.float16 if n >= HALF_FROM else torch.float32)
    for start in range(0, n, 50_000):
        text[start : start + 50_000] = torch.nn.functional.normalize(torch.randn(text[start : start + 50_000].shape))
    width = policy.lm.config.hidden_size
    head = SlateHead(text, catalog.counts, Associations(torch.arange(known), near, torch.rand(known, 100)), width)
    return Policy(policy.lm, policy.tokenizer, policy.encoder, head, catalog, policy.config).eval()


def act(n: int, batch: int, rounds: int) -> None:
    policy, contexts = fresh()
    large, contexts, dice = widened(policy, n, n), contexts[:batch], torch.Generator().manual_seed(0)

    def turn(one: Policy) -> None:
        one.encoder.clear_cache()  # every turn of a conversation is a new window
        one.act(contexts, dice, decide="recommend")

    times = race({"few": lambda: turn(policy), "many": lambda: turn(large)}, rounds)
    print(
        f"act, batch {batch}: {len(policy.catalog)} items {times['few']:.3f} s, {n} items {times['many']:.3f} s:",
        end=" ",
    )
    print(f"{times['many'] / times['few']:.2f} x")


def memory(n: int, known: int) -> None:
    policy, _ = fresh()
    with tempfile.TemporaryDirectory() as folder:
        widened(policy, n, known).save_pretrained(folder)
        for what in ("acting", "training"):
            subprocess.run([sys.executable, __file__, what, folder], check=True)


def loaded(what: str, folder: Path) -> None:
    """Load a policy, act for 16 dialogues, and in training take one step over all weights from the turns' scores."""
    policy = Policy.from_pretrained(folder)
    opening = load_training(DataConfig())[1].train[:16]
    contexts = [dialogue.merged().before(1) for dialogue in opening]
    policy.encoder.requires_grad_(False)
    samples = policy.act(contexts, torch.Generator().manual_seed(0), decide="recommend")
    if what == "training":
        learner, reference = Learner.of(policy, PPOConfig()), frozen_copy(policy)
        for scored in (policy, reference):
            evaluate_all(scored, contexts, samples, 16)
        for _ in range(2):  # the second finds the optimiser's moments
            found = policy.evaluate(contexts, samples)
            learner.optimizer.zero_grad(set_to_none=True)
            (found.slate_logprobs.mean() + found.token_logprobs.mean()).backward()
            learner.optimizer.step()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{what}: {len(policy.catalog)} items, {len(policy.head.history)} with history, peak {peak:.2f} GiB", flush=True
    )


if __name__ == "__main__":
    command, *given = sys.argv[1:]
    if command in ("acting", "training"):
        loaded(command, Path(given[0]))
    elif command == "act":
        act(*(int(x) for x in [*given, *("100000", "32", "5")[len(given) :]]))
    else:
        memory(*(int(x) for x in [*given, *("1000000", "100000")[len(given) :]]))
