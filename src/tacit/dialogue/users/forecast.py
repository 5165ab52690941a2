"""What a simulated user would do in a real conversation: its own rules, given the real words and the real films.

For each moment some users are drawn around the seeker as it is known by then (``Taste.of_items`` of the films it has
mentioned; a seeker drawn at random while it has mentioned none) and live through the agent's messages so far, with
``UserState.react`` and ``wording.utterances_for`` as in any simulated conversation. Those who are still there at the
moment in question vote. Nothing of the real answer, of what comes later, or of the form is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tacit.dialogue.users import wording
from tacit.dialogue.users.acts import ACTS, Decision
from tacit.dialogue.users.behaviour import latency
from tacit.dialogue.users.crowd import UserWorld
from tacit.dialogue.users.hearing import Heard, hear
from tacit.dialogue.users.people import People, people_around
from tacit.dialogue.users.taste import likes
from tacit.dialogue.users.user_state import Reaction, UserState
from tacit.types import Bools, Dialogue, Floats64, Ints64, ItemId

USERS = 64  # drawn for each moment
FEWEST = 4  # of them still there, or all vote
VOICED = {"praise": "accept", "critique": "reject", "dislike": "reject", "seen": "seen", "ask": "ask"}
PRIOR = 0.5  # of a vote, for every act beforehand: none is impossible

Known = Callable[[Decision], dict[ItemId, float]]


@dataclass(frozen=True)
class Forecast:
    """acts [n, 6]: probabilities in the order of ``ACTS``; latency_s [n]: medians; there [n]: share of the users who
    would still be talking."""

    acts: Floats64
    latency_s: Floats64
    there: Floats64


def forecast(world: UserWorld, moments: Sequence[Decision], seed: int, known: Known | None = None) -> Forecast:
    """Depends on ``seed`` and on each moment's context and agent message alone, unless ``known`` says otherwise: what
    is held to be known of the seeker's taste (item → weight); by default what it has mentioned."""
    acts, seconds, there = np.empty((len(moments), len(ACTS))), np.empty(len(moments)), np.empty(len(moments))
    heard: dict[tuple[str, int], Heard] = {}
    for i, moment in enumerate(moments):
        taste = known(moment) if known else likes(moment.context, world.config.taste.mention)
        acts[i], seconds[i], there[i] = _Moment(world, moment, taste, seed, heard).votes()
    return Forecast(acts, seconds, there)


class _Moment:
    """Users around one seeker, and one moment."""

    def __init__(
        self,
        world: UserWorld,
        moment: Decision,
        taste: dict[ItemId, float],
        seed: int,
        heard: dict[tuple[str, int], Heard],
    ) -> None:
        luck = int(hashlib.sha256(f"{moment.dialogue.id} {moment.place}".encode()).hexdigest()[:12], 16)
        self._world, self._moment, self._all_heard = world, moment, heard
        self._generator = np.random.default_rng([seed, luck])
        self._people = self._around(taste)

    def votes(self) -> tuple[Floats64, float, float]:
        """Act probabilities [6], median latency in seconds, and the share still there."""
        world, config, people = self._world, self._world.config, self._people
        state = UserState(people, world.taste, config.people, config.behaviour, world.tuning, self._generator)
        turns = (*self._moment.context.turns, self._moment.agent)
        there: Bools = np.ones(USERS, dtype=bool)
        for t in [t for t in range(len(turns)) if turns[t].speaker == "agent"]:
            before, heard = there, self._heard(t)
            costs = heard.cost(config.hearing).repeat(USERS), heard.willing(config.hearing).repeat(USERS)
            reaction = state.react(*self._cards(t), np.ones(USERS, dtype=bool), *costs)
            there = before & (reaction.accepted < 0) & ~reaction.left
        voters = np.flatnonzero(before) if before.sum() >= FEWEST else np.arange(USERS)
        votes = np.full(len(ACTS), PRIOR)
        for user in voters.tolist():
            votes[ACTS.index(self._act(user, state, reaction, bool(heard.no_language[0])))] += 1.0
        tuning = world.tuning
        seconds = latency(reaction.value[voters], np.zeros(len(voters)), tuning.latency_log_mean, 0.0, config.behaviour)
        return votes / votes.sum(), float(np.exp(np.log(seconds).mean())), float(before.mean())

    def _around(self, taste: dict[ItemId, float]) -> People:
        world = self._world
        seekers = world.taste.seekers
        first, second = self._generator.integers(len(seekers), size=(2, USERS))
        liked: list[Ints64] = [world.taste.liked_by(int(seeker)) for seeker in first]
        vectors = seekers[first]
        if taste:
            rows = np.array([world.catalog.index(item) for item in taste], dtype=np.int64)
            own = world.taste.of_items(rows, np.array(list(taste.values())), world.config.taste)
            vectors, liked = np.repeat(own[None], USERS, axis=0), [rows] * USERS
        return people_around(world.taste, world.config.people, vectors, seekers[second], liked, self._generator)

    def _turns(self) -> Dialogue:
        return self._moment.context.then(self._moment.agent)

    def _heard(self, t: int) -> Heard:
        """What is heard in the agent's ``t``-th turn [1]; nothing where users do not hear."""
        if not self._world.config.hearing.judged:
            return Heard.nothing(1)
        key = self._moment.dialogue.id, t
        if key not in self._all_heard:
            whole = self._turns()
            parts = [whole.turns[t]], [whole.before(t)], self._world.catalog, self._world.sense
            self._all_heard[key] = hear(*parts)
        return self._all_heard[key]

    def _cards(self, t: int) -> tuple[Ints64, Bools, Floats64]:
        """rows, mask [n, K] and words [n] of the agent's ``t``-th turn, the same for all users."""
        turn = self._turns().turns[t]
        items = turn.slate.items if turn.slate else ()
        rows = np.array([[self._world.catalog.index(item) for item in items] or [0]], dtype=np.int64)
        mask = np.full(rows.shape, bool(items))
        words = np.full(USERS, float(len(turn.text.split())))
        return rows.repeat(USERS, axis=0), mask.repeat(USERS, axis=0), words

    def _shown_before(self) -> int | None:
        slates = (turn.slate.items for turn in reversed(self._moment.context.turns) if turn.slate)
        return next((self._world.catalog.index(items[0]) for items in slates if items), None)

    def _act(self, user: int, state: UserState, reaction: Reaction, puzzled: bool) -> str:
        if reaction.accepted[user] >= 0:
            return "accept"
        if reaction.left[user]:
            return "end"
        if puzzled:
            return "other"
        speaker = self._world.speaker
        looked = np.flatnonzero(reaction.examined[user])
        items = self._moment.agent.slate.items if self._moment.agent.slate else ()
        said = wording.utterances_for(
            speaker.speaker_state(self._people, user),
            speaker.attributes,
            [self._world.catalog.index(items[k]) for k in looked],
            reaction.utility[user, looked].tolist(),
            reaction.repeated[user, looked].tolist(),
            float(state.mood[user]),
            "?" in self._moment.agent.text,
            self._generator,
            self._world.tuning.voices,
            self._shown_before(),
        )
        if not items and self._shown_before() is None:  # of nothing that the agent named, as ``decisions`` reads people
            return "other"
        voiced = {VOICED[utterance.intent] for utterance in said if utterance.intent in VOICED}
        return next((act for act in ACTS if act in voiced), "other")
