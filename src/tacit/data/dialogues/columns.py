"""Many dialogues as columns: the one place where what a log holds is read off its turns, for every count of it.

A number a turn says what the turn carries, as bits, so that counting gigabytes is arithmetic on arrays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import chain, compress
from typing import Any

import numpy as np

from tacit.data.dialogues.typed import AgentTurn, Card, DialogueRow, Seen, Word, in_order, sound
from tacit.data.thoughts import any_thoughts
from tacit.data.times import EARLIEST, SHORT
from tacit.types import Bools, Dialogue, Feedback, Ints64, ItemId

FIELDS = tuple(part.name for part in fields(Feedback))
AGENT, SLATE, PROPENSITY, TIME, FEEDBACK, ENDED = (1 << bit for bit in range(6))  # ENDED: the user accepted or left
FIRST_FIELD = 6  # the bit of FIELDS[0]; the others follow


@dataclass(frozen=True)
class Columns:
    """``ids``, ``users`` [D] and ``texts`` [T] (stripped) as hashes, which hold in this process.

    ``lengths`` [D] are the turns of each dialogue, ``bits`` [T] what each turn carries.
    """

    ids: Ints64
    users: Ints64
    lengths: Ints64
    texts: Ints64
    bits: Ints64
    judged: int  # dialogues with a judgement

    @property
    def starts(self) -> Ints64:
        """[D]: where the turns of each dialogue begin."""
        return np.cumsum(self.lengths) - self.lengths


def joined(several: Sequence[Columns]) -> Columns:
    """One after the other."""
    return Columns(
        np.concatenate([of.ids for of in several]),
        np.concatenate([of.users for of in several]),
        np.concatenate([of.lengths for of in several]),
        np.concatenate([of.texts for of in several]),
        np.concatenate([of.bits for of in several]),
        sum(of.judged for of in several),
    )


def _hashes(words: Collection[str]) -> Ints64:
    """Python's own: 64 bits with a key of this process."""
    return np.fromiter(map(hash, words), np.int64, len(words))


def of_dialogues(dialogues: Iterable[Dialogue]) -> Columns:
    several = list(dialogues)
    turns = [turn for dialogue in several for turn in dialogue.turns]
    bits = np.zeros(len(turns), np.int64)
    for row, turn in enumerate(turns):
        slate, feedback = turn.slate, turn.feedback
        bits[row] = (
            (turn.speaker == "agent") * AGENT
            + (slate is not None) * SLATE
            + (slate is not None and slate.propensities is not None) * PROPENSITY
            + (turn.time_s is not None) * TIME
            + (_bits_of(feedback) if feedback is not None else 0)
        )
    return Columns(
        _hashes([dialogue.id for dialogue in several]),
        _hashes([dialogue.user for dialogue in several]),
        np.array([len(dialogue.turns) for dialogue in several], np.int64),
        _hashes([turn.text.strip() for turn in turns]),
        bits,
        sum(bool(dialogue.judgements) for dialogue in several),
    )


def of_rows(rows: Sequence[DialogueRow], known: frozenset[ItemId] | None) -> tuple[Columns, list[int]]:
    """The columns of the rows that are ``typed.sound``, and the numbers of those that are not.

    All are looked at together first; one by one only where that finds fault.
    """
    whole = _of_sound(rows, known)
    if whole is not None:
        return whole, []
    good = [sound(row, known) for row in rows]
    rest = _of_sound([row for row, is_good in zip(rows, good, strict=True) if is_good], known)
    if rest is None:  # the two ways to look differ: the form itself has the last word on all of them
        return of_dialogues(()), list(range(len(rows)))
    return rest, [number for number, is_good in enumerate(good) if not is_good]


def _of_sound(rows: Sequence[DialogueRow], known: frozenset[ItemId] | None) -> Columns | None:
    """None where a row is not ``typed.sound``, or may not be."""
    lengths = np.array([len(row.turns) for row in rows], np.int64)
    turns = list(chain.from_iterable([row.turns for row in rows]))
    texts = [turn.text for turn in turns]
    is_agent = [type(turn) is AgentTurn for turn in turns]
    agent: Bools = np.array(is_agent, bool)
    if len(rows) and np.add.reduceat(~agent, np.cumsum(lengths) - lengths).min() == 0:
        return None  # a dialogue without a user
    if any_thoughts(list(compress(texts, is_agent))):
        return None
    agents: list[Any] = list(compress(turns, is_agent))
    ids = [item for mentions in [turn.mentions for turn in turns] if mentions for item in mentions]
    own = _bits_of_agents(agents, ids)
    times = _times([turn.time_s for turn in turns], lengths)
    judged = [row.judgements for row in rows if row.judgements]
    ids.extend(chain.from_iterable(judged))
    if own is None or times is None or (known is not None and not known.issuperset(ids)):
        return None
    bits = times | agent * AGENT
    bits[agent] |= own
    return Columns(
        _hashes([row.id for row in rows]),
        _hashes([row.user for row in rows]),
        lengths,
        _hashes(list(map(str.strip, texts))),
        bits,
        sum(any(_is_said(word) for word in words.values()) for words in judged),
    )


def _is_said(word: Word | None) -> bool:
    return word is not None and not (word.suggested is word.seen is word.liked is None)


def _bits_of_agents(agents: Sequence[AgentTurn], ids: list[ItemId]) -> Ints64 | None:
    """What agent turns carry, [n]; None where a slate or a click is not sound. Adds the items shown to ``ids``."""
    slates = [turn.slate for turn in agents]
    bits = np.zeros(len(agents), np.int64)
    if slates.count(None) < len(slates) and not _slates(slates, ids, bits):
        return None
    named = np.array([slate is None for slate in slates], bool)
    named &= np.array(list(map(bool, [turn.mentions for turn in agents])), bool)
    bits |= named * SLATE
    feedback = [turn.feedback for turn in agents]
    if feedback.count(None) < len(feedback):
        bits |= np.array([0 if seen is None else _bits_of(seen) for seen in feedback], np.int64)
        for turn, slate, seen in zip(agents, slates, feedback, strict=True):
            if seen is not None and seen.clicked:
                shown = turn.mentions or () if slate is None else [card.item for card in slate]
                if not {*shown}.issuperset(seen.clicked):
                    return None
    return bits


def _slates(slates: Sequence[list[Card] | None], ids: list[ItemId], bits: Ints64) -> bool:
    """Whether each slate has every item and position once, propensities on all cards or none; adds to both lists.

    True is sure; False is looked at one by one.
    """
    sizes = np.array([len(slate) if slate else 0 for slate in slates], np.int64)
    cards = list(chain.from_iterable([slate for slate in slates if slate]))
    items = [card.item for card in cards]
    ids += items
    which = np.flatnonzero(sizes)
    if not len(which):
        return True
    n = sizes[which]
    starts = np.cumsum(n) - n
    whose = np.repeat(np.arange(len(n)), n)
    positions = np.array([card.position for card in cards])
    if positions.dtype != np.int64:  # beyond 63 bits
        return False
    if (positions != np.arange(1, len(cards) + 1) - starts[whose]).any() and _twice(positions, whose):
        return False
    if _twice(np.fromiter(map(hash, items), np.int64, len(items)), whose):
        return False
    given = [card.propensity for card in cards]
    bits[which] = SLATE
    if given.count(None) < len(given):
        told = np.add.reduceat(~np.isnan(np.array(given, np.float64)), starts, dtype=np.int64)
        if ((told > 0) & (told < n)).any():
            return False
        bits[which] |= (told > 0) * PROPENSITY
    return True


def _twice(values: Ints64, whose: Ints64) -> bool:
    """Whether a slate has a value twice: then two sums of a value and its slate's own number are equal. Chance may make
    others equal, too."""
    sums = np.sort(values + whose * 0x9E3779B97F4A7C1)
    return bool((sums[1:] == sums[:-1]).any())


def _times(times: list[float | str | None], lengths: Ints64) -> Ints64 | None:
    """``TIME`` where a turn has one; None where one is text, or not as ``typed.sound`` wants it."""
    if times.count(None) == len(times):
        return np.zeros(len(times), np.int64)
    if str in set(map(type, times)):
        return _texts_of_times(times, lengths)
    numbers = np.array(times, np.float64)  # None is not a number
    there = ~np.isnan(numbers)
    value, whose = numbers[there], np.repeat(np.arange(len(lengths)), lengths)[there]
    short = value < SHORT
    if not (short | (value >= EARLIEST)).all():
        return None
    same = whose[1:] == whose[:-1]
    if (same & ((value[1:] < value[:-1]) | (short[1:] != short[:-1]))).any():
        return None
    return there * TIME


def _texts_of_times(times: Sequence[float | str | None], lengths: Ints64) -> Ints64 | None:
    start = 0
    for end in np.cumsum(lengths).tolist():
        there = [time for time in times[start:end] if time is not None]
        if there and not in_order(there):
            return None
        start = end
    return np.array([time is not None for time in times], bool) * TIME


def _bits_of(seen: Seen | Feedback) -> int:
    """``FEEDBACK``, a bit a field, and ``ENDED``; 0 where no field was observed."""
    found = (
        (seen.dwell_s is not None)
        | (seen.scroll_depth is not None) << 1
        | (seen.clicked is not None) << 2
        | (seen.latency_s is not None) << 3
        | (seen.sentiment_before is not None) << 4
        | (seen.sentiment_after is not None) << 5
        | (seen.accepted is not None) << 6
        | (seen.left is not None) << 7
        | (seen.device is not None) << 8
    )
    if not found and isinstance(seen, Seen):
        return 0
    return found << FIRST_FIELD | FEEDBACK | (ENDED if seen.accepted or seen.left else 0)
