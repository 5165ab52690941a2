"""A conversation of any form before its titles are linked; and many of them as dialogues, each one once.

A request log repeats a conversation's whole history in every line: of chats that are the beginning of one another, by
one user, only the longest is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from tacit.catalog import Catalog
from tacit.data.dialogues.overlap import prefixes
from tacit.types import Dialogue, InputError, Slate, Turn

ONE_EXCHANGE = 2  # conversations of so few messages may be alike by chance; longer ones that are equal are copies


@dataclass(frozen=True)
class Chat:
    """``owner`` is its user or session, "" where the file does not say. ``accepted`` of an agent turn's feedback is a
    thumb or score on the reply, whether or not it will be found to show items."""

    where: str  # for messages: file, and line or entry
    id: str
    user: str
    owner: str
    turns: tuple[Turn, ...]


Read = Callable[[Counter[str]], Iterable[Chat]]  # all chats of a source, in one order; counts what it leaves out


def dialogues(read: Read, catalog: Catalog, counts: Counter[str]) -> Iterator[Dialogue]:
    """One dialogue a conversation. The source is read three times, so that a long log need not fit into memory."""
    kept = _longest(read)
    first: dict[str, str] = {}
    for number, chat in enumerate(read(counts)):
        if number not in kept:
            counts["lines that are the beginning of another, or a copy"] += 1
            continue
        if first.setdefault(chat.id, chat.where) != chat.where:
            raise InputError(f"{chat.where}: id {chat.id!r} repeats {_short(first[chat.id])}: make ids unique.")
        turns = _forward(tuple(_linked(turn, catalog, counts) for turn in chat.turns), counts)
        yield Dialogue(chat.id, chat.user, turns)


def _longest(read: Read) -> set[int]:
    """The numbers of the chats that are not the beginning of another one, nor its copy."""
    longest: dict[int, list[int]] = {}  # the last beginning of a chat, which is the chat whole → chats that are so
    for number, chat in enumerate(read(Counter())):
        alike = longest.setdefault(_beginnings(chat)[-1], [])
        if not alike or len(chat.turns) <= ONE_EXCHANGE:
            alike.append(number)
    for chat in read(Counter()):
        for beginning in _beginnings(chat)[:-1]:
            longest.pop(beginning, None)
    return {number for alike in longest.values() for number in alike}


def _beginnings(chat: Chat) -> list[int]:
    return [hash((chat.owner, state)) for state in prefixes(chat.turns)]


def _linked(turn: Turn, catalog: Catalog, counts: Counter[str]) -> Turn:
    items = tuple(item for _, _, item in catalog.link(turn.text))
    slate = Slate(tuple(dict.fromkeys(items))) if items and turn.speaker == "agent" else None
    if turn.feedback is not None and slate is None:
        counts["ratings of replies that name no item"] += 1
        return replace(turn, mentions=items, feedback=None)
    return replace(turn, mentions=items, slate=slate)


def _forward(turns: tuple[Turn, ...], counts: Counter[str]) -> tuple[Turn, ...]:
    """The turns; without times where these go back."""
    times = [turn.time_s for turn in turns if turn.time_s is not None]
    if times == sorted(times):
        return turns
    counts["clocks that go back: the times of a conversation"] += 1
    return tuple(replace(turn, time_s=None) for turn in turns)


def _short(where: str) -> str:
    """``chats.jsonl:3`` is "line 3"; entries of arrays are named whole."""
    line = where.rpartition(":")[2]
    return f"line {line}" if line.isdigit() else where
