"""What a ranking is worth to the people who were there: items they liked and did not know, and graded gain.

A case is one item that the logged agent named (``protocols.cases``); only new ones count, ranked with everything named
so far masked. Three numbers a case:

* ``new``: NDCG@10 of every new item;
* ``liked, unseen``: the same, of those that the person liked and had not seen (NaN elsewhere);
* ``graded gain``: the case's gain / log2(rank + 1) where rank ≤ 10: 1 where it was liked, ½ where nothing is known, −1
  where it was disliked. Showing what people dislike costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from tacit.catalog import Catalog
from tacit.dialogue.evaluate import protocols
from tacit.dialogue.evaluate.protocols import Case
from tacit.metrics.ranks import ndcg
from tacit.types import Dialogue, Floats64

K = 10
NEW, LIKED_UNSEEN, GRADED = "NDCG@10 of new items", "NDCG@10 of liked, unseen items", "graded gain@10"
MEASURES = (LIKED_UNSEEN, GRADED, NEW)


def outcome_values(found: Sequence[Case], ranks: npt.NDArray[np.int64]) -> dict[str, Floats64]:
    """Each measure's value of each case [n]; NaN where the case does not belong to it."""
    answers = [case.response for case in found]
    repeated = [case.repeated for case in found]
    return values_of(repeated, [answer.liked for answer in answers], [answer.seen for answer in answers], ranks)


def values_of(
    repeated: Iterable[bool], liked: Iterable[bool | None], seen: Iterable[bool | None], ranks: npt.NDArray[np.int64]
) -> dict[str, Floats64]:
    """The same from what was observed of each case, [n] each."""
    value, new, said = ndcg(ranks, K), ~np.array(list(repeated), dtype=bool), list(liked)
    fresh = np.array([bool(answer) and known is False for answer, known in zip(said, seen, strict=True)], dtype=bool)
    gain = np.array([0.5 if answer is None else 1.0 if answer else -1.0 for answer in said])
    return {
        LIKED_UNSEEN: np.where(new & fresh, value, np.nan),
        GRADED: np.where(new, gain * value, np.nan),
        NEW: np.where(new, value, np.nan),
    }


def masked_ranks(
    found: Sequence[Case], score: Callable[[Sequence[Dialogue]], protocols.Scores], catalog: Catalog, dataset: str
) -> npt.NDArray[np.int64]:
    """Of every case's item over the full catalogue, [n]."""
    full = protocols.protocols(dataset)[0]
    return protocols.rank_cases(found, score, (full,), catalog, seed=0)[full.name].masked
