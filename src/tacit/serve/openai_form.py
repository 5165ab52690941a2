"""OpenAI's forms: of a request for a turn, and of the answer, whole or in chunks."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from tacit.serve.cards import cards
from tacit.serve.exchange import Exchange
from tacit.serve.items import Age, Market
from tacit.serve.live import CURRENT

Name = Annotated[str, msgspec.Meta(max_length=512)]


class Part(msgspec.Struct):
    type: str
    text: str | None = None


class ChatMessage(msgspec.Struct):
    role: str
    content: str | list[Part] | None = None

    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.text)
        return self.content or ""


class StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class ChatRequest(msgspec.Struct):
    """What is read of a request; other fields of OpenAI's are accepted and have no effect."""

    messages: list[ChatMessage]
    model: Name = CURRENT
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = None
    user: Name | None = None
    session_id: Name | None = None
    market: Market | None = None
    age: Age | None = None

    @property
    def wants_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)


def whole(turn: Exchange) -> dict[str, Any]:
    message = {"role": "assistant", "content": turn.said, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": turn.finish, "logprobs": None}
    return {
        **_head(turn, "chat.completion"),
        "choices": [choice],
        "usage": _usage(turn),
        "recommendations": _recommendations(turn),
    }


def first_chunk(turn: Exchange) -> bytes:
    return _chunk(turn, {"role": "assistant", "content": ""})


def words_chunk(turn: Exchange, words: str) -> bytes:
    return _chunk(turn, {"content": words})


def last_chunk(turn: Exchange) -> bytes:
    """It alone has the items, so that cards appear, and time in view is counted, once the text has ended."""
    return _chunk(turn, {}, turn.finish, recommendations=_recommendations(turn))


def usage_chunk(turn: Exchange) -> bytes:
    return line({**_head(turn, "chat.completion.chunk"), "choices": [], "usage": _usage(turn)})


def line(content: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(content) + b"\n\n"


DONE = b"data: [DONE]\n\n"


def _chunk(turn: Exchange, delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
    return line({**_head(turn, "chat.completion.chunk"), "choices": [choice], **more})


def _head(turn: Exchange, kind: str) -> dict[str, Any]:
    id = f"chatcmpl-{turn.exposure_id}"
    return {"id": id, "object": kind, "created": turn.started_ms // 1000, "model": turn.model}


def _usage(turn: Exchange) -> dict[str, int]:
    assert turn.answer is not None
    prompt, written = turn.answer.prompt_tokens, len(turn.answer.reply)
    return {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}


def _recommendations(turn: Exchange) -> dict[str, Any]:
    """For the client: what is shown, and how to speak of it later. No probability is here."""
    assert turn.answer is not None
    return {
        "exposure_id": turn.exposure_id if turn.logged else None,
        "signature": turn.signature,
        "session_id": turn.session,
        "turn": turn.number,
        "policy_version": turn.served.version,
        "catalog_version": turn.served.shelf.version,
        "items": cards(turn.answer),
    }
