"""How supervised fine-tuning ranks with a share of the training dialogues, beside counting with the same ones.

    python benchmarks/learning_curve.py CONFIG OUT SHARE,SHARE,… [KEY=VALUE …]

The shares are nested: a dialogue belongs to each that is above a fixed number of its id. Items, validation and test
stay whole; popularity and co-mentions are counted in the share. Small shares are read more often (EPOCHS), and
validation chooses the epoch. New items of the official test, full catalogue, what was named before masked; intervals
by person. Each share's policy and results stay in OUT, so that what was stopped goes on.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch

from tacit.catalog import Catalog
from tacit.data.dialogues.sources import load_test, load_training
from tacit.data.lines import share as place_of
from tacit.dialogue.evaluate.ranking import EvaluationInputs, run_evaluate
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.train.sft import run_sft
from tacit.metrics.results import Row
from tacit.pipelines.dialogue import RunConfig, load_config
from tacit.run.folder import Stage
from tacit.run.stages import settle
from tacit.types import Split

EPOCHS = ((0.05, 4), (0.1, 3), (0.25, 2), (1.0, 1))  # up to this share, at most so many
COUNTS = "co-occurrence"
COLUMNS = (("sft", "HR", 1), ("sft", "HR", 10), ("sft", "HR", 50), ("sft", "NDCG", 10), (COUNTS, "NDCG", 10))


def tuned(config: RunConfig, catalog: Catalog, split: Split, share: float, stage: Stage) -> Policy:
    """A policy that saw the share alone, as ``tacit run`` makes it."""
    if not stage.done():
        torch.manual_seed(config.seed)
        policy = Policy.fresh(catalog, split.train, config.policy, cache=stage.folder.parent / ".cache")
        epochs = next(epochs for most, epochs in EPOCHS if share <= most)
        sft = replace(config.sft.settled(config.policy.base), epochs=epochs)
        run_sft(policy, split, sft, stage, config.seed, config.dtype)
    return Policy.from_pretrained(stage.folder / "policy")


def cell(rows: list[Row], model: str, metric: str, k: int, against: str = "") -> str:
    for row in rows:
        wanted = row.protocol.endswith("standard") and row.slice == "new" and (row.metric, row.k) == (metric, k)
        if wanted and row.model == model and row.against == against:
            ends = "not told" if row.ci_low is None else f"{row.ci_low:.4f}, {row.ci_high:.4f}"
            return f"{row.value:.4f} [{ends}]"
    raise SystemExit(f"no row of {model}, {metric}@{k}: delete the folder of the share and begin it anew")


def main(config_file: str, out: Path, shares: list[float], overrides: list[str]) -> None:
    config = load_config(config_file, overrides)
    settle("cpu", config.threads)
    whole, split = load_training(config.data)
    test = load_test(config.data)
    print("| share | dialogues | SFT: R@1 | R@10 | R@50 | NDCG@10 | co-occurrence: NDCG@10 | SFT − co-occurrence |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for share in shares:
        part = Split(tuple(d for d in split.train if place_of("curve:" + d.id) < share), split.valid, split.rule)
        catalog, stage = whole.with_counts(part.train), Stage("sft", out / f"share-{share:g}")
        policy = tuned(config, catalog, part, share, stage)
        inputs = EvaluationInputs(config.data.name, catalog, part, test, {"sft": policy}, pairs=(("sft", COUNTS),))
        evaluate = replace(config.evaluate, users=0, map=0, replies=0, run_files="none")
        rows = run_evaluate(inputs, evaluate, stage.folder / "evaluate", config.seed)
        cells = [cell(rows, *column) for column in COLUMNS] + [cell(rows, "sft", "NDCG", 10, COUNTS)]
        print(f"| {share:.0%} | {len(part.train):,} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), [float(x) for x in sys.argv[3].split(",")], sys.argv[4:])
