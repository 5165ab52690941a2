"""Where a loop lives, and the people who come to it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tacit.dialogue.users.crowd import UserWorld
from tacit.pipelines.loop import visitors
from tacit.pipelines.loop.settings import LoopConfig
from tacit.pipelines.loop.steps import Steps
from tacit.serve.registry import Registry
from tacit.text.encoder import TextEncoder

Told = dict[str, Any]


@dataclass(frozen=True)
class Loop:
    """Where everything is. ``base`` is the address of the server that runs."""

    config: LoopConfig
    folder: Path
    world: UserWorld
    registry: Registry
    steps: Steps
    base: str
    encoders: dict[str, TextEncoder] = field(default_factory=dict)  # a text of the log is read once, whoever asks

    @property
    def store(self) -> Path:
        return self.registry.folder.parent / "log.sqlite"

    @property
    def current(self) -> str:
        """The version that is served."""
        found = self.registry.current()
        assert found is not None  # the server made its first one current when it started
        return found

    def within(self, path: Path) -> str:
        return str(path.relative_to(self.folder))


def people(loop: Loop, sessions: int, name: str, seed: int = 0) -> Told:
    generator = np.random.default_rng([loop.config.seed, seed, *name.encode()])
    return told(visitors.visit(loop.base, loop.world, sessions, generator, f"{name}-{seed}-", loop.config.visit))


def told(found: visitors.Visit) -> Told:
    return {
        "hidden": found.hidden.tolist(),
        "versions": [list(versions) for versions in found.versions],
        "accepted": found.accepted,
        "left": found.left,
        "slates": len(found.slates),
        "shown": dict(Counter(item for slate in found.slates for item in slate)),
        "rejected_events": found.rejected_events,
    }
