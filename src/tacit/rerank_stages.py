"""The stages of system B: protocol, writer and first texts, rerankers, rounds of alignment, evaluation.

RLRF4Rec (arXiv 2410.05939): a language model writes what it knows of each user, a reranker that reads the texts turns
them into NDCG, the best and the worst of N samples become preference pairs, and the round repeats.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from tacit.data.rating_sources import load_ratings
from tacit.files import atomic_write
from tacit.knowledge import faithfulness, filled
from tacit.knowledge_composer import examples
from tacit.knowledge_facts import item_facts
from tacit.list_bounds import bounds
from tacit.lists import build
from tacit.models.collaborative import popularity
from tacit.models.knowledge_writers import EndpointWriter, LocalWriter, Writer, small_writer
from tacit.models.list_tokens import Knowledge
from tacit.models.text_cache import CachedWriter
from tacit.models.text_sampling import Sampling
from tacit.models.text_vectors import BETWEEN
from tacit.rerank_cells import Job, cells, job_of, train_all
from tacit.rerank_config import NO_WRITER, RerankConfig
from tacit.rerank_material import Material
from tacit.run import Run, Stage
from tacit.train.writer import train_writer
from tacit.types import InputError

WITHOUT_WRITER = ("tfidf", "svd")  # controls whose vectors come from the ratings or the titles
Texts = dict[int, str]


def material(run: Run, config: RerankConfig) -> Material:
    ratings = load_ratings(config.data, run.folder / "ratings")
    split, test, card = build(ratings, config.lists)
    return Material(ratings, split, test, card, config.knowledge, run.folder / "texts")


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
    save_texts(stage, texts)
    stage.finish({"users": len(known.users), **texts_card(known, texts)})


def _train_small_writer(stage: Stage, known: Material, config: RerankConfig, device: str) -> None:
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


def writer(
    run: Run,
    config: RerankConfig,
    known: Material,
    device: str,
    folder: str | Path | None = None,
    sampling: Sampling | None = None,
) -> Writer:
    """The writer of ``folder``, or that of round 0; every text it writes is kept in the run."""
    wanted = config.knowledge
    sampling = sampling or Sampling(wanted.temperature, wanted.top_p, wanted.max_tokens)
    if wanted.writer == "endpoint":
        if not wanted.url or not wanted.model:
            raise InputError("knowledge.writer=endpoint needs knowledge.url (up to /v1) and knowledge.model.")
        return CachedWriter(EndpointWriter(wanted.url, wanted.model, sampling), known.cache)
    small = run.folder / "knowledge" / "sft" / "writer"
    base = str(folder or (small if wanted.writer == "small" else wanted.writer))
    at_once = torch.get_num_threads() if wanted.writer == "small" and device == "cpu" else 1
    return CachedWriter(LocalWriter.load(base, sampling, device, config.dtype), known.cache, at_once=at_once)


def write_texts(author: Writer, known: Material, seed: int | None = None) -> Texts:
    """The likeliest text about every user, or with a ``seed`` one drawn, its numbers filled with titles."""
    written = author.write([known.prompts[u] for u in known.users], 1, seed or 0, greedy=seed is None)
    return {u: filled(known.prompts[u], options[0]) for u, options in zip(known.users, written, strict=True)}


def texts_card(known: Material, texts: Texts) -> dict[str, float]:
    """Words, titles, and how many of these the writer was told of: means over texts, where a user has several."""
    titles = [item.title for item in known.ratings.items]
    each = [(known.prompts[user], text) for user, told in texts.items() for text in told.split(BETWEEN)]
    prompts, alone = [prompt for prompt, _ in each], [text for _, text in each]
    return {"texts a user": len(each) / max(len(texts), 1), **faithfulness(prompts, alone, titles)}


def save_texts(stage: Stage, texts: Texts) -> None:
    atomic_write(stage.folder / "texts.json", json.dumps(texts, ensure_ascii=False, indent=0) + "\n")


def load_texts(folder: Path) -> Texts:
    found = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
    return {int(user): text for user, text in found.items()}


# --- rerankers ----------------------------------------------------------------------------------------------------


def arms(config: RerankConfig) -> list[str]:
    """Every arm of the tables, without the rounds that alignment adds."""
    if config.knowledge.writer == NO_WRITER:
        return ["base", *(arm for arm in config.controls if arm in WITHOUT_WRITER)]
    return ["base", "round 0", *config.controls]


def arm_knowledge(run: Run, config: RerankConfig, known: Material, arm: str, device: str) -> Knowledge | None:
    """The texts that an arm's rerankers read, as vectors; None for ``base``."""
    if arm == "base":
        return None
    if arm in WITHOUT_WRITER:
        return known.without_language_model(arm, config.knowledge.components or 384)
    first = load_texts(run.folder / "knowledge")
    reading = known.reading(first, device, config.dtype)
    if arm == "other users' texts":
        return known.knowledge(exchanged(first, config.seed), reading)
    if arm == "empty text":
        return known.knowledge(dict.fromkeys(first, ""), reading)
    if arm.startswith("round "):
        number = int(arm.removeprefix("round "))
        return known.knowledge(load_texts(round_folder(run, number)) if number else first, reading)
    raise InputError(f"controls: {arm!r} is unknown; choose from tfidf, svd, other users' texts, empty text.")


def round_folder(run: Run, number: int) -> Path:
    return run.folder / "align" / f"round{number}"


def exchanged(texts: Texts, seed: int) -> Texts:
    """Everyone gets the text of somebody else: a control that must not help."""
    users = np.random.default_rng(seed).permutation(sorted(texts))
    return {int(user): texts[int(other)] for user, other in zip(users, np.roll(users, 1), strict=True)}


def train(run: Run, config: RerankConfig, device: str) -> None:
    """Every reranker that needs no alignment: base, the first texts, the controls."""
    stage, known = run.stage("train"), material(run, config)
    jobs = [job for arm in arms(config) for job in arm_jobs(run, config, known, arm, device)]
    train_all(jobs, "rerankers")
    stage.finish({"rerankers": len(jobs)})


def arm_jobs(run: Run, config: RerankConfig, known: Material, arm: str, device: str) -> list[Job]:
    """Every reranker and seed of one arm."""
    texts = arm_knowledge(run, config, known, arm, device)
    return [job_of(run, config, known, cell, texts, device) for cell in cells(config, arm)]
