"""Somebody pushes an item: what comes of it, with the cap on an account and without."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice

import numpy as np
import torch

from tacit.catalog import Catalog
from tacit.dialogue.policy.policy import Policy
from tacit.events.store import open_store
from tacit.events.store import sessions as sessions_of
from tacit.pipelines.loop.learning import without_cap
from tacit.pipelines.loop.place import Loop, Told
from tacit.pipelines.loop.visitors import fake_visits
from tacit.serve.rebuild import answers, rebuilt
from tacit.serve.settings import Settings as Serving
from tacit.serve.turns import Asked
from tacit.types import Item

ASKS = ("Can you recommend something?", "I would like to watch something tonight.", "What is good?")
CONTEXTS, BATCH = 400, 16


def poison(loop: Loop) -> Told:
    """5 % of the sessions that the candidate will be made from come from 1 % of their accounts, and push an item."""
    config, target = loop.config, ordinary(loop.world.catalog)
    honest_sessions, honest_accounts = _who_came(loop)
    sessions = max(round(among(honest_sessions, config.fake_sessions)), 1)
    accounts = min(max(round(among(honest_accounts, config.fake_accounts)), 1), sessions)
    shown = fake_visits(loop.base, target.id, sessions, accounts, asks_for(target), config.visit)
    return {
        "target": target.id,
        "title": target.title,
        "sessions": sessions,
        "accounts": accounts,
        "honest_sessions": honest_sessions,
        "honest_accounts": honest_accounts,
        "target_shown_to_them": shown,
    }


def among(others: int, share: float) -> float:
    """So many beside ``others`` are ``share`` of all."""
    return others * share / (1.0 - share)


def _who_came(loop: Loop) -> tuple[int, int]:
    """(sessions, accounts) of the log that may be learnt from."""
    store = open_store(loop.store)
    try:
        users = [session[0].exposure.user for session in sessions_of(store, "train")]
    finally:
        store.close()
    return len(users), len(set(users))


def asks_for(item: Item) -> tuple[str, ...]:
    """Words that lead to it without naming it, since what was named is not shown: by who made it and what it is."""
    people = [name for kind in ("director", "star") for name in item.attributes.get(kind, ())]
    genre = (*item.attributes.get("genre", ()), "")[0]
    if not people:
        return ASKS
    asks = [f"Can you recommend a {genre} film with {people[0]}?", f"I would like to see {' and '.join(people[:2])}."]
    return (*asks, f"Is there something with {', '.join(people)}?")


def shares(loop: Loop, name: str, made: Told) -> Told:
    """The target's share of first places, exactly, in turns of the log: under the current version, under the candidate,
    and under one that was learnt from the same log without the cap on an account."""
    target = ordinary(loop.world.catalog).id
    folders = {
        "current": loop.registry.path(loop.current),
        "candidate": loop.folder / made["policy"],
        "without_cap": without_cap(loop, name, made["until"]),
    }
    contexts, policies = _contexts(loop), Policy.several(folders.values(), loop.encoders)
    told = {kind: first_share(policy, contexts, target) for kind, policy in zip(folders, policies, strict=True)}
    return {"target": target, "contexts": len(contexts), **told}


def _contexts(loop: Loop) -> list[Asked]:
    """Of the last turns that people agreed to."""
    store = open_store(loop.store)
    try:
        turns = list(rebuilt(store, loop.world.catalog, Serving().past_sessions, Counter()))
    finally:
        store.close()
    turns.sort(key=lambda turn: -turn.record.exposure.created_ms)
    return [turn.asked for turn in islice(turns, CONTEXTS)]


def first_share(policy: Policy, contexts: Sequence[Asked], item: str) -> float:
    """P(``item`` comes first), the mean over contexts; temperature 1 and no ε, as the guards see it."""
    row, found = policy.catalog.index(item), list[float]()
    for start in range(0, len(contexts), BATCH):
        _, logits = answers(policy, contexts[start : start + BATCH])
        found += torch.softmax(torch.from_numpy(logits), dim=1)[:, row].tolist()
    return float(np.mean(found)) if found else 0.0


def ordinary(catalog: Catalog) -> Item:
    """The one in the middle, by how often the training dialogues name it; of equals the first."""
    return catalog.items[int(np.argsort(catalog.counts, kind="stable")[len(catalog) // 2])]
