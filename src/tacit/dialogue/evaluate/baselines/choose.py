"""Which variant of a ranker is taken: the one that ranks the validation dialogues best. The test is not asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tacit.catalog import Catalog
from tacit.dialogue.evaluate.protocols import Case, cases, rank_cases
from tacit.metrics.ranks import ndcg
from tacit.referee.protocols import Protocol, named
from tacit.types import Dialogue, InputError, TestSet

Score = Callable[[Sequence[Dialogue]], npt.NDArray[np.floating]]
K = 10
T = TypeVar("T")


@dataclass(frozen=True)
class Validation:
    """NDCG@10 of new items, masked, over the full catalogue, of the validation dialogues."""

    found: Sequence[Case]
    catalog: Catalog
    protocol: Protocol
    batch: int = 64

    @classmethod
    def of(cls, dialogues: Sequence[Dialogue], catalog: Catalog) -> Validation:
        found = [case for case in cases(TestSet(tuple(dialogues)), catalog) if not case.repeated]
        if not found:
            raise InputError("no validation dialogue names a new item after something was said: give more dialogues.")
        return cls(found, catalog, named("full-masked"))

    def __call__(self, score: Score) -> float:
        ranks = rank_cases(self.found, score, [self.protocol], self.catalog, 0, self.batch)[self.protocol.name]
        return float(ndcg(ranks.masked, K).mean())


def best(values: Mapping[str, float]) -> str:
    """The name with the highest value, the first of equals."""
    return max(values, key=values.__getitem__)
