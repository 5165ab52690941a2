"""The stages of system B: protocol, writer and first texts, rerankers, rounds of alignment, evaluation.

RLRF4Rec (arXiv 2410.05939): a language model writes what it knows of each user, a reranker that reads the texts turns
them into NDCG, the best and the worst of N samples become preference pairs, and the round repeats.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np

from tacit.data.ratings.sources import load_ratings
from tacit.rerank.align.sft import train_writer
from tacit.rerank.evaluate.bounds import bounds
from tacit.rerank.lists.lists import build
from tacit.rerank.ranker.collaborative import popularity
from tacit.rerank.stages.arms import arm_jobs, arms
from tacit.rerank.stages.config import NO_WRITER, RerankConfig
from tacit.rerank.stages.jobs import train_all
from tacit.rerank.stages.material import RerankData
from tacit.rerank.stages.texts import texts_card, write_texts, writer
from tacit.rerank.writer.compose import examples
from tacit.rerank.writer.facts import item_facts
from tacit.rerank.writer.texts import save_texts
from tacit.rerank.writer.writers import small_writer
from tacit.run.files import atomic_write
from tacit.run.folder import Run, Stage


def material(run: Run, config: RerankConfig) -> RerankData:
    ratings = load_ratings(config.data, run.folder / "ratings")
    split, test, card = build(ratings, config.lists)
    return RerankData(ratings, split, test, card, config.knowledge, run.folder / "texts")


def prepare(run: Run, config: RerankConfig, device: str) -> None:
    """The protocol's card, and its bounds on the validation users."""
    stage, known = run.stage("prepare"), material(run, config)
    rows = {
        row.name: {name: asdict(e) for name, e in row.values.items()} for row in bounds(known.split, known.split.valid)
    }
    atomic_write(stage.folder / "protocol.json", json.dumps({"card": known.card, "valid": rows}, indent=1) + "\n")
    stage.finish({"valid_lists": len(known.split.valid), "train_lists": len(known.split.train)})


# --- knowledge ----------------------------------------------------------------------------------------------------


def knowledge(run: Run, config: RerankConfig, device: str) -> None:
    """The writer (trained here, unless one is given) and its greedy text about every user."""
    stage, known = run.stage("knowledge"), material(run, config)
    if config.knowledge.writer == NO_WRITER:
        stage.finish({"users": 0})
        return
    if config.knowledge.writer == "small":
        _train_small_writer(stage, known, config, device)
    texts = write_texts(writer(run, config, known, device), known)
    save_texts(stage.folder, texts)
    stage.finish({"users": len(known.users), **texts_card(known, texts)})


def _train_small_writer(stage: Stage, known: RerankData, config: RerankConfig, device: str) -> None:
    """Fresh weights learn to write like texts composed from training users' histories and the items' descriptions."""
    split = known.split
    counts = popularity(split.histories, split.train_users, split.n_items).astype(np.int64)
    facts = item_facts(known.ratings.items, known.ratings.descriptions, counts)
    each = math.ceil(config.knowledge.composed / len(split.train_users))
    composed = examples(
        facts, known.ratings, split.histories, split.train_users, each, config.seed, config.knowledge.shown,
    )  # fmt: skip
    prompts, texts = [prompt for prompt, _ in composed], [text for _, text in composed]
    whole = [item.title for item in known.ratings.items] + [f"#{k}" for k in range(1, config.knowledge.shown + 1)]
    lm, tokenizer = small_writer([*dict.fromkeys(prompts), *texts], config.knowledge.lm, config.seed, whole)
    inner = Stage("writer", stage.folder / "sft")
    train_writer(lm, tokenizer, prompts, texts, config.writer, inner, config.seed, device, config.dtype)


# --- rerankers ----------------------------------------------------------------------------------------------------


def train(run: Run, config: RerankConfig, device: str) -> None:
    """Every reranker that needs no alignment: base, the first texts, the controls."""
    stage, known = run.stage("train"), material(run, config)
    jobs = [job for arm in arms(config) for job in arm_jobs(run, config, known, arm, device)]
    train_all(jobs, "rerankers")
    stage.finish({"rerankers": len(jobs)})
