"""Ratings → candidate lists → a trained reranker → its metrics, in four calls.

Each call imports what it needs: ``import tacit`` and every import of a part of this package pass through here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tacit.data.ratings.sources import Domain, Name
    from tacit.data.ratings.table import Ratings
    from tacit.metrics.intervals import Estimate
    from tacit.rerank.lists.lists import Card, Histories, Lists, ListSplit, ListTest, Variant
    from tacit.rerank.ranker.best_epoch import RankerResult
    from tacit.rerank.ranker.rerankers import RankerName, Reranker
    from tacit.types import Floats32, Item


@dataclass(frozen=True)
class TrainedReranker:
    """``network`` with the weights of its best epoch, and how training went (``result.curve``, a row an epoch)."""

    network: Reranker
    result: RankerResult
    histories: Histories  # for rerankers that read the user's past

    def scores(self, lists: Lists) -> Floats32:
        """Logits of L lists of C candidates, [L, C]; higher is better."""
        from tacit.rerank.ranker.train_reranker import score_lists

        return score_lists(self.network, lists, histories=self.histories)


def load_ratings(
    name: Name, path: str | Path, *, items: str | Path = "", domain: Domain = "movies", positive_above: float = -1.0
) -> Ratings:
    """The data set ``name`` (ml-1m, ml-100k, amazon-books or own) from the publisher's folder, or your own file.

    For own data ``path`` is a file of interactions or a folder with interactions.csv, .jsonl or .parquet, and ``items``
    the items file (empty = items.jsonl beside it). A rating above ``positive_above`` stars is a positive label; -1 is
    the data set's usual one (3; amazon-books 4). Raises ``InputError`` where a file is missing or a line is bad.
    """
    from tacit.data.ratings.sources import RatingsConfig
    from tacit.data.ratings.sources import load_ratings as load

    settings = RatingsConfig(name, str(path), str(items), domain)
    settings.positive_above = positive_above
    return load(settings)


def lists(
    ratings: Ratings, *, variant: Variant = "kar_lists", length: int = 10, consumed: int = 4, users: int = 0
) -> tuple[ListSplit, ListTest, Card]:
    """(what trainers may see, the test users' lists, the card of the protocol): candidate lists as in KAR.

    A list holds ``consumed`` items that the user really took next, filled up to ``length`` with sampled ones. Users are
    divided 80/10/10. ``variant`` is kar_lists (KAR's, arXiv 2306.10933) or clean (negatives that the user never
    rated, no repeats, the true order). ``users`` takes the first so many of the shuffled users, 0 all. Users and lists
    are always drawn from the same seeds. Raises ``InputError`` for fewer than ten users.
    """
    from tacit.rerank.lists.lists import ListConfig, build
    from tacit.run.config import check_types

    config = ListConfig(variant, consumed=consumed, length=length, users=users)
    check_types(config, "lists.")
    return build(ratings, config)


def train(
    name: RankerName,
    split: ListSplit,
    items: Sequence[Item],
    *,
    seed: int = 0,
    epochs: int = 30,
    batch: int = 256,
    lr: float = 1e-3,
    patience: int = 3,
    attributes: Sequence[str] = ("first_genre",),
    device: str = "cpu",
) -> TrainedReranker:
    """Train the reranker ``name`` (dlcm, prm, setrank, dlcm_paper or prm_paper) on the training users' lists.

    Training stops after ``epochs``, or when ``patience`` of them in a row bring no better NDCG@5 on the validation
    users' lists; the best epoch is kept. ``batch`` is in lists, ``lr`` constant (AdamW). ``attributes`` are those of
    the items that are embedded beside their ids (MovieLens: first_genre; Amazon Books: brand, category). The same
    ``seed``, machine and number of threads give the same weights. Raises ``InputError`` for an unknown name or setting.
    """
    from tacit.rerank.ranker.train_reranker import RerankerConfig, new_reranker, train_ranker
    from tacit.run.config import check_types
    from tacit.types import InputError

    if name == "dlcm_match":
        raise InputError("dlcm_match compares texts: it is trained by a pipeline (tacit.pipelines, tacit rerank).")
    settings = RerankerConfig(name, list(attributes), epochs=epochs, batch=batch, lr=lr, patience=patience)
    check_types(settings, "ranker.")
    network = new_reranker(settings, items, None, seed)
    lists = split.train, split.valid
    result = train_ranker(network, *lists, None, settings, seed, device=device, histories=split.histories)
    return TrainedReranker(network, result, split.histories)


def measure(
    model: TrainedReranker, test: ListTest, *, k: int = 5, draws: int = 1000, seed: int = 0
) -> dict[str, Estimate]:
    """NDCG@k, MAP@k (with both of its denominators) and more on the test lists, each with a 95 % interval.

    Values are means over lists, or over users where the name says so; ``draws`` bootstrap samples of whole users give
    the interval (``tacit.metrics.lists`` has the formulas). Another model on the same lists: take ``model.scores`` of
    both, and the interval of the difference.
    """
    from tacit.metrics.lists import estimates
    from tacit.metrics.lists import measure as values_of
    from tacit.rerank.evaluate.rows import NAMES

    lists = test.lists
    values = values_of(model.scores(lists), lists.labels, lists.consumed, k)
    return {f"{NAMES[name]}@{k}": found for name, found in estimates(values, lists.users, draws, seed).items()}
