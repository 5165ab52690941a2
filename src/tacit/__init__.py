"""Tacit: a recommender built on a language model, aligned with what its users do.

Talk to a trained one (``load``), score dialogues with a saved reward (``load_reward``), train and measure a reranker of
ratings (``tacit.rerank``), run a pipeline from typed settings (``tacit.pipelines``), or take the metrics alone
(``tacit.metrics``). Everything is imported when it is first asked for, so that ``import tacit`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from tacit.run.version import VERSION as __version__

if TYPE_CHECKING:
    from tacit import metrics, pipelines, rerank
    from tacit.recommender import Chat, Recommender, Reply, Reward, TurnScore, load, load_reward
    from tacit.types import Dialogue, Feedback, InputError, Item, Slate, Turn

__all__ = [
    "Chat",
    "Dialogue",
    "Feedback",
    "InputError",
    "Item",
    "Recommender",
    "Reply",
    "Reward",
    "Slate",
    "Turn",
    "TurnScore",
    "__version__",
    "load",
    "load_reward",
    "metrics",
    "pipelines",
    "rerank",
]

_PACKAGES = ("metrics", "pipelines", "rerank")
_NOUNS = ("Dialogue", "Feedback", "InputError", "Item", "Slate", "Turn")


def __getattr__(name: str) -> object:
    """The public name, imported now; it is found without this function from then on."""
    if name not in __all__:
        raise AttributeError(f"module 'tacit' has no attribute '{name}'")
    if name in _PACKAGES:
        return import_module(f"tacit.{name}")
    value: object = getattr(import_module("tacit.types" if name in _NOUNS else "tacit.recommender"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
