"""Simulated users who talk to a real server as a page does: sessions, consent, chat, and events of what they did.

The server sees what any page would send it, and nothing else. Their hidden utility stays here, for the report.

Times are in a hurry: what a user does in ``hurry`` seconds is reported as one, since the server refuses times that are
longer than what has passed (by five seconds). Every reported time is shortened alike.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from tacit.dialogue.users import oracle
from tacit.dialogue.users.crowd import Crowd, UserWorld
from tacit.run.limits import above, at_least
from tacit.types import Dialogue, Feedback, Floats64, InputError, ItemId, Slate, Turn

DEVICES = {"mobile": "phone", "desktop": "desktop"}


@dataclass
class VisitConfig:
    max_turns: int = at_least(1, default=4)
    together: int = at_least(1, default=8)  # people who talk at the same time
    hurry: float = above(0.0, default=20.0)
    wait_s: float = above(0.0, default=120.0)  # for an answer


@dataclass(frozen=True)
class Visit:
    """What came of n conversations. ``versions[i]`` are the policies that answered conversation i, in order."""

    hidden: Floats64  # [n], of each conversation
    versions: tuple[tuple[str, ...], ...]
    accepted: int
    left: int
    slates: tuple[tuple[str, ...], ...]
    rejected_events: int = 0

    def of(self, version: str) -> Floats64:
        """Hidden utility of the conversations that this policy answered from their first turn on."""
        return np.array([h for h, v in zip(self.hidden, self.versions, strict=True) if v and set(v) == {version}])


@dataclass
class Tab:
    """A page that somebody has open."""

    http: httpx.Client
    browser: str = ""
    token: str = ""
    sent: int = 0
    versions: list[str] = field(default_factory=list)
    shown: dict[str, Any] = field(default_factory=dict)  # the last answer's ``recommendations``

    def open(self) -> Tab:
        headers = {"X-Tacit-Browser": self.browser} if self.browser else {}
        session = _said(self.http.get("/v1/session", headers=headers))
        self.token, self.browser = session["token"], session["browser"]
        _said(self.http.post("/v1/consent", json={"consent": "train"}, headers=self._headers))
        return self

    def ask(self, dialogue: Dialogue) -> Turn:
        """The recommender's answer to what was said so far."""
        messages = [
            {"role": "user" if turn.speaker == "user" else "assistant", "content": turn.text} for turn in dialogue.turns
        ]
        body = {"model": "tacit", "messages": messages}
        answer = _said(self.http.post("/v1/chat/completions", json=body, headers=self._headers))
        self.shown = answer["recommendations"]
        self.versions.append(self.shown["policy_version"])
        items = tuple(card["id"] for card in self.shown["items"])
        text = answer["choices"][0]["message"]["content"]
        return Turn("agent", text, mentions=items, slate=Slate(items) if items else None)

    def report(self, events: Sequence[Mapping[str, Any]]) -> int:
        """Send what happened to the last answer; how many events were refused."""
        exposure = {"exposure_id": self.shown["exposure_id"], "signature": self.shown["signature"]}
        rows = []
        for event in events:
            self.sent += 1
            rows.append({"event_id": uuid.uuid4().hex, "seq": self.sent, **exposure, **event})
        verdicts = _said(self.http.post("/v1/events", json={"events": rows}, headers=self._headers))["verdicts"]
        return sum(verdict["status"] == "rejected" for verdict in verdicts)

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def client(base: str, config: VisitConfig) -> httpx.Client:
    limits = httpx.Limits(max_connections=config.together)
    return httpx.Client(base_url=base, timeout=config.wait_s, trust_env=False, limits=limits)


def visit(
    base: str, world: UserWorld, n: int, generator: np.random.Generator, prefix: str, config: VisitConfig
) -> Visit:
    """n fresh users, each of whom talks until it accepts, leaves, or has had ``max_turns`` answers.

    ``together`` of them come at a time, talk, and are gone before the next ones come: whoever waits for a crowd to have
    had its turn is a user who does nothing for minutes, and a canary that watches the first seconds of a session would
    see nothing happen.
    """
    crowd = world.start(n, generator, prefix)
    tabs, slates, rejected = list[Tab](), list[tuple[str, ...]](), 0
    with client(base, config) as http, ThreadPoolExecutor(config.together) as pool:
        for first in range(0, n, config.together):
            group = range(first, min(first + config.together, n))
            tabs += pool.map(lambda _: Tab(http).open(), group)
            shown, refused = _talk(crowd, tabs, group, pool, config)
            slates, rejected = slates + shown, rejected + refused
    return _came_of(crowd, tabs, slates, rejected)


def _talk(
    crowd: Crowd, tabs: Sequence[Tab], group: Sequence[int], pool: ThreadPoolExecutor, config: VisitConfig
) -> tuple[list[tuple[str, ...]], int]:
    """The conversations of these users, to their ends: the slates they were shown, and events that were refused."""
    slates, rejected = list[tuple[str, ...]](), 0
    for _ in range(config.max_turns):
        live = [user for user in group if crowd.active[user]]
        if not live:
            break
        answers = pool.map(lambda user: tabs[user].ask(crowd.dialogues[user]), live)
        turns = dict(zip(live, answers, strict=True))
        slates += [turn.slate.items for turn in turns.values() if turn.slate]
        feedback = crowd.step(turns)
        told = [
            events_of(feedback[user], turns[user], bool(crowd.active[user]), config.hurry, _named(crowd, user))
            for user in live
        ]
        rejected += sum(pool.map(lambda pair: tabs[pair[0]].report(pair[1]), zip(live, told, strict=True)))
    return slates, rejected


def _came_of(crowd: Crowd, tabs: Sequence[Tab], slates: Sequence[tuple[str, ...]], rejected: int) -> Visit:
    return Visit(
        oracle.read(crowd).total,
        tuple(tuple(tab.versions) for tab in tabs),
        sum(ended == "accepted" for ended in crowd.ended),
        sum(ended == "left" for ended in crowd.ended),
        tuple(slates),
        rejected,
    )


def _named(crowd: Crowd, user: int) -> Sequence[ItemId]:
    """What the user named in its last words."""
    last = crowd.dialogues[user].turns[-1]
    return last.mentions if last.speaker == "user" else ()


def events_of(
    feedback: Feedback | None, turn: Turn, stays: bool, hurry: float, named: Sequence[ItemId] = ()
) -> list[dict[str, Any]]:
    """What a page would report of one answer. Cards were in view as far down as the user scrolled. Which of them was
    accepted is known where the user ``named`` it."""
    if feedback is None:
        return []
    device = {"device": DEVICES[feedback.device]} if feedback.device else {}
    items = turn.slate.items if turn.slate else ()
    seen_ms = round(1000 * (feedback.dwell_s or 0.0) / hurry)
    depth = feedback.scroll_depth or 0.0
    events: list[dict[str, Any]] = [
        {"kind": "dwell", "visible_ms": seen_ms, "censored": False, "scroll_depth": depth, **device}
    ]
    in_view = round(depth * len(items))
    events += [
        {"kind": "visible", "item_id": item, "visible_ms": seen_ms // in_view, "censored": False, "max_ratio": 1.0}
        for item in items[:in_view]
    ]
    events += [{"kind": "click", "item_id": item} for item in feedback.clicked or ()]
    if feedback.accepted:
        chosen = [item for item in named if item in items]
        events.append({"kind": "accept", **({"item_id": chosen[0]} if chosen else {})})
    if feedback.latency_s is not None:
        events.append({"kind": "reply", "latency_ms": round(1000 * feedback.latency_s / hurry)})
    if not stays:
        events.append({"kind": "session_end"})
    return events


def fake_visits(base: str, target: str, sessions: int, accounts: int, asks: Sequence[str], config: VisitConfig) -> int:
    """Somebody pushes ``target``: few accounts, many sessions. Each asks, by ``asks`` in turn, until the target is
    shown, praises it, and refuses all else. In how many sessions it was shown."""
    with client(base, config) as http, ThreadPoolExecutor(config.together) as pool:

        def account(first: int) -> int:
            """One session after another, as one person's are."""
            shown, browser = 0, ""
            for number in range(first, sessions, accounts):
                tab = Tab(http, browser).open()
                browser = tab.browser
                shown += _push(tab, target, [*asks[number % len(asks) :], *asks[: number % len(asks)]], config)
            return shown

        return sum(pool.map(account, range(accounts)))


def _push(tab: Tab, target: str, asks: Sequence[str], config: VisitConfig) -> bool:
    """One session of an attacker. Was the target shown?"""
    talk = Dialogue("fake", "fake", ())
    for number in range(config.max_turns):
        talk = talk.then(Turn("user", asks[number % len(asks)]))
        turn = tab.ask(talk)
        items = turn.slate.items if turn.slate else ()
        done = target in items
        tab.report(pushing(items, target, stays=not done and number + 1 < config.max_turns))
        if done:
            return True
        talk = talk.then(turn)
    return False


def pushing(items: Sequence[str], target: str, stays: bool = False) -> list[dict[str, Any]]:
    loved = (
        [{"kind": kind, "item_id": target} for kind in ("click", "more_like_this", "accept")] if target in items else []
    )
    hated = [{"kind": "not_for_me", "item_id": item} for item in items if item != target]
    long = {"kind": "dwell", "visible_ms": 4_000 if loved else 0, "censored": False}
    return [long, *loved, *hated, *([] if stays else [{"kind": "session_end"}])]


def _said(response: httpx.Response) -> dict[str, Any]:
    if response.status_code != 200:
        raise InputError(
            f"The server answered {response.status_code} to {response.request.url.path}: {response.text[:200]}"
        )
    found: dict[str, Any] = response.json()
    return found
