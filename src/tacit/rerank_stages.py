"""The stages of system B: protocol, writer and first texts, rerankers, rounds of alignment, evaluation.

RLRF4Rec (arXiv 2410.05939): a language model writes what it knows of each user, a reranker that reads the texts turns
them into NDCG, the best and the worst of N samples become preference pairs, and the round repeats.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import AutoTokenizer

from tacit.data.rating_sources import load_ratings
from tacit.files import atomic_write
from tacit.knowledge import faithfulness, filled
from tacit.knowledge_composer import examples
from tacit.knowledge_facts import item_facts
from tacit.list_bounds import bounds
from tacit.list_feedback import ModelOnTexts, RankerScorer, folds, score_samples
from tacit.list_pairs import (
    Pair,
    export_llama_factory,
    export_trl,
    length_matched,
    pair_card,
    pairs,
    random_pairs,
    require_signal,
    split_half,
    swapped,
)
from tacit.lists import build
from tacit.models.collaborative import popularity
from tacit.models.knowledge_writers import EndpointWriter, LocalWriter, Writer, small_writer
from tacit.models.list_tokens import Knowledge, Past
from tacit.models.text_cache import CachedWriter
from tacit.models.text_sampling import Sampling
from tacit.rerank_cells import Job, cells, job_of, train_all
from tacit.rerank_config import NO_WRITER, RerankConfig
from tacit.rerank_material import Material, Reading
from tacit.run import Run, Stage
from tacit.train.dpo import align
from tacit.train.writer import train_writer
from tacit.train.writer_ppo import Task, align_by_scores
from tacit.types import Group, InputError

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
    texts = write_greedily(writer(run, config, known, device), known)
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


def writer(run: Run, config: RerankConfig, known: Material, device: str, folder: str | Path | None = None) -> Writer:
    """The writer of ``folder``, or that of round 0; every text it writes is kept in the run."""
    wanted = config.knowledge
    sampling = Sampling(wanted.temperature, wanted.top_p, wanted.max_tokens)
    if wanted.writer == "endpoint":
        if not wanted.url or not wanted.model:
            raise InputError("knowledge.writer=endpoint needs knowledge.url (up to /v1) and knowledge.model.")
        return CachedWriter(EndpointWriter(wanted.url, wanted.model, sampling), known.cache)
    small = run.folder / "knowledge" / "sft" / "writer"
    base = str(folder or (small if wanted.writer == "small" else wanted.writer))
    at_once = torch.get_num_threads() if wanted.writer == "small" and device == "cpu" else 1
    return CachedWriter(LocalWriter.load(base, sampling, device, config.dtype), known.cache, at_once=at_once)


def write_greedily(author: Writer, known: Material) -> Texts:
    """The likeliest text about every user, its numbers filled with titles."""
    written = author.write([known.prompts[u] for u in known.users], 1, 0, greedy=True)
    return {u: filled(known.prompts[u], options[0]) for u, options in zip(known.users, written, strict=True)}


def texts_card(known: Material, texts: Texts) -> dict[str, float]:
    """Words, titles, and how many of these the writer was told of."""
    titles = [item.title for item in known.ratings.items]
    return faithfulness([known.prompts[user] for user in texts], list(texts.values()), titles)


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


# --- alignment ----------------------------------------------------------------------------------------------------


def round_folder(run: Run, number: int) -> Path:
    return run.folder / "align" / f"round{number}"


def align_rounds(run: Run, config: RerankConfig, device: str) -> None:
    """Each round: sample, score by rerankers that never saw the user, pair, tune, write and train rerankers again."""
    stage, known = run.stage("align"), material(run, config)
    if not config.align.rounds:
        stage.finish({"rounds": 0})
        return
    scorer = _scorer(run, config, known, device)
    folder: Path | None = None
    for number in range(1, config.align.rounds + 1):
        folder = _one_round(run, config, known, scorer, number, folder, device)
        train_all(arm_jobs(run, config, known, f"round {number}", device), f"rerankers, round {number}")
    stage.finish({"rounds": config.align.rounds})


def _scorer(run: Run, config: RerankConfig, known: Material, device: str) -> RankerScorer:
    """Rerankers of the reward, one a fold of the training users, trained on texts of the other folds."""
    first = load_texts(run.folder / "knowledge")
    reading = known.reading(first, device, config.dtype)
    texts = known.knowledge(first, reading)
    if config.align.reads == "samples":
        texts = replace(texts, samples=_sample_vectors(run, config, known, reading, texts.user, device))
    parts, split = folds(known.split.train_users, config.align.folds, config.seed), known.split
    settings = replace(config.ranker, name=config.align.ranker)
    jobs = []
    for number, part in enumerate(parts):
        others = split.train.take(~np.isin(split.train.users, part))
        folder, items = run.folder / "rankers" / f"reward-{config.align.ranker}-fold{number}", known.ratings.items
        valid, histories, dtype = split.valid, split.histories, config.dtype
        jobs.append(Job(folder, settings, items, others, valid, histories, texts, number, device, dtype))
    train_all(jobs, "rerankers of the reward")
    rankers = []
    for job in jobs:
        model = job.train()
        past = Past(split.histories, split.n_items) if model.reads_past else None
        rankers.append(ModelOnTexts(model, split.train, texts, past, device))
    return RankerScorer(rankers, parts, known.split.train, reading, config.align.reward)


def _sample_vectors(
    run: Run, config: RerankConfig, known: Material, reading: Reading, user: Tensor, device: str
) -> Tensor:
    """Vectors of the first round's samples, [n_users, N, d]; whoever was not asked keeps ``user``, the first text."""
    users, n = _round_users(known, config, 1), config.knowledge.samples
    prompts = [known.prompts[u] for u in users]
    samples = writer(run, config, known, device).write(prompts, n, _sample_seed(config, 1))
    read = reading([p for p in prompts for _ in range(n)], [text for options in samples for text in options])
    vectors = user[:, None].repeat(1, n, 1)
    vectors[users] = torch.from_numpy(read).unflatten(0, (len(users), n))
    return vectors


def _sample_seed(config: RerankConfig, number: int) -> int:
    return 1000 * config.seed + number


def _one_round(
    run: Run, config: RerankConfig, known: Material, scorer: RankerScorer, number: int, before: Path | None, device: str
) -> Path:
    """From the last round's writer to this round's; the folder of the new one."""
    stage = Stage(f"round {number}", round_folder(run, number))
    if not stage.done():
        users, base = _round_users(known, config, number), before or _base_folder(run, config)
        prompts = [known.prompts[user] for user in users]
        tuned, tokenizer = Stage(f"round {number}", stage.folder / "tune"), AutoTokenizer.from_pretrained(base)
        wanted, seed = config.knowledge, _sample_seed(config, number)
        if config.align.method == "ppo":  # it tunes while it samples; its groups are for the same card
            task = Task(users, prompts, wanted.samples, wanted.temperature, wanted.max_tokens)
            settings = config.align.ppo
            groups = align_by_scores(base, tokenizer, task, scorer, settings, tuned, seed, device, config.dtype)
        else:
            samples = writer(run, config, known, device, before).write(prompts, wanted.samples, seed)
            groups = score_samples(scorer, users, prompts, samples)
        agreement = split_half(groups, config.seed, config.align.reward)
        found = _pairs(groups, config, number)
        card = {
            "scored_by": config.align.reward,
            "agreement": asdict(agreement),
            "pairs": pair_card(groups, found),
        }
        stage.folder.mkdir(parents=True, exist_ok=True)
        atomic_write(stage.folder / "card.json", json.dumps(card, indent=1) + "\n")
        export_trl(found, stage.folder / "pairs.jsonl")
        export_llama_factory(found, stage.folder / "llama_factory")
        if config.align.method == "dpo":
            require_signal(agreement, config.align.force)
            align(base, tokenizer, found, config.align.dpo, tuned, config.seed, device, config.dtype)
        texts = write_greedily(writer(run, config, known, device, tuned.folder / "writer"), known)
        save_texts(stage, texts)
        stage.finish({**card, "texts": texts_card(known, texts)})
    return stage.folder / "tune" / "writer"


def _base_folder(run: Run, config: RerankConfig) -> str | Path:
    small = config.knowledge.writer == "small"
    return run.folder / "knowledge" / "sft" / "writer" if small else config.knowledge.writer


def _round_users(known: Material, config: RerankConfig, number: int) -> list[int]:
    users = known.split.train_users
    if config.align.users:
        users = np.random.default_rng([config.seed, number]).permutation(users)[: config.align.users]
    return sorted(int(user) for user in users)


def _pairs(groups: Sequence[Group], config: RerankConfig, number: int) -> list[Pair]:
    best_worst = partial(pairs, groups, min_margin=config.align.min_margin)
    if config.align.pairs == "length_matched":
        return length_matched(groups)
    if config.align.pairs == "random":
        return random_pairs(groups, config.seed + number)
    return swapped(best_worst()) if config.align.pairs == "swapped" else best_worst()
