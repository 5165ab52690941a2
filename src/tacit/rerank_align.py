"""Rounds of alignment: texts are sampled and judged by the recommender; the writer, or the choice of texts, follows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoTokenizer

from tacit.files import atomic_write
from tacit.knowledge import filled
from tacit.list_feedback import Encoder, ModelOnTexts, RankerScorer, folds, score_samples
from tacit.list_pairs import (
    Pair,
    export_llama_factory,
    export_trl,
    judged,
    length_matched,
    pair_card,
    pairs,
    random_pairs,
    require_signal,
    split_half,
    swapped,
)
from tacit.models.list_tokens import Past
from tacit.rerank_cells import Job, train_all
from tacit.rerank_config import RerankConfig
from tacit.rerank_material import Material, Reading
from tacit.rerank_stages import (
    Texts,
    arm_jobs,
    load_texts,
    material,
    round_folder,
    save_texts,
    texts_card,
    write_greedily,
    writer,
)
from tacit.run import Run, Stage
from tacit.text_reward import FORETOLD, TextReward, as_foretold, learn
from tacit.train.dpo import align
from tacit.train.writer_ppo import Task, align_by_scores
from tacit.types import Group


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
    """From the last round's writer to this round's texts; the folder of the writer, where one was tuned."""
    stage = Stage(f"round {number}", round_folder(run, number))
    tuned = Stage(f"round {number}", stage.folder / "tune")
    if not stage.done():
        base = before or _base_folder(run, config)
        groups = _scored(run, config, known, scorer, number, before, tuned, device)
        agreement = split_half(groups, config.seed, config.align.reward)
        card = {"scored_by": config.align.reward, "agreement": asdict(agreement)}
        reward = None
        if config.align.judge == "model":
            reward, groups = _reward_model(groups, known, scorer.encode, config.seed)
            card["model"] = asdict(judged(groups, FORETOLD, config.seed))
            groups = as_foretold(groups)
        found = _pairs(groups, config, number)
        card["pairs"] = pair_card(groups, found)
        _keep(stage, card, found)
        if config.align.method != "ppo":
            require_signal(agreement, config.align.force)
        if config.align.method == "best_of_n":
            assert reward is not None, "rerank_config.check asks for align.judge=model"
            texts = _best_of_n(run, config, known, reward, scorer.encode, number, device)
        else:
            if config.align.method == "dpo":
                tokenizer, settings = AutoTokenizer.from_pretrained(base), config.align.dpo
                align(base, tokenizer, found, settings, tuned, config.seed, device, config.dtype)
            texts = write_greedily(writer(run, config, known, device, tuned.folder / "writer"), known)
        save_texts(stage, texts)
        stage.finish({**card, "texts": texts_card(known, texts)})
    return tuned.folder / "writer"


def _scored(
    run: Run,
    config: RerankConfig,
    known: Material,
    scorer: RankerScorer,
    number: int,
    before: Path | None,
    tuned: Stage,
    device: str,
) -> list[Group]:
    """N texts about each of the round's users, with the feedback on them; ppo tunes the writer while it samples."""
    users, wanted, seed = _round_users(known, config, number), config.knowledge, _sample_seed(config, number)
    prompts = [known.prompts[user] for user in users]
    if config.align.method == "ppo":
        base = before or _base_folder(run, config)
        tokenizer = AutoTokenizer.from_pretrained(base)
        task = Task(users, prompts, wanted.samples, wanted.temperature, wanted.max_tokens)
        return align_by_scores(
            base, tokenizer, task, scorer, config.align.ppo, tuned, seed, device, config.dtype
        )  # fmt: skip
    samples = writer(run, config, known, device, before).write(prompts, wanted.samples, seed)
    return score_samples(scorer, users, prompts, samples)


def _reward_model(
    groups: Sequence[Group], known: Material, encode: Encoder, seed: int
) -> tuple[TextReward, list[Group]]:
    users = [int(group.options[0].context.user) for group in groups]
    prompts = [option.context.turns[0].text for group in groups for option in group.options]
    vectors = encode(prompts, [option.sample.text for group in groups for option in group.options])
    return learn(groups, vectors, known.places[users], seed)


def _keep(stage: Stage, card: dict[str, Any], found: Sequence[Pair]) -> None:
    """The card and the pairs, before hours of training or a refusal."""
    stage.folder.mkdir(parents=True, exist_ok=True)
    atomic_write(stage.folder / "card.json", json.dumps(card, indent=1) + "\n")
    export_trl(found, stage.folder / "pairs.jsonl")
    export_llama_factory(found, stage.folder / "llama_factory")


def _best_of_n(
    run: Run, config: RerankConfig, known: Material, reward: TextReward, encode: Encoder, number: int, device: str
) -> Texts:
    """About everyone what the reward model likes best: of the first text and ``align.best_of`` samples as many as
    ``align.keep``, one below the other, the best first.

    As a control they are drawn blindly (``align.pairs=random``) or the worst ones are taken (``swapped``).
    """
    first, seed = load_texts(run.folder / "knowledge"), _sample_seed(config, number)
    prompts = [known.prompts[u] for u in known.users]
    samples = writer(run, config, known, device).write(prompts, config.align.best_of, seed)
    options = [[first[u], *texts] for u, texts in zip(known.users, samples, strict=True)]
    n = 1 + config.align.best_of
    vectors = encode([p for p in prompts for _ in range(n)], [text for texts in options for text in texts])
    liked = reward(vectors, np.repeat(known.places[known.users], n, axis=0)).reshape(-1, n)
    if config.align.pairs == "random":
        liked = np.random.default_rng([seed, n]).random(liked.shape)
    ranked = np.argsort(liked if config.align.pairs == "swapped" else -liked, axis=1, kind="stable")
    return {
        u: "\n\n".join(filled(prompt, texts[k]) for k in order[: config.align.keep])
        for u, prompt, texts, order in zip(known.users, prompts, options, ranked, strict=True)
    }


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
