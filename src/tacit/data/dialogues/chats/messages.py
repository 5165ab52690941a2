"""A message of a chat, in any interface's form, as a turn: its role, its text, and by name what is left out of it.

Content is a string, or parts: strings, objects with ``text`` (chat completions ``text``, Responses ``input_text`` and
``output_text``, Assistants ``{"text": {"value"}}``) or ``refusal``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from tacit.data.thoughts import has_thoughts, without_thoughts
from tacit.data.times import EARLIEST, LATEST, Clock
from tacit.types import Feedback, Speaker, Turn

ROLES: dict[str, Speaker] = {
    **dict.fromkeys(("user", "human", "customer", "client", "seeker"), "user"),
    **dict.fromkeys(("assistant", "model", "agent", "ai", "bot", "gpt", "chatgpt", "recommender"), "agent"),
}
SILENT_ROLES = ("system", "developer", "tool", "function", "function_call", "observation")
_THOUGHT_KEYS = ("reasoning_content", "reasoning", "thinking", "reasoning_details")
_THOUGHT_PARTS = ("thinking", "redacted_thinking", "reasoning")


def message_turn(message: Mapping[str, Any], counts: Counter[str]) -> Turn | None:
    """The turn of ``{"role", "content"}``; None where it has no words of either side. ValueError says what is wrong."""
    role = message.get("role")
    if role is None and isinstance(message.get("type"), str) and message["type"] != "message":
        counts[f"entries of type {short(message['type'])}"] += 1
        return None
    if (speaker := speaker_of(role, counts)) is None:
        return None
    text = content_text(message.get("content"), counts)
    if not text and isinstance(message.get("refusal"), str):
        text = message["refusal"].strip()
    thoughts = any(message.get(key) for key in _THOUGHT_KEYS)
    if speaker == "agent" and has_thoughts(text):
        text, thoughts = without_thoughts(text), True
    if thoughts:
        counts["thoughts of assistant messages"] += 1
    if message.get("tool_calls") or message.get("function_call"):
        counts["tool calls"] += 1
    if not text:
        counts[f"{role} messages without text"] += 1
        return None
    return Turn(speaker, text)


def speaker_of(role: Any, counts: Counter[str]) -> Speaker | None:
    """Whose words they are; None, and counted, for those of neither side."""
    if isinstance(role, str) and role.strip().lower() in SILENT_ROLES:
        counts[f"{role.strip().lower()} messages"] += 1
        return None
    if not isinstance(role, str) or role.strip().lower() not in ROLES:
        raise ValueError(f"role {named(role)} is unknown: use user, assistant, system, developer or tool")
    return ROLES[role.strip().lower()]


def spoken(speaker: Speaker, text: str, counts: Counter[str], **more: Any) -> Turn | None:
    """A turn of plain text without its thoughts; None, and counted, where nothing is left."""
    if speaker == "agent" and has_thoughts(text):
        counts["thoughts of assistant messages"] += 1
        text = without_thoughts(text)
    if not text.strip():
        counts["messages without text"] += 1
        return None
    return Turn(speaker, text.strip(), **more)


def content_text(content: Any, counts: Counter[str]) -> str:
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
        counts[f"parts of type {short(kind)}" if isinstance(kind, str) else "parts without a type or text"] += 1
    return ""


def name_in(row: Mapping[str, Any], keys: tuple[str, ...]) -> str:
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


def rated(like: bool | None) -> Feedback | None:
    """What a thumb, or a score, says of the items that a reply shows."""
    return None if like is None else Feedback(accepted=like)


def unix_seconds(value: Any, counts: Counter[str]) -> float | None:
    """A moment as any export writes it (seconds or smaller units, ISO 8601); None, and counted, where it is none."""
    if value is None or value == "":
        return None
    try:
        seconds = Clock(days=False).seconds(value)
    except ValueError:
        seconds = None
    if seconds is None or not math.isfinite(seconds) or not EARLIEST <= seconds < LATEST:
        counts["times that are none"] += 1
        return None
    return seconds


def short(text: str) -> str:
    """A name of the file's own, for counting by it: on one line, and not at length."""
    return named(text)[1:-1]


def named(value: Any) -> str:
    """As a message may show it: on one line, and not at length."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:36]}...{text[-1]}"
