"""What the stages of a rerank run hand to their parts: the run folder, the settings, the data and the device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tacit.data import fingerprint
from tacit.data.ratings.sources import load_ratings
from tacit.rerank.lists.lists import build
from tacit.rerank.stages.config import RerankConfig
from tacit.rerank.stages.data import RerankData
from tacit.run.folder import Run, Stage


@dataclass(frozen=True)
class RerankRun:
    run: Run
    config: RerankConfig
    data: RerankData
    device: str

    @classmethod
    def open(cls, run: Run, config: RerankConfig, device: str) -> RerankRun:
        """Ratings and lists are built anew by every stage: they depend on the settings and the ratings alone.

        ``InputError`` where the ratings are not those that the run began with.
        """
        ratings = load_ratings(config.data, run.folder / "ratings")
        fingerprint.require_same(run.folder, fingerprint.of_ratings(ratings))
        split, test, card = build(ratings, config.lists)
        data = RerankData(ratings, split, test, card, config.knowledge, run.folder / "texts")
        return cls(run, config, data, device)

    @property
    def folder(self) -> Path:
        return self.run.folder

    def stage(self, name: str) -> Stage:
        return self.run.stage(name)
