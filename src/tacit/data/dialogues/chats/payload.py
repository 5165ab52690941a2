"""The words in a trace's input or output, which may be any JSON: text, messages, a request, an answer, or a function's
arguments."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tacit.data.dialogues.chats.messages import ROLES, SILENT_ROLES, message_turn, spoken
from tacit.run.lines import parse_json
from tacit.types import Speaker, Turn

_LISTS = ("messages", "input", "inputs", "chat_history", "history")
_TEXTS = (
    "question", "query", "prompt", "message", "text", "content", "answer", "response", "reply", "completion", "output",
    "result", "generated_text", "output_text", "kwargs",
)  # fmt: skip
_DEEPEST = 6


def turns_in(value: Any, speaker: Speaker, counts: Counter[str], depth: int = 0) -> list[Turn]:
    """Its turns; of ``speaker`` where the words have no role. What has no words that are known by name is counted."""
    if value is None or value == "" or depth > _DEEPEST:
        return []
    if isinstance(value, str):
        inner = _json_in(value)
        if inner is not None:
            return turns_in(inner, speaker, counts, depth + 1)
        turn = spoken(speaker, value, counts)
        return [] if turn is None else [turn]
    if isinstance(value, list):
        return _of_list(value, speaker, counts, depth)
    if isinstance(value, dict):
        return _of_object(value, speaker, counts, depth)
    counts[_UNKNOWN[speaker]] += 1
    return []


_UNKNOWN = {
    "user": "inputs without words that are known by name",
    "agent": "outputs without words that are known by name",
}


def _of_list(value: list[Any], speaker: Speaker, counts: Counter[str], depth: int) -> list[Turn]:
    if all(isinstance(entry, dict) and _role(entry) is not None for entry in value):
        turns = (message_turn({**entry, "role": _role(entry)}, counts) for entry in value)
        return [turn for turn in turns if turn is not None]
    if len(value) == 1 or all(isinstance(entry, str) for entry in value):
        return [turn for entry in value for turn in turns_in(entry, speaker, counts, depth + 1)]
    if any(isinstance(entry, dict) and "type" in entry for entry in value):  # the output of OpenAI's Responses
        messages = [entry for entry in value if isinstance(entry, dict) and _role(entry) is not None]
        counts["entries beside the messages of an output"] += len(value) - len(messages)
        return turns_in(messages, speaker, counts, depth + 1) if messages else []
    counts[_UNKNOWN[speaker]] += 1
    return []


def _of_object(value: dict[str, Any], speaker: Speaker, counts: Counter[str], depth: int) -> list[Turn]:
    if _role(value) is not None and "content" in value:
        return turns_in([value], speaker, counts, depth + 1)
    if isinstance(value.get("choices"), list) and value["choices"]:
        if len(value["choices"]) > 1:
            counts["further choices of an answer"] += len(value["choices"]) - 1
        return turns_in(value["choices"][0], speaker, counts, depth + 1)
    for key in (*_LISTS, *_TEXTS):
        if value.get(key) not in (None, "", [], {}):
            return turns_in(value[key], speaker, counts, depth + 1)
    arguments = value.get("args")
    if isinstance(arguments, list) and arguments:
        return turns_in(arguments[0], speaker, counts, depth + 1)
    counts[_UNKNOWN[speaker]] += 1
    return []


def _role(entry: dict[str, Any]) -> str | None:
    """LangChain says ``type`` for it."""
    for key in ("role", "type"):
        role = entry.get(key)
        if isinstance(role, str) and (role.lower() in ROLES or role.lower() in SILENT_ROLES):
            return role
    return None


def _json_in(text: str) -> Any:
    """What is stored as text of JSON, as blob storage does; None of words."""
    if text.lstrip()[:1] not in ("{", "[", '"'):
        return None
    try:
        value = parse_json(text.encode())
    except (ValueError, UnicodeEncodeError):
        return None
    return value if isinstance(value, dict | list | str) and value != text else None
