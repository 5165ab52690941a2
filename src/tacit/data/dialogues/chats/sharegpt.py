"""ShareGPT's form and its variants: ``{"conversations": [{"from": "human", "value"}, ...], "id"?}``.

The list may be called ``conversations``, ``conversation``, ``items`` or ``messages``; the speaker ``from``, ``role`` or
``speaker``; the words ``value``, ``content``, ``text`` or ``markdown``. Preference sets have the last answer twice, as
``chosen`` and ``rejected``: the chosen one is what was said, and accepted where it names items.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from tacit.data.dialogues.chats.chat import Chat
from tacit.data.dialogues.chats.messages import message_turn, name_in, rated
from tacit.data.dialogues.chats.openai import SESSION_KEYS, USER_KEYS, with_a_user
from tacit.data.dialogues.chats.rows import Source
from tacit.types import InputError, Turn

LISTS = ("conversations", "conversation", "items", "messages")
_SPEAKERS = ("from", "role", "speaker")
_WORDS = ("value", "content", "text", "markdown")
_LATER_NAMES = {"bing": "assistant", "bard": "assistant", "claude": "assistant", "chat": "assistant"}


def fits(row: dict[str, Any]) -> bool:
    for key in LISTS:
        entries = row.get(key)
        if isinstance(entries, list) and any(
            isinstance(entry, dict) and _either(entry, _SPEAKERS) for entry in entries
        ):
            return True
    return False


def read(source: Source, counts: Counter[str]) -> Iterator[Chat]:
    for row in source.rows():
        try:
            if not isinstance(row.value, dict):
                raise ValueError("a conversation must be a JSON object")
            entries = next((row.value[key] for key in LISTS if row.value.get(key) is not None), None)
            if not isinstance(entries, list):
                raise ValueError("key conversations must be a list of objects with from and value")
            turns = [turn for entry in entries if (turn := _turn(entry, counts))]
            turns += _preferred(row.value, counts)
            if row.value.get("system"):
                counts["system messages"] += 1
            owner = name_in(row.value, USER_KEYS) or name_in(row.value, SESSION_KEYS)
            id = name_in(row.value, ("id", "conversation_id")) or row.name
        except ValueError as error:
            raise InputError(f"{row.where}: {error}.") from None
        chat = Chat(row.where, id, owner or f"user-{id}", owner, tuple(turns))
        yield from with_a_user(chat, counts)


def _turn(entry: Any, counts: Counter[str]) -> Turn | None:
    if not isinstance(entry, dict):
        raise ValueError("an entry of conversations must be an object with from and value")
    role = _either(entry, _SPEAKERS)
    role = _LATER_NAMES.get(role.lower(), role) if isinstance(role, str) else role
    return message_turn({**entry, "role": role, "content": _either(entry, _WORDS)}, counts)


def _preferred(row: Mapping[str, Any], counts: Counter[str]) -> list[Turn]:
    """The answer that was chosen of two, where the row has two."""
    if row.get("chosen") is None:
        return []
    chosen = row["chosen"] if isinstance(row["chosen"], dict) else {"from": "gpt", "value": row["chosen"]}
    if row.get("rejected") is not None:
        counts["rejected answers"] += 1
    turn = _turn(chosen, counts)
    return [replace(turn, feedback=rated(True))] if turn is not None and turn.speaker == "agent" else []


def _either(entry: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    return next((entry[key] for key in keys if entry.get(key) is not None), None)
