"""What people said of replies, for training a language model elsewhere: TRL's conversational forms, one object a line.

KTO: ``{"prompt": [messages], "completion": [message], "label": bool}``; DPO: ``{"prompt", "chosen", "rejected"}``.
``user`` is the pseudonym, so that ``tacit events delete-user --dialogues FILE`` finds a person's lines. Source: TRL's
"Dataset formats and types", unpaired preference and preference with an explicit prompt. A prompt ends with the user,
and speakers take turns, as chat templates ask.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tacit.data.dialogues.logs import write_rows
from tacit.events.sessions import Exchange, exchanges, in_order
from tacit.events.store import Record, Store, sessions

Messages = list[dict[str, str]]


def write_kto(store: Store, path: Path, left_out: Counter[str]) -> int:
    """How many judged replies now stand in ``path``."""
    return write_rows(path, (row for session in spoken(store, left_out) for row in kto(session, left_out)))


def write_dpo(store: Store, path: Path, left_out: Counter[str]) -> int:
    """How many pairs now stand in ``path``."""
    return write_rows(path, (row for session in spoken(store, left_out) for row in dpo(session)))


def kto(session: Sequence[Record], left_out: Counter[str] | None = None) -> Iterator[dict[str, Any]]:
    """Every reply that was judged, and how. A reply without words is counted."""
    for prompt, exchange in prompts(session):
        votes = _votes(exchange)
        for answer in exchange.answers:
            like = liked(answer)
            if like is None:
                like = votes.get(answer.exposure.exposure_id)
            if like is None:
                continue
            if not said_by(answer):
                if left_out is not None:
                    left_out["judged replies without words"] += 1
                continue
            yield {"prompt": prompt, "completion": reply(answer), "label": like, "user": answer.exposure.user}


def dpo(session: Sequence[Record]) -> Iterator[dict[str, Any]]:
    """Two replies to one turn, of which one was voted for, or one liked and the other not."""
    for prompt, exchange in prompts(session):
        votes = _votes(exchange)
        for chosen in exchange.answers:
            for rejected in exchange.answers:
                if said_by(chosen) and said_by(rejected) and said_by(chosen) != said_by(rejected):
                    verdicts = [_verdict(answer, votes) for answer in (chosen, rejected)]
                    if verdicts == [True, False]:
                        pair = {"chosen": reply(chosen), "rejected": reply(rejected)}
                        yield {"prompt": prompt, **pair, "user": chosen.exposure.user}


def liked(answer: Record) -> bool | None:
    """The last thumb; else True where an item was accepted, False where every item shown was refused."""
    events = in_order(answer)
    thumbs = [event.value for event in events if event.kind == "thumb" and event.value]
    if thumbs:
        return thumbs[-1] == 1
    if any(event.kind == "accept" for event in events):
        return True
    items = {shown.item_id for shown in answer.exposure.items}
    refused = {event.item_id for event in events if event.kind in ("not_for_me", "dismiss")}
    return False if items and refused >= items else None


def _verdict(answer: Record, votes: dict[str, bool]) -> bool | None:
    """A vote compares two answers, and comes first where pairs are asked for."""
    vote = votes.get(answer.exposure.exposure_id)
    return liked(answer) if vote is None else vote


def _votes(exchange: Exchange) -> dict[str, bool]:
    """Exposure → whether it was voted for, by the last vote; a tie says nothing."""
    answers = {answer.exposure.exposure_id for answer in exchange.answers}
    found: dict[str, bool] = {}
    cast = [(moment, event) for answer in exchange.answers for moment, event in answer.events if event.kind == "vote"]
    for _, vote in sorted(cast, key=lambda one: (one[0], one[1].seq)):
        if vote.against in answers and vote.against is not None and vote.against != vote.exposure_id:
            found = {vote.exposure_id: vote.value == 1, vote.against: vote.value == -1} if vote.value else {}
    return found


def prompts(session: Sequence[Record]) -> Iterator[tuple[Messages, Exchange]]:
    """Each turn with what was said before it; turns that nobody asked for have no prompt, and are left out."""
    said: Messages = []
    for exchange in exchanges(session):
        if exchange.asked and said and said[-1]["role"] == "user":  # its answer never arrived
            said = [*said[:-1], {"role": "user", "content": f"{said[-1]['content']}\n{exchange.asked}"}]
        elif exchange.asked:
            said = [*said, {"role": "user", "content": exchange.asked}]
        if exchange.asked:
            yield said, exchange
        if exchange.stands is not None and said_by(exchange.stands) and said and said[-1]["role"] == "user":
            said = [*said, *reply(exchange.stands)]


def reply(answer: Record) -> Messages:
    return [{"role": "assistant", "content": said_by(answer)}]


def said_by(answer: Record) -> str:
    return (answer.words.said if answer.words else None) or ""


def spoken(store: Store, left_out: Counter[str]) -> Iterator[list[Record]]:
    """The sessions of those who agree to training; without those whose words are past their retention."""
    for session in sessions(store, "train"):
        if any(record.words is None for record in session):
            left_out["sessions whose words are gone"] += 1
        else:
            yield session
