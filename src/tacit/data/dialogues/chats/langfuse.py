"""Langfuse: traces with their scores, as its interface, its page or its blob storage export them.

A row is a trace, an observation of one (``traceId``), or a score; names are written ``traceId`` or ``trace_id``. A
trace lacking input or output has those of its outermost observation. Traces of a session are one conversation, in time:
what a trace's input repeats of it counts once. ``scores.py`` says which scores are a person's word on the reply.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tacit.data.dialogues.chats.chat import Chat
from tacit.data.dialogues.chats.messages import name_in, rated, unix_seconds
from tacit.data.dialogues.chats.payload import turns_in
from tacit.data.dialogues.chats.rows import Row, Source
from tacit.data.dialogues.chats.scores import Scores
from tacit.types import InputError, Turn

_TRACE, _SESSION, _USER = ("traceId", "trace_id"), ("sessionId", "session_id"), ("userId", "user_id")
_BEGAN = ("timestamp", "startTime", "start_time", "createdAt", "created_at")
_PARENT = ("parentObservationId", "parent_observation_id")
_VALUES = ("value", "stringValue", "string_value")


@dataclass
class _Trace:
    row: Row
    own: Mapping[str, Any] = field(default_factory=dict)
    observations: list[Mapping[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class _Exchange:
    """What one trace adds: the words of its input, and the reply."""

    row: Row
    id: str
    session: str
    user: str
    time_s: float
    asked: tuple[Turn, ...]
    reply: tuple[Turn, ...]


def fits(row: dict[str, Any]) -> bool:
    if isinstance(row.get("trace"), dict) or _is_score(row) or any(key in row for key in _TRACE):
        return True
    return "input" in row and "output" in row


def read(source: Source, counts: Counter[str], least: Mapping[str, float] | None = None) -> Iterator[Chat]:
    """``least``: by the name of a score, from which value on it is a word for the reply."""
    traces: dict[str, _Trace] = {}
    scores = Scores(least or {})
    for row in source.rows():
        try:
            _collect(row, traces, scores)
        except ValueError as error:
            raise InputError(f"{row.where}: {error}.") from None
    likes = scores.likes(counts)
    sessions: dict[tuple[str, str], list[_Exchange]] = {}
    for id, trace in traces.items():
        try:
            exchange = _exchange(id, trace, likes, counts)
        except ValueError as error:
            raise InputError(f"{trace.row.where}: {error}.") from None
        if exchange.asked or exchange.reply:
            key = ("session", exchange.session) if exchange.session else ("trace", id)
            sessions.setdefault(key, []).append(exchange)
        else:
            counts["traces without words"] += 1
    if likes:
        counts["scores of traces that are not there, or without a reply"] += len(likes)
    for (_, name), exchanges in sessions.items():
        turns = _joined(sorted(exchanges, key=lambda exchange: exchange.time_s))
        if any(turn.speaker == "user" for turn in turns):
            owner = next((exchange.user for exchange in exchanges if exchange.user), "")
            yield Chat(exchanges[0].row.where, name, owner or f"user-{name}", owner or name, turns)
        else:
            counts["conversations in which nobody spoke"] += 1


def _collect(row: Row, traces: dict[str, _Trace], scores: Scores) -> None:
    """A row joins the trace it is, or belongs to; what is nested in it comes after it."""
    entry = row.value
    if not isinstance(entry, dict):
        raise ValueError("a trace must be a JSON object")
    if isinstance(entry.get("trace"), dict):
        entry = {**entry["trace"], **{key: value for key, value in entry.items() if key != "trace"}}
    if _is_score(entry):
        scores.add(entry)
    elif trace := name_in(entry, _TRACE):
        traces.setdefault(trace, _Trace(row)).observations.append(entry)
        scores.belongs(name_in(entry, ("id",)), trace)
    elif id := name_in(entry, ("id",)):
        if (before := traces.get(id)) is not None and before.own:
            raise ValueError(f"trace {id!r} repeats {before.row.where}: make ids unique")
        traces.setdefault(id, _Trace(row)).own = entry
        for below in _objects(entry.get("observations")):
            traces[id].observations.append(below)
            scores.belongs(name_in(below, ("id",)), id)
        scores.add_nested(entry.get("scores"), id)
    else:
        raise ValueError("a trace must have an id, an observation or a score the traceId of its trace")


def _is_score(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("name"), str) and any(key in row for key in _VALUES) and "input" not in row


def _objects(value: Any) -> list[Mapping[str, Any]]:
    """Those of a list; a trace listed by the interface names its observations and scores by id alone."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _exchange(id: str, trace: _Trace, likes: dict[str, bool], counts: Counter[str]) -> _Exchange:
    outer = _outermost(trace, counts)
    places = (trace.own, outer)
    told = {key: next((place[key] for place in places if place.get(key) not in (None, "")), None) for key in _IO}
    began = next((place[key] for place in places for key in _BEGAN if place.get(key) is not None), None)
    time_s = unix_seconds(began, counts)
    asked = turns_in(told["input"], "user", counts)
    reply = turns_in(told["output"], "agent", counts)
    if asked and asked[-1].speaker == "user":
        asked[-1] = replace(asked[-1], time_s=time_s)
    if reply and reply[-1].speaker == "agent" and id in likes:
        reply[-1] = replace(reply[-1], feedback=rated(likes.pop(id)))
    session, user = (
        next((name for place in places if (name := name_in(place, keys))), "") for keys in (_SESSION, _USER)
    )
    return _Exchange(trace.row, id, session, user, math.inf if time_s is None else time_s, tuple(asked), tuple(reply))


_IO = ("input", "output")


def _outermost(trace: _Trace, counts: Counter[str]) -> Mapping[str, Any]:
    """Of the observations with an input and an output, one without a parent among them, else the last."""
    told = [one for one in trace.observations if all(one.get(key) not in (None, "") for key in _IO)]
    names = {name_in(one, ("id",)) for one in trace.observations}
    roots = [one for one in told if not any(one.get(key) in names for key in _PARENT if isinstance(one.get(key), str))]
    chosen = roots[0] if roots else told[-1] if told else trace.observations[0] if trace.observations else {}
    beside = len(trace.observations) - (0 if any(trace.own.get(key) not in (None, "") for key in _IO) else 1)
    if beside > 0:
        counts["observations inside a trace"] += beside
    return chosen


def _joined(exchanges: list[_Exchange]) -> tuple[Turn, ...]:
    """One after the other; the end of what was said, where an input begins with it, is said once."""
    talk = list[Turn]()
    for exchange in exchanges:
        turns = [*exchange.asked, *exchange.reply]
        said = [(turn.speaker, turn.text) for turn in talk]
        asked = [(turn.speaker, turn.text) for turn in exchange.asked]
        known = next((k for k in range(min(len(said), len(asked)), 0, -1) if said[-k:] == asked[:k]), 0)
        talk += turns[known:]
    return tuple(talk)
