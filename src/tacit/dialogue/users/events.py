"""What a user meant, read off what happened and not off its words: for languages whose words no rule here knows.

Where a message stands, whether its item had been shown, how the item was judged, and what followed a recommendation
say much of its intent. Messages of which they say nothing are left out.
"""

from __future__ import annotations

from collections.abc import Iterator

from tacit.types import Dialogue, Feedback, ItemId, Turn

MOOD_SENTIMENT = {"negative": -0.5, "neutral": 0.0, "positive": 0.5}  # of a line whose words cannot be scored


def meanings(dialogue: Dialogue) -> Iterator[tuple[Turn, str, str]]:
    """(user turn, intent, mood) of each turn whose circumstances tell; intents and moods as in ``speech``."""
    shown: set[ItemId] = set()
    feedback = Feedback()
    first, accepted = True, False
    for turn in dialogue.turns:
        if turn.speaker == "agent":
            shown |= {*turn.mentions, *(turn.slate.items if turn.slate else ())}
            feedback = turn.feedback or Feedback()
            continue
        meaning = _meaning(dialogue, turn, shown, feedback, first, accepted)
        if meaning is not None:
            yield turn, *meaning
        accepted |= feedback.accepted is True
        first = False


def _meaning(
    dialogue: Dialogue, turn: Turn, shown: set[ItemId], feedback: Feedback, first: bool, accepted: bool
) -> tuple[str, str] | None:
    if accepted:
        return "thanks", "positive"
    if feedback.accepted:
        return "accept", "positive"
    if feedback.left:
        return "bye", "neutral"
    if first and not shown:
        return "open", "neutral"
    if len(turn.mentions) == 1:
        return _about(dialogue, turn, turn.mentions[0], shown, feedback)
    if turn.mentions or not shown:
        return None
    if feedback.clicked == () and "?" not in turn.text:
        return "critique", "negative"
    return ("more", "neutral") if feedback.clicked == () else None


def _about(
    dialogue: Dialogue, turn: Turn, item: ItemId, shown: set[ItemId], feedback: Feedback
) -> tuple[str, str] | None:
    """A message about one item: its judgement tells, else whether it had been shown and was clicked."""
    judgement = dialogue.judgements.get(item)
    liked = judgement.liked if judgement else None
    if item not in shown:
        return ("critique", "negative") if liked is False else ("prefer", "positive")
    if "?" in turn.text:
        return "ask", "neutral"
    if judgement and judgement.seen:
        return "seen", "neutral"
    if liked is False:
        return "critique", "negative"
    return ("praise", "positive") if liked or item in (feedback.clicked or ()) else None
