"""A table of chats (csv, JSON lines or Parquet): one message a row, or one exchange a row (``prompt`` and ``reply``).

Fields are found under their own names, or under the columns that a mapping gives: ``--map text=body``. Rows of one
``conversation`` belong together, in the order of ``time`` where all have one, else of the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tacit.data.dialogues.chats.chat import Chat
from tacit.data.dialogues.chats.messages import rated, speaker_of, spoken, unix_seconds
from tacit.data.tabular import any_names, bad_rows, check_mapping, mapped, rows, utf8
from tacit.types import InputError, Turn

FIELDS = ("conversation", "role", "text", "prompt", "reply", "user", "time", "rating")
_LIKES = {
    **dict.fromkeys(("1", "1.0", "true", "yes", "up", "thumbs_up", "like", "good", "positive"), True),
    **dict.fromkeys(
        ("-1", "-1.0", "0", "0.0", "false", "no", "down", "thumbs_down", "dislike", "bad", "negative"), False
    ),
}


@dataclass(frozen=True)
class _Said:
    row: int
    user: str
    turns: tuple[Turn, ...]


def read(path: Path, columns: Mapping[str, str], counts: Counter[str]) -> Iterator[Chat]:
    def check(file: Path, names: Sequence[str]) -> None:
        any_names(file, names)
        _check(columns, names, str(file))

    talks: dict[str, list[_Said]] = {}
    bad = list[tuple[int, str]]()
    checked = False
    for number, row in rows(path, check):
        try:
            if isinstance(row, ValueError):
                raise row
            if not checked:
                check(path, list(row))  # JSON lines have no header
                checked = True
            values = mapped(row, columns, FIELDS)
            name = _text(values, "conversation") or (f"row-{number}" if "prompt" in values else "")
            if not name:
                raise ValueError("field conversation is empty")
            talks.setdefault(name, []).append(_Said(number, _text(values, "user"), tuple(_turns(values, counts))))
        except ValueError as error:
            bad.append((number, str(error)))
    if bad:
        raise bad_rows(path, bad)
    for name, said in talks.items():
        turns = tuple(turn for one in _in_time(said) for turn in one.turns)
        if not any(turn.speaker == "user" for turn in turns):
            counts["conversations in which nobody spoke"] += 1
            continue
        owner = next((one.user for one in said if one.user), "")
        yield Chat(f"{path}:{said[0].row}", name, owner or f"user-{name}", owner or name, turns)


def _check(columns: Mapping[str, str], names: Sequence[str], where: str) -> None:
    check_mapping(columns, FIELDS, names, where)
    has = {field for field in FIELDS if columns.get(field, field) in names}
    if not (has >= {"conversation", "role", "text"} or has >= {"prompt", "reply"}):
        shown = ", ".join(names).encode(errors="replace").decode()[:300].replace("\n", " ")
        raise InputError(
            f"{where}: the columns are {shown}: map conversation, role and text, or prompt and reply, to them, such as "
            "--map text=COLUMN."
        )


def _turns(values: Mapping[str, Any], counts: Counter[str]) -> Iterator[Turn]:
    """Those of a row. An exchange's time is that of what was asked."""
    time_s = unix_seconds(_plain(values.get("time")), counts)
    like = _like(values, counts)
    if "prompt" in values:
        asked = spoken("user", _text(values, "prompt"), counts, time_s=time_s)
        reply = spoken("agent", _text(values, "reply"), counts, feedback=rated(like))
        yield from (turn for turn in (asked, reply) if turn is not None)
        return
    if (speaker := speaker_of(values.get("role"), counts)) is None:
        return
    if speaker == "user" and like is not None:
        counts["ratings of what a user said"] += 1
    feedback = rated(like) if speaker == "agent" else None
    turn = spoken(speaker, _text(values, "text"), counts, time_s=time_s, feedback=feedback)
    if turn is not None:
        yield turn


def _like(values: Mapping[str, Any], counts: Counter[str]) -> bool | None:
    rating = values.get("rating")
    if rating is None or str(rating).strip() == "":
        return None
    like = _LIKES.get(str(rating).strip().lower())
    if like is None:
        counts["ratings that are neither for nor against"] += 1
    return like


def _in_time(said: list[_Said]) -> list[_Said]:
    times = [one.turns[0].time_s if one.turns else None for one in said]
    if any(time_s is None for time_s in times):
        return said
    order = sorted(range(len(said)), key=lambda place: times[place] or 0.0)
    return [said[place] for place in order]


def _text(values: Mapping[str, Any], field: str) -> str:
    """A field as text: "" where it is absent, null or empty."""
    value = values.get(field)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"field {field} must be text")
    if isinstance(value, str) and not utf8(value):
        raise ValueError(f"field {field} is not UTF-8: re-encode the file as UTF-8")
    return str(value).strip()


def _plain(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value
