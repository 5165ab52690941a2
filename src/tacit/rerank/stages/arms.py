"""The arms of the tables: which texts the rerankers of each one read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tacit.rerank.ranker.tokens import Knowledge
from tacit.rerank.stages.config import NO_WRITER, RerankConfig
from tacit.rerank.stages.jobs import TrainingJob, cells, job_of
from tacit.rerank.stages.material import RerankData
from tacit.rerank.writer.texts import Texts, load_texts
from tacit.run.folder import Run
from tacit.types import InputError

WITHOUT_WRITER = ("tfidf", "svd")  # controls whose vectors come from the ratings or the titles


def arms(config: RerankConfig) -> list[str]:
    """Every arm of the tables, without the rounds that alignment adds."""
    if config.knowledge.writer == NO_WRITER:
        return ["base", *(arm for arm in config.controls if arm in WITHOUT_WRITER)]
    return ["base", "round 0", *config.controls]


def arm_knowledge(run: Run, config: RerankConfig, known: RerankData, arm: str, device: str) -> Knowledge | None:
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
        return known.knowledge(dict.fromkeys(first, ("",)), reading)
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


def arm_jobs(run: Run, config: RerankConfig, known: RerankData, arm: str, device: str) -> list[TrainingJob]:
    """Every reranker and seed of one arm."""
    texts = arm_knowledge(run, config, known, arm, device)
    return [job_of(run, config, known, cell, texts, device) for cell in cells(config, arm)]
