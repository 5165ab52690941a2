"""A session of the log → a ``Dialogue``: one pure function, so that training reads the log as it reads any other.

What the page did not report stays ``None``. A slate that was not delivered is not in the dialogue, nor are its events.
Events count in the order of the page (``seq``): in which order they came in, and how often, changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tacit.events.schema import Event, counted
from tacit.events.store import Record
from tacit.types import Dialogue, Feedback, ItemId, Judgement, Slate, Turn

Link = Callable[[str], tuple[ItemId, ...]]  # the items a text names, in order


@dataclass(frozen=True)
class Exchange:
    """A turn of the log: what was asked ("" where nothing was), the answers that were delivered, and the one that
    stands: voted for, else the last."""

    asked: str
    asked_ms: int | None
    answers: tuple[Record, ...]
    stands: Record | None


def dialogue(session: Sequence[Record], link: Link | None = None) -> Dialogue | None:
    """The conversation as it went on; None where nobody spoke, or the words are past their retention.

    A turn that was asked again, or shown beside another, stands with the answer that was voted for, else with the last
    one. Slates carry the probabilities they were drawn with, and none where serving was deterministic.
    """
    if not session or any(record.words is None for record in session):
        return None
    talk = exchanges(session)
    turns = list[Turn]()
    for place, exchange in enumerate(talk, start=1):
        if exchange.asked:
            text, time_s = exchange.asked, None if exchange.asked_ms is None else exchange.asked_ms / 1000
            turns.append(Turn("user", text, link(text) if link else (), time_s=time_s))
        if exchange.stands is not None:
            turns.append(_agent(exchange.stands, link, went_on=place < len(talk)))
    stood = [exchange.stands for exchange in talk if exchange.stands is not None]
    if not any(turn.speaker == "user" for turn in turns):
        return None
    first = session[0].exposure
    return Dialogue(first.session_id, first.user, _one_clock(turns), judgements(stood))


def exchanges(session: Sequence[Record]) -> list[Exchange]:
    """A session's turns in order."""
    by_turn: dict[int, list[Record]] = {}
    for record in session:
        by_turn.setdefault(record.exposure.turn, []).append(record)
    found = list[Exchange]()
    for number in sorted(by_turn):
        asked = next((words for r in by_turn[number] if (words := r.words) and words.asked), None)
        answers = tuple(r for r in by_turn[number] if r.delivery is not None and r.delivery.state == "delivered")
        text, moment = (asked.asked or "", asked.asked_ms) if asked is not None else ("", None)
        found.append(Exchange(text, moment, answers, _standing(answers)))
    return found


def feedback(record: Record, went_on: bool) -> Feedback | None:
    """What one exposure provoked, as far as it was reported. ``went_on``: the person spoke again afterwards."""
    events = in_order(record)
    kinds = {event.kind for event in events}
    items = tuple(shown.item_id for shown in record.exposure.items)
    largest = counted(events).get(None, {})
    latency_ms = largest.get("latency_ms")
    clicked = {event.item_id for event in events if event.kind == "click"}
    refused = {event.item_id for event in events if event.kind in ("not_for_me", "dismiss")}
    found = Feedback(
        dwell_s=dwell_s(events),
        scroll_depth=largest.get("scroll_depth"),
        clicked=tuple(item for item in items if item in clicked) if events and items else None,
        latency_s=None if latency_ms is None else latency_ms / 1000,
        accepted=True if "accept" in kinds else False if items and refused >= set(items) else None,
        left=False if went_on else True if "session_end" in kinds else None,
        device=next((event.device for event in reversed(events) if event.device), None),
    )
    return None if found == Feedback() else found


def in_order(record: Record) -> list[Event]:
    """As the page counted them."""
    return sorted((event for _, event in record.events), key=lambda event: (event.seq, event.event_id))


def dwell_s(events: Sequence[Event]) -> float | None:
    """Seconds a turn was in view, of events in order: of the reply as a whole, else of its longest seen item.

    None where the last report on it says that it may have gone on (``censored``): a lower bound is no observation.
    """
    seen = {event.item_id: event for event in events if event.visible_ms is not None}  # the last report on each
    whole = [seen[None]] if None in seen else list(seen.values())
    if not whole or any(event.censored for event in whole):
        return None
    largest = counted(events)
    return max(largest[event.item_id]["visible_ms"] for event in whole) / 1000


def judgements(records: Sequence[Record]) -> Mapping[ItemId, Judgement]:
    """What people said about items by the buttons of a card; the last word counts."""
    words: dict[ItemId, Judgement] = {}
    for item, change in _words(records):
        words[item] = replace(words.get(item, Judgement(suggested=True)), **change)
    return words


def _words(records: Sequence[Record]) -> Iterator[tuple[ItemId, dict[str, bool]]]:
    meaning = {"more_like_this": {"liked": True}, "not_for_me": {"liked": False}, "seen_it": {"seen": True}}
    for record in records:
        for event in in_order(record):
            if event.kind in meaning and event.item_id is not None:
                yield event.item_id, meaning[event.kind]


def _standing(answers: Sequence[Record]) -> Record | None:
    """Of the delivered answers to one turn, the one that was voted for, else the last."""
    delivered = {record.exposure.exposure_id: record for record in answers}
    voted = None
    for record in delivered.values():
        for event in in_order(record):
            if event.kind == "vote" and event.value:
                voted = record.exposure.exposure_id if event.value > 0 else event.against
    last = next(reversed(delivered.values()), None)
    return delivered.get(voted or "", last)


def _agent(record: Record, link: Link | None, went_on: bool) -> Turn:
    text = (record.words.said if record.words else None) or ""
    items = tuple(shown.item_id for shown in record.exposure.items)
    drawn = tuple(shown.probability for shown in record.exposure.items)
    slate = Slate(items, None if record.exposure.deterministic else drawn) if items else None
    mentions = items if slate else link(text) if link else ()
    ended = record.delivery.last_token_ms if record.delivery else None
    time_s = (ended if ended is not None else record.exposure.created_ms) / 1000
    return Turn("agent", text, mentions, slate, feedback(record, went_on), time_s)


def _one_clock(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The turns; without times where these go back, as when a server's clock was set."""
    times = [turn.time_s for turn in turns if turn.time_s is not None]
    if times == sorted(times):
        return tuple(turns)
    return tuple(replace(turn, time_s=None) for turn in turns)
