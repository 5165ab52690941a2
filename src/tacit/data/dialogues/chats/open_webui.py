"""Open WebUI: chats as exported (``all-chats-export-….json``, or one chat) and the feedback export of its evaluations.

A chat is a tree, ``chat.history.messages``; its branch up to ``currentId`` is what the page shows. A reply's thumb
stands in its ``annotation.rating`` (1 or -1); a feedback has the same in ``data``, and a snapshot of its chat. Of a
chat's snapshots the last is taken, with the thumbs of all.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tacit.data.dialogues.chats.chat import Chat
from tacit.data.dialogues.chats.messages import content_text, rated, speaker_of, spoken, unix_seconds
from tacit.data.dialogues.chats.rows import Row, Source
from tacit.data.dialogues.chats.tree import branch
from tacit.types import InputError, Turn

# What the page folds away: thoughts, tool calls, code that was run.
_FOLDED = re.compile(r'<details\b[^>]*\btype="(\w+)"[^>]*>.*?(?:</details>|\Z)', re.DOTALL)


@dataclass
class _Saved:
    """A chat as it was last seen, and what was said of its messages."""

    row: Row
    chat: Mapping[str, Any]
    seen: float
    thumbs: dict[str, bool] = field(default_factory=dict)


def fits(row: dict[str, Any]) -> bool:
    if isinstance(row.get("snapshot"), dict) or (
        isinstance(row.get("data"), dict) and isinstance(row.get("meta"), dict)
    ):
        return True
    chat = row.get("chat")
    return _has_tree(chat) or _has_tree(row)


def _has_tree(chat: Any) -> bool:
    if not isinstance(chat, dict):
        return False
    history = chat.get("history")
    return isinstance(history, dict) and isinstance(history.get("messages"), dict)


def read(source: Source, counts: Counter[str]) -> Iterator[Chat]:
    saved: dict[str, _Saved] = {}
    for row in source.rows():
        try:
            _collect(row, saved, counts)
        except ValueError as error:
            raise InputError(f"{row.where}: {error}.") from None
    for name, one in saved.items():
        try:
            chat = _chat(name, one, counts)
        except ValueError as error:
            raise InputError(f"{one.row.where}: {error}.") from None
        if chat is not None:
            yield chat


def _collect(row: Row, saved: dict[str, _Saved], counts: Counter[str]) -> None:
    """A chat, or a feedback with the snapshot of one, joins what is known of the chat."""
    entry = row.value
    if not isinstance(entry, dict):
        raise ValueError("a chat must be a JSON object")
    thumbs: dict[str, bool] = {}
    if "snapshot" in entry or "data" in entry:
        thumbs = _thumb(entry, counts)
        snapshot = entry.get("snapshot")
        entry = snapshot.get("chat") if isinstance(snapshot, dict) else None
        if not isinstance(entry, dict):
            counts["feedback without a snapshot of its chat"] += 1
            return
    name = next(
        (str(entry[key]) for key in ("id", "chat_id") if isinstance(entry.get(key), str) and entry[key]), row.name
    )
    updated = entry.get("updated_at")
    seen = float(updated) if isinstance(updated, int | float) and abs(updated) < 1e300 else 0.0
    before = saved.get(name)
    if before is None:
        saved[name] = _Saved(row, entry, seen, thumbs)
    else:
        counts["earlier copies of a chat"] += 1
        before.thumbs.update(thumbs)
        if seen >= before.seen:
            before.row, before.chat, before.seen = row, entry, seen


def _thumb(feedback: Mapping[str, Any], counts: Counter[str]) -> dict[str, bool]:
    data, meta = feedback.get("data"), feedback.get("meta")
    like = _like(data.get("rating")) if isinstance(data, dict) else None
    name = meta.get("message_id") if isinstance(meta, dict) else None
    if like is None or not isinstance(name, str):
        counts["ratings that name no message, or are none"] += 1
        return {}
    return {name: like}


def _like(rating: Any) -> bool | None:
    """1 and -1, as numbers or text."""
    return {"1": True, "-1": False}.get(str(rating)) if isinstance(rating, str | int) else None


def _chat(name: str, saved: _Saved, counts: Counter[str]) -> Chat | None:
    talk = saved.chat.get("chat") if isinstance(saved.chat.get("chat"), dict) else saved.chat
    assert isinstance(talk, dict)
    turns, thumbs = list[Turn](), dict(saved.thumbs)
    for message in _messages(talk, counts):
        if not isinstance(message, dict):
            raise ValueError("a message of a chat must be an object with role and content")
        id = message.get("id")
        like = thumbs.pop(id, None) if isinstance(id, str) else None
        annotation = message.get("annotation")
        if like is None and isinstance(annotation, dict):
            like = _like(annotation.get("rating"))
        if (speaker := speaker_of(message.get("role"), counts)) is None:
            continue
        text = _FOLDED.sub(lambda found: _folded(found, counts), content_text(message.get("content"), counts))
        time_s = unix_seconds(message.get("timestamp"), counts)
        more = {"time_s": time_s, "feedback": rated(like) if speaker == "agent" else None}
        if (turn := spoken(speaker, text, counts, **more)) is not None:
            turns.append(turn)
    if thumbs:
        counts["ratings of messages that are not there, or on another branch"] += len(thumbs)
    if not any(turn.speaker == "user" for turn in turns):
        counts["conversations in which nobody spoke"] += 1
        return None
    user = saved.chat.get("user_id")
    owner = user if isinstance(user, str) else ""
    return Chat(saved.row.where, name, owner or f"user-{name}", owner, tuple(turns))


def _messages(talk: Mapping[str, Any], counts: Counter[str]) -> list[Any]:
    """The branch that is shown; of chats of before there were branches, all messages."""
    history = talk.get("history")
    if isinstance(history, dict) and isinstance(history.get("messages"), dict) and history["messages"]:

        def beside(number: int) -> None:
            if number:
                counts["messages on other branches"] += number

        return list(branch(history["messages"], history.get("currentId"), "parentId", "childrenIds", beside))
    messages = talk.get("messages")
    if not isinstance(messages, list):
        raise ValueError("key chat must be an object with history.messages, or a list of messages")
    return messages


def _folded(found: re.Match[str], counts: Counter[str]) -> str:
    counts["thoughts of assistant messages" if found[1] == "reasoning" else f"folded parts of type {found[1]}"] += 1
    return ""
