"""How well acts are read from words: against the labels that people gave to replies of ReDial (IARD).

Cai and Chen, "Predicting user intents and satisfaction with dialogue-based conversational recommendations" (UMAP 2020),
https://github.com/wanlingcai1997/umap_2020_IARD: 336 dialogues, chosen by them, with an intent for each utterance. An
acceptance stands at the seeker's words; the film was named a turn earlier.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tacit.dialogue.users.acts import READ, one_act, read_acts
from tacit.run.lines import parse_json
from tacit.types import InputError

LABELS: Mapping[str, frozenset[str]] = {
    "accept": frozenset({"ACC"}),
    "reject": frozenset({"REJ", "CRI-F"}),
    "seen": frozenset({"SEE"}),
    "ask": frozenset({"INQ"}),
}
NAMES = (*READ, "other")  # where a conversation ends is told by its turns, not by words

_FILM = re.compile(r"@(\d+)\s*(?:<([^>]*)>)?")


@dataclass(frozen=True)
class Agreement:
    """Of replies to a message that names a film. ``f1`` by act, ``accuracy`` and ``macro_f1`` of one act a reply."""

    dialogues: int
    replies: int
    accuracy: float
    macro_f1: float
    f1: Mapping[str, float]

    def __str__(self) -> str:
        each = ", ".join(f"{name} {value:.3f}" for name, value in self.f1.items())
        return f"accuracy {self.accuracy:.3f}, macro-F1 {self.macro_f1:.3f} ({each})"


def agreement(path: Path, ids: Set[str] | None = None) -> Agreement:
    """``ids``: only of these dialogues. ``InputError`` where the file is none of IARD's, or labels none of them."""
    pairs, dialogues = [], 0
    for id, dialogue in _read(path).items():
        if ids is None or id in ids:
            found = list(_replies(dialogue))
            dialogues += bool(found)
            pairs += found
    if not pairs:
        raise InputError(f"{path} labels none of these dialogues: leave --iard out, or check others.")
    f1 = {name: _f1([(gold == name, read == name) for gold, read in pairs]) for name in NAMES}
    right = sum(gold == read for gold, read in pairs) / len(pairs)
    return Agreement(dialogues, len(pairs), right, sum(f1.values()) / len(f1), f1)


def _read(path: Path) -> Mapping[str, Any]:
    refused = InputError(f"{path} is not IARD's file of labelled dialogues: fetch umap2020_IARD_Cai.json again.")
    try:
        data = path.read_bytes()
        content = parse_json(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}).") from None
    except (ValueError, EOFError):
        raise refused from None
    if not isinstance(content, dict) or not all(
        isinstance(row, dict) and "dialogue_info" in row for row in content.values()
    ):
        raise refused
    return content


def _replies(dialogue: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(labelled act, read act) of each reply to a message that names a film."""
    before: list[str] = []
    for utterance in dialogue["dialogue_info"].values():
        text = utterance["utterance_text"]
        if utterance["role"] != "seeker":
            before = [id for id, _ in _FILM.findall(text)]
            continue
        films = [(id, title or f"@{id}") for id, title in _FILM.findall(text)]
        plain = _FILM.sub(lambda film: film.group(2) or film.group(), text).replace("...", ". ")
        shown = [title for id, title in films if id in before]
        read = one_act(read_acts(plain, shown, [title for id, title in films if id not in before]))
        labels = set(utterance["sub-intent/action"])
        gold = one_act(frozenset(act for act in READ if LABELS[act] & labels))
        if before:
            yield gold, read


def _f1(pairs: list[tuple[bool, bool]]) -> float:
    """2·hits / (labelled + read), 0 where neither is."""
    hits = sum(gold and read for gold, read in pairs)
    return 2 * hits / max(sum(gold + read for gold, read in pairs), 1)
