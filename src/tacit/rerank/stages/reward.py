"""Rerankers of the reward, one a fold of the training users, trained on the other folds' lists and texts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from tacit.rerank.align.feedback import ModelOnTexts, RerankerScorer, folds
from tacit.rerank.lists.past import Past
from tacit.rerank.stages.context import RerankRun
from tacit.rerank.stages.data import TextReader
from tacit.rerank.stages.jobs import TrainingJob, train_all
from tacit.rerank.stages.rounds import Round
from tacit.rerank.stages.texts import first_writer
from tacit.rerank.writer.texts import load_texts


def reward_scorer(context: RerankRun) -> RerankerScorer:
    """Scores a text about a training user by rerankers that never saw the user."""
    config, data, split = context.config, context.data, context.data.split
    first_texts = load_texts(context.folder / "knowledge")
    reader = data.reading(first_texts, context.device, config.dtype)
    knowledge = data.knowledge(first_texts, reader)
    if config.align.reads == "samples":
        knowledge = replace(knowledge, samples=_sample_vectors(context, reader, knowledge.user))
    parts = folds(split.train_users, config.align.folds, config.seed)
    jobs = [
        TrainingJob(
            folder=context.folder / "rankers" / f"reward-{config.align.ranker}-fold{number}",
            settings=replace(config.ranker, name=config.align.ranker),
            items=data.ratings.items,
            train_lists=split.train.take(~np.isin(split.train.users, part)),
            selection=split.valid,
            histories=split.histories,
            texts=knowledge,
            seed=number,
            device=context.device,
            dtype=config.dtype,
        )
        for number, part in enumerate(parts)
    ]
    train_all(jobs, "rerankers of the reward")
    rankers = []
    for job in jobs:
        model = job.train()
        past = Past(split.histories, split.n_items) if model.reads_past else None
        rankers.append(ModelOnTexts(model, split.train, knowledge, past, context.device))
    return RerankerScorer(rankers, parts, split.train, reader, config.align.reward)


def _sample_vectors(context: RerankRun, reader: TextReader, first: Tensor) -> Tensor:
    """Vectors of the first round's samples, [n_users, N, d]; whoever was not asked keeps that of the ``first`` text."""
    one, n = Round(context, 1, first_writer(context)), context.config.knowledge.samples
    texts = [(text,) for of_user in one.samples() for text in of_user]
    rows = reader([user for user in one.users for _ in range(n)], texts)
    vectors = first[:, None].repeat(1, n, 1)
    vectors[one.users] = torch.from_numpy(rows).unflatten(0, (len(one.users), n))
    return vectors
