"""Which of your own dialogues train, validate and test, where the files do not say it themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from tacit.data.lines import share, split
from tacit.types import Dialogue, InputError, Split

RULES = ("auto", "user", "time", "dialogue")
TEST_SHARE = 0.1
_DATE_S = 1e8  # later than March 1973: seconds since 1970, and not since the dialogue's start


@dataclass
class Census:
    """What the rules need to know of all dialogues: filled as they stream by, whichever of them are kept."""

    ids: list[str] = field(default_factory=list)
    users: Counter[str] = field(default_factory=Counter)
    starts: list[float | None] = field(default_factory=list)

    def watch(self, dialogues: Iterable[Dialogue]) -> Iterator[Dialogue]:
        for dialogue in dialogues:
            self.ids.append(dialogue.id)
            self.users[dialogue.user] += 1
            self.starts.append(start(dialogue))
            yield dialogue

    def rule(self, asked: str) -> str:
        """``auto`` is by user where users recur and none holds half of all dialogues, else by dialogue."""
        if asked not in RULES:
            raise InputError(f"data.split is {asked!r}: choose one of {', '.join(RULES)}.")
        if asked != "auto":
            return asked
        recur = 3 <= len(self.users) < len(self.ids) and max(self.users.values()) <= len(self.ids) / 2
        return "user" if recur else "dialogue"


def held_out(census: Census, rule: str, where: str) -> Callable[[Dialogue], bool]:
    """Whether a dialogue is test, where no file says it.

    By user and by dialogue, a key is test when sha256("test:" + key) falls into the first tenth; of three keys or
    more at least one is. By time, the last tenth of the dialogues to begin is test.
    """
    if rule == "time":
        test_from = _last_tenth(census.starts, where)
        return lambda dialogue: (start(dialogue) or 0.0) >= test_from
    keys = list(census.users) if rule == "user" else census.ids
    chosen = {key for key in keys if share("test:" + key) < TEST_SHARE}
    if len(keys) >= 3 and len(chosen) in (0, len(keys)):
        chosen = {min(keys, key=lambda key: share("test:" + key))}
    return lambda dialogue: (dialogue.user if rule == "user" else dialogue.id) in chosen


def split_off_valid(dialogues: Sequence[Dialogue], rule: str, where: str) -> Split:
    """Training and validation, by the same rule; a lone user's dialogues are cut by dialogue, and ``rule`` says so."""
    if rule == "time" and len(dialogues) > 1:
        valid_from = _last_tenth([start(dialogue) for dialogue in dialogues], where)
        train = tuple(d for d in dialogues if (start(d) or 0.0) < valid_from)
        if train:
            return Split(train, tuple(d for d in dialogues if (start(d) or 0.0) >= valid_from), rule)
    if rule == "user" and len({dialogue.user for dialogue in dialogues}) > 1:
        return replace(split(dialogues, lambda dialogue: dialogue.user), rule="user")
    return split(dialogues)


def start(dialogue: Dialogue) -> float | None:
    """Seconds of the first turn that has a time."""
    return next((turn.time_s for turn in dialogue.turns if turn.time_s is not None), None)


def _last_tenth(starts: Sequence[float | None], where: str) -> float:
    """When the last tenth of the dialogues begins; InputError where one has no date."""
    dates = sorted(begin for begin in starts if begin is not None and begin >= _DATE_S)
    if len(dates) < len(starts) or not dates:
        raise InputError(
            f"{where}: {len(starts) - len(dates)} of {len(starts)} dialogues have no date in their timestamps, which "
            "data.split=time needs: log seconds since 1970 or dates, or use data.split=user or dialogue."
        )
    return dates[-max(1, round(len(dates) * TEST_SHARE))]
