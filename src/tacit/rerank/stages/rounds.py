"""One round of alignment: its users, its samples, and where its files lie."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tacit.rerank.align.feedback import score_samples
from tacit.rerank.align.pairs import Pair, export_llama_factory, export_trl
from tacit.rerank.stages.arms import round_folder
from tacit.rerank.stages.context import RerankRun
from tacit.rerank.stages.texts import writer
from tacit.run.files import atomic_write
from tacit.run.folder import Stage
from tacit.types import Group, Scorer

log = logging.getLogger("tacit")


def say_if_alike(samples: Sequence[Sequence[str]]) -> None:
    """Warn where most users' samples are one text several times: there is nothing to prefer."""
    alike = sum(len(set(texts)) == 1 < len(texts) for texts in samples)
    if 2 * alike > len(samples):
        log.warning(
            "all samples about %d of %d users are the same text: raise knowledge.temperature, or tell the server to "
            "sample (transformers serve: knowledge.parameters={generation_config: '{\"do_sample\": true}'})",
            alike,
            len(samples),
        )


@dataclass(frozen=True)
class Round:
    context: RerankRun
    number: int  # from 1
    base: str | Path  # the writer that it begins with

    @property
    def stage(self) -> Stage:
        return Stage(f"round {self.number}", round_folder(self.context.folder, self.number))

    @property
    def tuning(self) -> Stage:
        return Stage(f"round {self.number}", self.stage.folder / "tune")

    @property
    def tuned_writer(self) -> Path:
        """Where a method that tunes the writer puts it."""
        return self.tuning.folder / "writer"

    @property
    def seed(self) -> int:
        """Of the samples."""
        return 1000 * self.context.config.seed + self.number

    @cached_property
    def users(self) -> list[int]:
        """The training users whose texts are scored, in rising order."""
        config, users = self.context.config, self.context.data.split.train_users
        if config.align.users:
            users = np.random.default_rng([config.seed, self.number]).permutation(users)[: config.align.users]
        return sorted(int(user) for user in users)

    @property
    def prompts(self) -> list[str]:
        """What the writer is asked about each of ``users``."""
        return [self.context.data.prompts[user] for user in self.users]

    def samples(self) -> list[list[str]]:
        """``knowledge.samples`` texts about each of ``users``."""
        settings = self.context.config.knowledge
        texts = writer(self.context, self.base).write(self.prompts, settings.samples, self.seed)
        say_if_alike(texts)
        return texts

    def scored(self, scorer: Scorer) -> list[Group]:
        """The samples with their scores, a group a user."""
        return score_samples(scorer, self.users, self.prompts, self.samples())

    def keep(self, card: dict[str, Any], pairs: Sequence[Pair]) -> None:
        """The card and the pairs, before hours of training or a refusal."""
        folder = self.stage.folder
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(folder / "card.json", json.dumps(card, indent=1) + "\n")
        export_trl(pairs, folder / "pairs.jsonl")
        export_llama_factory(pairs, folder / "llama_factory")
