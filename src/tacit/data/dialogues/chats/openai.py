"""Chat messages as OpenAI's interfaces and their many copies log them, one conversation or request a line.

``{"messages": [{"role", "content"}, ...], "id"?, "user"?}``; also ``conversation`` in place of ``messages``, as data
sets on the Hub have it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from tacit.data.dialogues.chats.chat import Chat
from tacit.data.dialogues.chats.messages import ROLES, message_turn, name_in
from tacit.data.dialogues.chats.rows import Source
from tacit.types import InputError, Turn

USER_KEYS = ("user", "user_id", "safety_identifier")
SESSION_KEYS = ("session", "session_id", "conversation_id", "thread_id")


def fits(row: dict[str, Any]) -> bool:
    return any(_has_messages(row.get(key)) for key in ("messages", "conversation"))


def _has_messages(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(entry, dict) and "role" in entry for entry in value)


def read(source: Source, counts: Counter[str]) -> Iterator[Chat]:
    """Every conversation with words of a user."""
    for row in source.rows():
        try:
            messages = row.value.get("messages") if isinstance(row.value, dict) else None
            if messages is None and isinstance(row.value, dict):
                messages = row.value.get("conversation")
            if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
                raise ValueError("key messages must be a list of objects with role and content")
            turns = tuple(turn for message in messages if (turn := message_turn(message, counts)))
            owner = name_in(row.value, USER_KEYS) or name_in(row.value, SESSION_KEYS)
            id = name_in(row.value, ("id", "conversation_id")) or row.name
        except ValueError as error:
            raise InputError(f"{row.where}: {error}.") from None
        speakers = {ROLES.get(str(message.get("role")).strip().lower()) for message in messages}
        if speakers - {None} == {"agent"}:
            raise InputError(f"{row.where}: the dialogue has no user turn: add one or remove the line.")
        yield from with_a_user(Chat(row.where, id, owner or f"user-{id}", owner, turns), counts)


def with_a_user(chat: Chat, counts: Counter[str]) -> Iterator[Chat]:
    """The chat; counted where the user said nothing in words (an image alone, an answer alone, an empty list)."""
    if any(turn.speaker == "user" for turn in chat.turns):
        yield chat
    else:
        counts["conversations without words of a user"] += 1


def turns_of(messages: list[Any], counts: Counter[str]) -> list[Turn]:
    """The turns of ``{"role", "content"}`` objects; ValueError where one is none."""
    if not all(isinstance(message, dict) for message in messages):
        raise ValueError("messages must be objects with role and content")
    return [turn for message in messages if (turn := message_turn(message, counts))]
