"""The rerankers of a run: which there are, what texts each one reads, and training several at once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch

from tacit.rerank.lists.lists import Histories, Lists
from tacit.rerank.ranker.rerankers import RankerName, Reranker
from tacit.rerank.ranker.tokens import Knowledge
from tacit.rerank.ranker.train_reranker import RerankerConfig, new_reranker, train_ranker
from tacit.rerank.stages.config import RerankConfig
from tacit.rerank.stages.context import RerankRun
from tacit.run.folder import Stage
from tacit.run.processes import processes, release_memory
from tacit.run.progress import progress
from tacit.types import Item


@dataclass(frozen=True)
class RerankerJob:
    """One reranker of a table: which one, with which texts, from which seed."""

    ranker: RankerName
    arm: str
    seed: int

    @property
    def folder(self) -> str:
        return f"{self.ranker}-{self.arm.replace(' ', '-')}-seed{self.seed}"


def cells(config: RerankConfig, arm: str) -> list[RerankerJob]:
    """Every reranker of one arm, from each of its seeds."""
    seeds = min(config.control_seeds, config.ranker_seeds) if arm in config.controls else config.ranker_seeds
    return [RerankerJob(name, arm, seed) for name in config.rankers for seed in range(seeds)]


@dataclass(frozen=True)
class TrainingJob:
    """A reranker to be trained in ``folder``, with everything that a process of its own needs for it."""

    folder: Path
    settings: RerankerConfig
    items: Sequence[Item]
    train_lists: Lists
    selection: Lists
    histories: Histories
    texts: Knowledge | None
    seed: int
    device: str
    dtype: str

    @property
    def stage(self) -> Stage:
        return Stage(self.folder.name, self.folder)

    def train(self) -> Reranker:
        """The trained reranker; one that is done is only read."""
        width = None if self.texts is None else self.texts.user.shape[1]
        model = new_reranker(self.settings, self.items, width, self.seed)
        train_ranker(
            model,
            train=self.train_lists,
            selection=self.selection,
            knowledge=self.texts,
            config=self.settings,
            seed=self.seed,
            stage=self.stage,
            device=self.device,
            dtype=self.dtype,
            histories=self.histories,
        )
        return model


def job_of(context: RerankRun, cell: RerankerJob, texts: Knowledge | None) -> TrainingJob:
    """A cell of the tables: trained on all training lists, its epoch chosen on validation unless its row says test."""
    data, settings = context.data, replace(context.config.ranker, name=cell.ranker)
    return TrainingJob(
        folder=context.folder / "rankers" / cell.folder,
        settings=settings,
        items=data.ratings.items,
        train_lists=data.split.train,
        selection=data.test.lists if settings.select == "test" else data.split.valid,
        histories=data.split.histories,
        texts=texts,
        seed=cell.seed,
        device=context.device,
        dtype=context.config.dtype,
    )


class Training(Protocol):
    """A ``TrainingJob``, or another training that a process of its own can do; done, it is only read."""

    @property
    def stage(self) -> Stage: ...

    @property
    def device(self) -> str: ...

    def train(self) -> object: ...


def train_all(jobs: Sequence[Training], what: str) -> None:
    """Train what is not done: on a CPU as many at once as there are threads, one thread each.

    Two processes do twice the work; two threads in one hardly more than one, for the matrices are small.
    """
    waiting = [job for job in jobs if not job.stage.done()]
    at_once = min(torch.get_num_threads(), len(waiting)) if all(job.device == "cpu" for job in waiting) else 1
    if at_once < 2:
        for job in waiting:
            job.train()
        return
    with progress(len(waiting), what) as bar, processes(at_once) as pool:
        for result in as_completed([pool.submit(_train, job) for job in waiting]):
            result.result()
            bar.advance()


def _train(job: Training) -> None:
    job.train()
    release_memory()
