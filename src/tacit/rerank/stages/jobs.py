"""The rerankers of a run: which there are, what texts each one reads, and training several at once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch

from tacit.rerank.lists.lists import Histories, Lists
from tacit.rerank.ranker.rerankers import Reranker
from tacit.rerank.ranker.tokens import Knowledge
from tacit.rerank.ranker.train_reranker import RerankerConfig, new_reranker, train_ranker
from tacit.rerank.stages.config import RerankConfig
from tacit.rerank.stages.material import RerankData
from tacit.run.folder import Run, Stage
from tacit.run.processes import processes, release_memory
from tacit.run.progress import progress
from tacit.types import Item


@dataclass(frozen=True)
class RerankerJob:
    """One reranker of a table: which one, with which texts, from which seed."""

    ranker: str
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
        known = self.train_lists, self.selection, self.texts, self.settings, self.seed
        train_ranker(model, *known, self.stage, self.device, self.dtype, self.histories)
        return model


def job_of(
    run: Run, config: RerankConfig, known: RerankData, cell: RerankerJob, texts: Knowledge | None, device: str
) -> TrainingJob:
    """A cell of the tables: trained on all training lists, its epoch chosen on validation unless its row says test."""
    settings = replace(config.ranker, name=cell.ranker)
    selection = known.test.lists if settings.select == "test" else known.split.valid
    folder, lists, histories = run.folder / "rankers" / cell.folder, known.split.train, known.split.histories
    items = known.ratings.items
    return TrainingJob(folder, settings, items, lists, selection, histories, texts, cell.seed, device, config.dtype)


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
