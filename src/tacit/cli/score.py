"""``tacit score``: the reward model's word on dialogues that somebody else held."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from tacit.recommender import NO_PEOPLE, Reward, TurnScore, load_reward
from tacit.run.progress import progress
from tacit.run.terminal import printable
from tacit.types import Dialogue, InputError

log = logging.getLogger("tacit")


def score(run_folder: Path, file: Path, whole: bool = False, verify: bool = True) -> None:
    """One JSON line an agent turn, or with ``whole`` a dialogue."""
    reward = load_reward(run_folder, verify=verify)
    if reward.people is None:
        if whole:
            raise InputError(NO_PEOPLE)
        log.warning("%s", NO_PEOPLE)
    dialogues = list(reward.read(file))  # a bad line refuses the whole file, before anything is printed
    with progress(len(dialogues), "scoring dialogues") as bar:
        for dialogue in dialogues:
            for line in _dialogue(reward, dialogue) if whole else _turns(reward.score([dialogue])):
                print(printable(json.dumps(line, ensure_ascii=False)))  # the same JSON, with more of it escaped
            bar.advance()


def _turns(scores: Sequence[TurnScore]) -> Iterator[dict[str, object]]:
    """Dialogue, turn (index in the file), reward, channels; then satisfaction, where reactions were learnt."""
    for row in scores:
        line = {"dialogue": row.dialogue, "turn": row.turn, "reward": row.reward, **row.channels}
        felt = {"satisfaction": row.satisfaction, "observed": row.observed, "foretold": row.foretold, **row.reaction}
        yield line if row.satisfaction is None else line | felt


def _dialogue(reward: Reward, dialogue: Dialogue) -> Iterator[dict[str, object]]:
    for row in reward.satisfaction([dialogue]):
        yield asdict(row)
