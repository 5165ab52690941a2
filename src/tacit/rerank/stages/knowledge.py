"""The stages of system B: protocol, writer and first texts, rerankers, rounds of alignment, evaluation.

RLRF4Rec (arXiv 2410.05939): a language model writes what it knows of each user, a reranker that reads the texts turns
them into NDCG, the best and the worst of N samples become preference pairs, and the round repeats.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np

from tacit.data import fingerprint
from tacit.rerank.align.sft import train_writer
from tacit.rerank.evaluate.bounds import bounds
from tacit.rerank.ranker.collaborative import popularity
from tacit.rerank.stages.arms import arm_jobs, arms
from tacit.rerank.stages.config import NO_WRITER, RerankConfig
from tacit.rerank.stages.context import RerankRun
from tacit.rerank.stages.jobs import train_all
from tacit.rerank.stages.texts import texts_card, write_texts, writer
from tacit.rerank.writer.compose import examples
from tacit.rerank.writer.facts import item_facts
from tacit.rerank.writer.texts import save_texts
from tacit.rerank.writer.writers import small_writer
from tacit.run.files import atomic_write
from tacit.run.folder import Run, Stage
from tacit.text.lm import load_pretrained


def prepare(run: Run, config: RerankConfig, device: str) -> None:
    """The protocol's card, and its bounds on the validation users."""
    stage, data = run.stage("prepare"), RerankRun.open(run, config, device).data
    rows = {
        row.name: {name: asdict(e) for name, e in row.values.items()} for row in bounds(data.split, data.split.valid)
    }
    atomic_write(stage.folder / "protocol.json", json.dumps({"card": data.card, "valid": rows}, indent=1) + "\n")
    fingerprint.write(run.folder, fingerprint.of_ratings(data.ratings))
    stage.finish({"valid_lists": len(data.split.valid), "train_lists": len(data.split.train)})


# --- knowledge ----------------------------------------------------------------------------------------------------


def knowledge(run: Run, config: RerankConfig, device: str) -> None:
    """The writer (trained here, or one that is given, as it is or tuned) and its greedy text about every user."""
    stage = run.stage("knowledge")
    if config.knowledge.writer == NO_WRITER:
        stage.finish({"users": 0})
        return
    context = RerankRun.open(run, config, device)
    if config.knowledge.trained:
        _train_writer(stage, context)
    texts = write_texts(writer(context), context.data)
    save_texts(stage.folder, texts)
    stage.finish({"users": len(texts), **texts_card(context.data, texts)})


def _train_writer(stage: Stage, context: RerankRun) -> None:
    """Fresh weights, or a model that is given, learn to write like texts composed from training users' histories and
    the items' descriptions."""
    inner, config = Stage("writer", stage.folder / "sft"), context.config
    if inner.done():
        return
    prompts, texts = _composed(context)
    if config.knowledge.writer == "small":
        whole = [item.title for item in context.data.ratings.items]
        whole += [f"#{k}" for k in range(1, config.knowledge.shown + 1)]
        lm, tokenizer = small_writer([*dict.fromkeys(prompts), *texts], config.knowledge.lm, config.seed, whole)
    else:  # so few of them that not every user can have some
        lm, tokenizer = load_pretrained(config.knowledge.writer, "auto", "knowledge.writer")
        some = np.random.default_rng(config.seed).permutation(len(prompts))[: config.knowledge.composed]
        prompts, texts = [prompts[row] for row in some], [texts[row] for row in some]
    train_writer(lm, tokenizer, prompts, texts, config.writer, inner, config.seed, context.device, config.dtype)


def _composed(context: RerankRun) -> tuple[list[str], list[str]]:
    """At least ``knowledge.composed`` texts, the same number about every training user, after their prompts."""
    config, ratings, split = context.config, context.data.ratings, context.data.split
    counts = popularity(split.histories, split.train_users, split.n_items).astype(np.int64)
    facts = item_facts(ratings.items, ratings.descriptions, counts)
    per_user = math.ceil(config.knowledge.composed / len(split.train_users))
    composed = examples(
        facts, ratings, split.histories, split.train_users, per_user, config.seed, config.knowledge.shown,
    )  # fmt: skip
    return [prompt for prompt, _ in composed], [text for _, text in composed]


# --- rerankers ----------------------------------------------------------------------------------------------------


def train(run: Run, config: RerankConfig, device: str) -> None:
    """Every reranker that needs no alignment: base, the first texts, the controls."""
    stage, context = run.stage("train"), RerankRun.open(run, config, device)
    jobs = [job for arm in arms(config) for job in arm_jobs(context, arm)]
    train_all(jobs, "rerankers")
    stage.finish({"rerankers": len(jobs)})
