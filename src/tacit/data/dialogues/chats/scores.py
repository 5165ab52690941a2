"""Which of a trace's scores are a person's word on the reply, and what they say: for it or against it.

Those whose name speaks of feedback, a thumb, a rating, liking or satisfaction, and that no evaluator gave; others by
name, with the least value that is for the reply. Without it a score of true and false, 0 and 1, or -1, 0 and 1 says it
itself (of the last, 0 is neither); one on another scale is left out, and counted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tacit.data.dialogues.chats.messages import name_in, named

_OF_PEOPLE = re.compile(r"feedback|thumb|rating|rated|like|satisf|vote", re.IGNORECASE)
_WORDS = {
    **dict.fromkeys(("true", "yes", "up", "thumbs_up", "thumbs up", "like", "liked", "good", "positive", "👍"), True),
    **dict.fromkeys(
        ("false", "no", "down", "thumbs_down", "thumbs down", "dislike", "disliked", "bad", "negative"), False
    ),
    "👎": False,
}


@dataclass
class Scores:
    least: Mapping[str, float]
    _all: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)  # (trace, score)
    _traces: dict[str, str] = field(default_factory=dict)  # observation → its trace

    def add(self, score: Mapping[str, Any], trace: str = "") -> None:
        self._all.append((trace or name_in(score, ("traceId", "trace_id")), score))

    def add_nested(self, scores: Any, trace: str) -> None:
        """Of a trace: a list of scores, or of values by name. (The interface's lists name them by id alone.)"""
        if isinstance(scores, dict):
            values = {name: value if isinstance(value, list) else [value] for name, value in scores.items()}
            scores = [{"name": name, "value": value} for name, some in values.items() for value in some]
        for score in scores if isinstance(scores, list) else []:
            if isinstance(score, dict):
                self.add(score, trace)

    def belongs(self, observation: str, trace: str) -> None:
        self._traces[observation] = trace

    def likes(self, counts: Counter[str]) -> dict[str, bool]:
        """Trace → whether the reply was liked, by the last score that says so. What says nothing is counted."""
        values: dict[str, set[float]] = {}
        for _, score in self._all:
            if (number := _number(score)) is not None:
                values.setdefault(str(score.get("name")), set()).add(number)
        found: dict[str, bool] = {}
        for trace, score in self._all:
            trace = trace or self._traces.get(name_in(score, ("observationId", "observation_id")), "")
            like = self._like(score, values.get(str(score.get("name")), set()), counts)
            if like is not None and trace:
                found[trace] = like
            elif like is not None:
                counts["scores of a session as a whole"] += 1
        return found

    def _like(self, score: Mapping[str, Any], values: set[float], counts: Counter[str]) -> bool | None:
        name, number = str(score.get("name")), _number(score)
        if name in self.least:
            return None if number is None else number >= self.least[name]
        if score.get("source") == "EVAL":
            counts["scores by evaluators"] += 1
        elif not _OF_PEOPLE.search(name):
            counts[f"scores {named(name)} (--score takes them)"] += 1
        elif number is None:
            word = score.get("stringValue") or score.get("string_value") or score.get("value")
            like = _WORDS.get(word.strip().lower()) if isinstance(word, str) else None
            if like is None:
                counts[f"scores {named(name)} that are neither for nor against"] += 1
            return like
        elif not values <= {-1.0, 0.0, 1.0}:
            counts[f"scores {named(name)} on a scale of their own (--score {named(name)}=LEAST)"] += 1
        elif number == 0 and -1.0 in values:
            counts[f"scores {named(name)} that are neither for nor against"] += 1
        else:
            return number > 0
        return None


def _number(score: Mapping[str, Any]) -> float | None:
    value = score.get("value")
    if score.get("dataType", score.get("data_type")) == "CATEGORICAL":
        return None
    if isinstance(value, bool):
        return float(value)
    return float(value) if isinstance(value, int | float) and abs(value) < 1e300 else None
