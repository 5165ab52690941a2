"""System B: a reranker of candidate lists, and a language model that learns what to write for it (arXiv 2410.05939).

Four steps from Python: ``load_ratings``, ``lists``, ``train``, ``measure``. The whole system is a pipeline
(``tacit.pipelines``, ``tacit rerank``).
"""

import tacit.rerank.lists  # noqa: F401 (before the function of that name, whose place it would take if imported later)
from tacit.rerank.api import TrainedReranker, lists, load_ratings, measure, train

__all__ = ["TrainedReranker", "lists", "load_ratings", "measure", "train"]
