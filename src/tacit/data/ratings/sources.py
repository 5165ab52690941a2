"""One door to every source of ratings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from tacit.data.paths import data_path, items_path
from tacit.data.ratings import amazon, interactions, movielens
from tacit.data.ratings.cache import kept, version
from tacit.data.ratings.table import Ratings
from tacit.run.limits import at_least
from tacit.types import InputError

Name = Literal["ml-1m", "ml-100k", "amazon-books", "own"]
Domain = Literal["movies", "books"]  # which decides what prompts ask for
NAMES, DOMAINS = get_args(Name), get_args(Domain)


@dataclass
class RatingsConfig:
    name: Name = "ml-1m"
    path: str = ""  # the publisher's folder; for own a file, or a folder with interactions.csv, .jsonl or .parquet
    items: str = ""  # own only: the items file; empty = items.jsonl beside the interactions
    domain: Domain = "movies"  # own only
    # amazon-books only: interactions that every user has at least, within the core
    user_core: int = at_least(1, default=60)
    item_core: int = at_least(1, default=40)  # amazon-books only: the same for items
    # Stars above which a label is positive; -1 = 3 (amazon-books: 4, that is 5 stars only).
    positive_above: float = at_least(-1.0, default=-1.0)


def load_ratings(config: RatingsConfig, cache: Path | None = None) -> Ratings:
    """The whole data set. Reading Amazon Books takes minutes, so ``cache``, a folder, keeps it; the others seconds."""
    if config.name not in NAMES:
        raise InputError(f"data.name is {config.name!r}: choose one of {', '.join(NAMES)}.")
    remedy = "your interactions file" if config.name == "own" else f"the folder of the {config.name} data"
    path = data_path(config.path, config.name, remedy)
    if config.name == "ml-1m":
        return movielens.load_1m(path, _above(config, movielens.POSITIVE_ABOVE))
    if config.name == "ml-100k":
        return movielens.load_100k(path, _above(config, movielens.POSITIVE_ABOVE))
    if config.name == "amazon-books":
        return _amazon(path, config, cache)
    if config.domain not in DOMAINS:
        raise InputError(f"data.domain is {config.domain!r}: choose one of {', '.join(DOMAINS)}.")
    above = _above(config, interactions.POSITIVE_ABOVE)
    return interactions.load(path, items_path(config.items), above, config.domain)


def _amazon(folder: Path, config: RatingsConfig, cache: Path | None) -> Ratings:
    settings = (config.user_core, config.item_core, _above(config, amazon.POSITIVE_ABOVE))
    read = partial(amazon.load, folder, *settings)
    if cache is None:
        return read()
    return kept(cache, {"files": [version(path) for path in amazon.sources(folder)], "settings": [*settings]}, read)


def _above(config: RatingsConfig, default: float) -> float:
    return default if config.positive_above == -1 else config.positive_above
