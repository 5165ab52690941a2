"""What a policy was asked, made again from the log: the same past, the same taste, the same words, the same mask.

Only so can the log say what another policy would have done in a turn. The turns of people who agree to training count;
of their past conversations, what had come in when the turn's session began.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import sqlalchemy as sa
import torch

from tacit.catalog import Catalog
from tacit.dialogue.policy.policy import Policy
from tacit.events.store import Record, Store, records
from tacit.events.tables import exposures, users
from tacit.serve.conversations import Session, asked, before_and_taste, slates_of
from tacit.serve.turns import Asked
from tacit.slates import OUT_OF_REACH
from tacit.types import Floats64

GREEDY = "turns that were served greedily, so that chance had no say"
UNDELIVERED = "turns that were not delivered whole"
WORDLESS = "turns whose words are gone, or follow such a turn"
MASKED = "turns from which items were kept away (withdrawn, not for this person, or not in this policy's catalogue)"


@dataclass(frozen=True)
class Rebuilt:
    """A turn that was served, and what the policy was asked."""

    record: Record
    asked: Asked


def rebuilt(store: Store, catalog: Catalog, past_sessions: int, left_out: Counter[str]) -> Iterator[Rebuilt]:
    """Every turn that can speak of another policy with this catalogue, by person; why others cannot, in ``left_out``.

    ``past_sessions`` is the server's setting. Of masks only those that keep nothing away can be told from their hash.
    """
    with store.reading() as connection:
        agreed = connection.scalars(sa.select(users.c.user).where(users.c.consent == "train")).all()
        for user in sorted(agreed):
            yield from _of_person(records(connection, exposures.c.user == user), catalog, past_sessions, left_out)


def _of_person(
    shown: Sequence[Record], catalog: Catalog, past_sessions: int, left_out: Counter[str]
) -> Iterator[Rebuilt]:
    by_session: dict[str, list[Record]] = {}
    for record in shown:
        by_session.setdefault(record.exposure.session_id, []).append(record)
    for name, session in by_session.items():
        memory = _memory(name, by_session, catalog, past_sessions)
        for record in session:
            if record.consent != "train":
                continue
            messages = _messages(session, record)
            reason = why_not(record, 2 * len(catalog)) or (WORDLESS if messages is None else "")
            if reason or messages is None:
                left_out[reason] += 1
                continue
            yield Rebuilt(record, asked(messages, memory, catalog, None, name))


def _memory(name: str, by_session: dict[str, list[Record]], catalog: Catalog, past_sessions: int) -> Session:
    """What the server knew when the session ``name`` began; which slate went with which reply is of the whole session,
    and asked for by the reply."""
    mine = by_session[name]
    began_ms = min(record.exposure.created_ms for record in mine)
    others = [_known_by(began_ms, session) for key, session in by_session.items() if key != name]
    before = sorted((one for one in others if one), key=lambda one: max(r.exposure.created_ms for r in one))
    before = before[-past_sessions:] if past_sessions else []
    return Session(mine[0].exposure.user, dict(slates_of(mine)), *before_and_taste(before, catalog))


def _known_by(moment_ms: int, session: Sequence[Record]) -> list[Record]:
    """What was known of a session at a moment."""
    return [
        replace(record, events=tuple((ms, event) for ms, event in record.events if ms < moment_ms))
        for record in session
        if record.exposure.created_ms < moment_ms
    ]


def _messages(session: Sequence[Record], record: Record) -> list[tuple[str, str]] | None:
    """What the client sent: of each turn before, the question and the answer that was given last by then. None where
    a word of it is gone."""
    now = record.exposure
    said: dict[int, tuple[str, str]] = {}
    for other in sorted(session, key=lambda one: one.exposure.created_ms):
        shown, words = other.exposure, other.words
        if shown.turn >= now.turn or shown.created_ms > now.created_ms:
            continue
        if words is None or words.asked is None:
            return None
        if words.said is not None and other.delivery is not None and other.delivery.state == "delivered":
            said[shown.turn] = words.asked, words.said
    if record.words is None or record.words.asked is None or len(said) < now.turn:
        return None
    before = [message for turn in sorted(said) for message in zip(("user", "assistant"), said[turn], strict=True)]
    return [*before, ("user", record.words.asked)]


def why_not(record: Record, most_items: int) -> str:
    """Why a turn cannot speak of another policy; "" where it can."""
    if record.exposure.deterministic:
        return GREEDY
    if record.delivery is None or record.delivery.state != "delivered":
        return UNDELIVERED
    mask = record.exposure.mask_hash
    return "" if mask is None or mask in _hashes_of_all(most_items) else MASKED


@lru_cache
def _hashes_of_all(most: int) -> frozenset[str]:
    """The hashes of masks that allow all of n items, n up to ``most`` (``items.Shelf``)."""
    hashes, whole = set(), hashlib.sha256()
    for n in range(most + 1):
        tail = whole.copy()
        if n % 8:
            tail.update(bytes([256 - (1 << (8 - n % 8))]))
        hashes.add(tail.hexdigest()[:16])
        if n % 8 == 7:
            whole.update(b"\xff")
    return frozenset(hashes)


@torch.no_grad()
def answers(policy: Policy, turns: Sequence[Asked]) -> tuple[Floats64, Floats64]:
    """(P(recommend) [B], logits [B, items] of a slate if it does; what was named is out of reach) of each turn."""
    prompts = [[*policy.prompt(one.read), policy.layout.recommend] for one in turns]
    hidden, rows = policy.trunk(prompts), torch.arange(len(turns), device=policy.device)
    last = torch.tensor([len(prompt) - 1 for prompt in prompts], device=policy.device)
    wanted = [one.wanted for one in turns]
    shares = policy.decision_logprobs(hidden[rows, last - 1], wanted)[:, 0].double().exp().cpu().numpy()
    window = policy.encoder.encode([policy.window_text(one.read) for one in turns])
    logits = policy.slate_scores(window, hidden[rows, last], wanted).double().cpu().numpy()
    some_left = (logits > OUT_OF_REACH).any(axis=1)
    return np.where(some_left, np.minimum(shares, 1.0), 0.0), logits
