"""Chat messages as OpenAI's interfaces and their many copies log them, one conversation or request a line.

``{"messages": [{"role", "content"}, ...], "id"?, "user"?}``. Content is a string, or parts: strings, objects with
``text`` (chat completions ``text``, Responses ``input_text`` and ``output_text``, Assistants ``{"text": {"value"}}``)
or ``refusal``. What is left out is counted by name. A request log repeats a conversation's whole history in every
line: of lines that are the beginning of one another, by one user, only the longest is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tacit.catalog import Catalog
from tacit.data.dialogues.overlap import prefixes
from tacit.data.lines import records
from tacit.data.thoughts import has_thoughts, without_thoughts
from tacit.types import Dialogue, InputError, Slate, Turn

ROLES = {"user": "user", "human": "user", "assistant": "agent", "model": "agent"}
SILENT_ROLES = ("system", "developer", "tool", "function")
ONE_EXCHANGE = 2  # conversations of so few messages may be alike by chance; longer ones that are equal are copies
_THOUGHT_KEYS = ("reasoning_content", "reasoning", "thinking", "reasoning_details")
_THOUGHT_PARTS = ("thinking", "redacted_thinking", "reasoning")
_USER_KEYS = ("user", "user_id", "safety_identifier")
_SESSION_KEYS = ("session", "session_id", "conversation_id", "thread_id")


@dataclass(frozen=True)
class _Line:
    """A conversation before its titles are linked; ``owner`` is its user or session, where the line says it."""

    number: int
    id: str
    user: str
    owner: str
    turns: tuple[Turn, ...]


def read_openai(path: Path, catalog: Catalog, dropped: Counter[str] | None = None) -> Iterator[Dialogue]:
    """One dialogue a conversation; ``dropped`` counts what was left out, by name. The file is read three times."""
    counts: Counter[str] = Counter() if dropped is None else dropped
    longest: dict[int, list[int]] = {}  # the last beginning of a line, which is the line whole → lines that are so
    for line in _lines(path, Counter()):
        alike = longest.setdefault(_beginnings(line)[-1], [])
        if not alike or len(line.turns) <= ONE_EXCHANGE:
            alike.append(line.number)
    for line in _lines(path, Counter()):
        for beginning in _beginnings(line)[:-1]:
            longest.pop(beginning, None)
    kept = {number for alike in longest.values() for number in alike}
    first: dict[str, int] = {}
    for line in _lines(path, counts):
        if line.number not in kept:
            counts["lines that are the beginning of another, or a copy"] += 1
            continue
        if first.setdefault(line.id, line.number) != line.number:
            raise InputError(f"{path}:{line.number}: id {line.id!r} repeats line {first[line.id]}: make ids unique.")
        yield Dialogue(line.id, line.user, tuple(_linked(turn, catalog) for turn in line.turns))


def _beginnings(line: _Line) -> list[int]:
    return [hash((line.owner, state)) for state in prefixes(line.turns)]


def _linked(turn: Turn, catalog: Catalog) -> Turn:
    items = tuple(item for _, _, item in catalog.link(turn.text))
    slate = Slate(tuple(dict.fromkeys(items))) if items and turn.speaker == "agent" else None
    return replace(turn, mentions=items, slate=slate)


def _lines(path: Path, counts: Counter[str]) -> Iterator[_Line]:
    """Every line with words of a user, as turns."""
    for number, row in records(path):
        try:
            messages = row.get("messages") if isinstance(row, dict) else None
            if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
                raise ValueError("key messages must be a list of objects with role and content")
            turns = tuple(turn for message in messages if (turn := _turn(message, counts)))
            owner = _name(row, _USER_KEYS) or _name(row, _SESSION_KEYS)
            id = _name(row, ("id",)) or f"{path.name.split('.')[0]}-{number}"
        except ValueError as error:
            raise InputError(f"{path}:{number}: {error}.") from None
        if any(turn.speaker == "user" for turn in turns):
            yield _Line(number, id, owner or f"user-{id}", owner, turns)
        elif any(message.get("role") in ROLES for message in messages):
            raise InputError(f"{path}:{number}: the dialogue has no user turn: add one or remove the line.")
        else:
            counts["lines without a message"] += 1


def _name(row: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    """The first of the keys that is there, in the row or its metadata; 0 is a name, an empty string is none."""
    metadata = row.get("metadata")
    for place in (row, metadata if isinstance(metadata, dict) else {}):
        for key in keys:
            value = place.get(key)
            if value is None or value == "":
                continue
            if not isinstance(value, str | int) or isinstance(value, bool):
                raise ValueError(f"key {key} must be a string or a whole number")
            return str(value)
    return ""


def _turn(message: Mapping[str, Any], counts: Counter[str]) -> Turn | None:
    role = message.get("role")
    if role is None and isinstance(message.get("type"), str) and message["type"] != "message":
        counts[f"entries of type {message['type']}"] += 1
        return None
    if role in SILENT_ROLES:
        counts[f"{role} messages"] += 1
        return None
    if not isinstance(role, str) or role not in ROLES:
        raise ValueError(f"role {role!r} is unknown: use user, assistant, system, developer or tool")
    text = _text(message.get("content"), counts)
    if not text and isinstance(message.get("refusal"), str):
        text = message["refusal"].strip()
    thoughts = any(message.get(key) for key in _THOUGHT_KEYS)
    if ROLES[role] == "agent" and has_thoughts(text):
        text, thoughts = without_thoughts(text), True
    if thoughts:
        counts["thoughts of assistant messages"] += 1
    if message.get("tool_calls") or message.get("function_call"):
        counts["tool calls"] += 1
    if not text:
        counts[f"{role} messages without text"] += 1
        return None
    return Turn("user" if ROLES[role] == "user" else "agent", text)


def _text(content: Any, counts: Counter[str]) -> str:
    """A message's text: a string, or the texts of its parts."""
    if content is None or isinstance(content, str):
        return (content or "").strip()
    parts = [content] if isinstance(content, dict) else content
    if not isinstance(parts, list):
        raise ValueError("key content must be a string or a list of parts")
    return " ".join(text for part in parts if (text := _part(part, counts)))


def _part(part: Any, counts: Counter[str]) -> str:
    if isinstance(part, str):
        return part.strip()
    if not isinstance(part, dict):
        raise ValueError("a part of key content must be a string or an object")
    kind = part.get("type")
    text = part.get("refusal") if kind == "refusal" else part.get("text")
    text = text.get("value") if isinstance(text, dict) else text
    if kind in _THOUGHT_PARTS:
        counts["thoughts of assistant messages"] += 1
    elif isinstance(text, str):
        return text.strip()
    else:
        counts[f"parts of type {kind}" if isinstance(kind, str) else "parts without a type or text"] += 1
    return ""
