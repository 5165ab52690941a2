"""``tacit chat``: a person takes the user's place."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from tacit.catalog import Catalog
from tacit.recommender import Reply, load
from tacit.run.terminal import printable


def chat(folder: Path, stage: str, seed: int, greedy: bool, items: Path | None = None, verify: bool = True) -> None:
    recommender = load(folder, stage=stage, verify=verify)
    if items is not None:
        recommender = recommender.extended(Catalog.load(items).items)
    conversation = recommender.start(seed=seed, greedy=greedy)
    print(f"{printable(recommender.version)}, {len(recommender.catalog)} items. An empty line ends.", file=sys.stderr)
    for text in _lines():
        print(shown(conversation.say(text)), flush=True)


def shown(reply: Reply) -> str:
    """The reply, and the slate below it, best first: what a terminal would obey is escaped."""
    titles = (f"  {k}. {printable(title)}" for k, title in enumerate(reply.titles, 1))
    return "\n".join([f"agent> {printable(reply.text)}", *titles])


def _lines() -> Iterator[str]:
    while True:
        if sys.stdin.isatty():
            print("you> ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line.strip():
            return
        yield line.strip()
