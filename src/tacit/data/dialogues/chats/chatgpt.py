"""ChatGPT's data export: the zip, its folder, or ``conversations.json`` (now ``conversations-000.json`` and on).

Each conversation is a tree, ``mapping``; its branch up to ``current_node`` is what the page shows. What was hidden
there (custom instructions, thoughts, what went to and from tools) is left out. Thumbs are in ``message_feedback.json``.
An export is one account's: all its conversations have one user.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from tacit.data.dialogues.chats.chat import Chat
from tacit.data.dialogues.chats.messages import rated, short, speaker_of, spoken, unix_seconds
from tacit.data.dialogues.chats.rows import Row, Source
from tacit.data.dialogues.chats.tree import branch
from tacit.types import InputError, Turn

_SHOWN = ("text", "multimodal_text")
_THOUGHTS = ("thoughts", "reasoning_recap")
_MARKS = re.compile("[ ]?\ue200[^\ue200\ue201]*\ue201")  # what the page draws as a link: characters of private use
_LIKES = {"thumbs_up": True, "thumbsup": True, "thumbs_down": False, "thumbsdown": False}


def fits(row: dict[str, Any]) -> bool:
    return isinstance(row.get("mapping"), dict)


def read(source: Source, counts: Counter[str]) -> Iterator[Chat]:
    thumbs = _thumbs(source, counts)
    owner = _account(source)
    for row in source.rows():
        try:
            chat = _chat(row, owner, thumbs, counts)
        except ValueError as error:
            raise InputError(f"{row.where}: {error}.") from None
        if chat is not None:
            yield chat
    if thumbs:
        counts["ratings of messages that are not there, or on another branch"] += len(thumbs)


def _chat(row: Row, owner: str, thumbs: dict[str, bool], counts: Counter[str]) -> Chat | None:
    talk = row.value
    if not isinstance(talk, dict) or not isinstance(talk.get("mapping"), dict):
        raise ValueError("key mapping must be an object of messages by id")

    def beside(number: int) -> None:
        if number:
            counts["messages on other branches"] += number

    turns = list[Turn]()
    for node in branch(talk["mapping"], talk.get("current_node"), "parent", "children", beside):
        if node.get("message") is None:
            continue  # the root
        message = node["message"]
        if not isinstance(message, dict):
            raise ValueError("a message of mapping must be an object")
        name = next((id for id in (message.get("id"), node.get("id")) if isinstance(id, str)), "")
        turn = _turn(message, thumbs.pop(name, None), counts)
        if turn is not None:
            turns.append(turn)
    if not any(turn.speaker == "user" for turn in turns):
        counts["conversations in which nobody spoke"] += 1
        return None
    found = talk.get("conversation_id") or talk.get("id")
    id = found if isinstance(found, str) else row.name
    return Chat(row.where, id, owner, owner, tuple(turns))


def _turn(message: Mapping[str, Any], like: bool | None, counts: Counter[str]) -> Turn | None:
    author, content = message.get("author"), message.get("content")
    if not isinstance(author, dict):
        raise ValueError("key author of a message must be an object with role")
    if (speaker := speaker_of(author.get("role"), counts)) is None:
        return None
    kind = content.get("content_type") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(kind, str):
        raise ValueError("key content of a message must be an object with content_type")
    metadata = message.get("metadata")
    hidden = isinstance(metadata, dict) and metadata.get("is_visually_hidden_from_conversation") is True
    if kind in _THOUGHTS:
        counts["thoughts of assistant messages"] += 1
    elif message.get("recipient") not in (None, "all"):
        counts["tool calls"] += 1
    elif hidden or kind.endswith("_editable_context"):
        counts["messages that the page hides"] += 1
    elif kind not in _SHOWN:
        counts[f"messages of type {short(kind)}"] += 1
    else:
        text = _text(content, counts)
        time_s = unix_seconds(message.get("create_time"), counts)
        return spoken(speaker, text, counts, time_s=time_s, feedback=rated(like) if speaker == "agent" else None)
    return None


def _text(content: Mapping[str, Any], counts: Counter[str]) -> str:
    """Strings, and what was said aloud; other parts (images, files) are counted."""
    parts = content.get("parts")
    if not isinstance(parts, list):
        raise ValueError("key parts of a message must be a list")
    texts = list[str]()
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            texts.append(part["text"])
        else:
            kind = part.get("content_type") if isinstance(part, dict) else None
            counts[f"parts of type {short(kind)}" if isinstance(kind, str) else "parts without a type or text"] += 1
    found = " ".join(text.strip() for text in texts if text.strip())
    bare, marks = _MARKS.subn("", found)
    if marks:
        counts["citation marks"] += marks
    return bare.strip()


def _thumbs(source: Source, counts: Counter[str]) -> dict[str, bool]:
    """Message → whether it was liked."""
    found: dict[str, bool] = {}
    for entry in source.beside("message_feedback.json"):
        entry = entry if isinstance(entry, dict) else {}
        name = entry.get("message_id") or entry.get("id")
        like = _LIKES.get(str(entry.get("rating")).lower())
        if isinstance(name, str) and like is not None:
            found[name] = like
        else:
            counts["ratings that name no message, or are none"] += 1
    return found


def _account(source: Source) -> str:
    """The account's id, else a name of the export's own."""
    for entry in source.beside("user.json"):
        if isinstance(entry, dict) and isinstance(entry.get("id"), str) and entry["id"]:
            return str(entry["id"])
    return f"account-{source.path.name.split('.')[0] or 'export'}"
