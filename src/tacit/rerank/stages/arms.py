"""The arms of the tables: which texts the rerankers of each one read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from tacit.rerank.ranker.tokens import Knowledge
from tacit.rerank.stages.config import NO_WRITER, RerankConfig
from tacit.rerank.stages.context import RerankRun
from tacit.rerank.stages.jobs import TrainingJob, cells, job_of
from tacit.rerank.writer.texts import Texts, load_texts

BASE = "base"  # rerankers without texts
WITHOUT_WRITER = ("tfidf", "svd")  # controls whose vectors come from the ratings or the titles
WIDTH = 384  # of these vectors where texts are read whole (knowledge.components=0)


def arms(config: RerankConfig) -> list[str]:
    """Every arm of the tables, without the rounds that alignment adds."""
    if config.knowledge.writer == NO_WRITER:
        return [BASE, *(arm for arm in config.controls if arm in WITHOUT_WRITER)]
    return [BASE, "round 0", *config.controls]


def arm_knowledge(context: RerankRun, arm: str) -> Knowledge | None:
    """The texts that an arm's rerankers read, as vectors; None for ``base``."""
    if arm == BASE:
        return None
    if arm in CONTROLS:
        return CONTROLS[arm](context)
    number = int(arm.removeprefix("round "))
    return _read(context, load_texts(round_folder(context.folder, number)) if number else _first_texts(context))


def round_folder(folder: Path, number: int) -> Path:
    return folder / "align" / f"round{number}"


def exchanged(texts: Texts, seed: int) -> Texts:
    """Everyone gets the text of somebody else: a control that must not help."""
    users = np.random.default_rng(seed).permutation(sorted(texts))
    return {int(user): texts[int(other)] for user, other in zip(users, np.roll(users, 1), strict=True)}


def arm_jobs(context: RerankRun, arm: str) -> list[TrainingJob]:
    """Every reranker and seed of one arm."""
    texts = arm_knowledge(context, arm)
    return [job_of(context, cell, texts) for cell in cells(context.config, arm)]


def _first_texts(context: RerankRun) -> Texts:
    return load_texts(context.folder / "knowledge")


def _read(context: RerankRun, texts: Texts) -> Knowledge:
    """As the first texts are read, whatever the arm."""
    reader = context.data.reading(_first_texts(context), context.device, context.config.dtype)
    return context.data.knowledge(texts, reader)


def _without_writer(name: str) -> Callable[[RerankRun], Knowledge]:
    return lambda context: context.data.without_language_model(name, context.config.knowledge.components or WIDTH)


def _other_users_texts(context: RerankRun) -> Knowledge:
    return _read(context, exchanged(_first_texts(context), context.config.seed))


def _empty_text(context: RerankRun) -> Knowledge:
    return _read(context, dict.fromkeys(_first_texts(context), ("",)))


CONTROLS: Mapping[str, Callable[[RerankRun], Knowledge]] = {
    **{name: _without_writer(name) for name in WITHOUT_WRITER},
    "other users' texts": _other_users_texts,
    "empty text": _empty_text,
}
