"""Simulated users behind OpenEnv's interface (https://github.com/huggingface/OpenEnv, 0.10), for trainers elsewhere.

    from tacit.environments.openenv import app
    uvicorn.run(app("runs/redial-seed0"), port=8000)

A client resets with a seed, reads the user's words, and steps with a reply. verifiers 0.4 has a taskset (``openenv``,
``base_url``) that reads such a server. Rewards are those of ``talk.observed_reward``; what users feel is told only by a
server that was started with ``tell_felt``, at the end, as metadata.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from tacit.dialogue.users.crowd import UserWorld
from tacit.environments.talk import Reward, Talk, observed_reward
from tacit.types import InputError

try:
    from openenv.core.env_server.http_server import create_fastapi_app
    from openenv.core.env_server.interfaces import Environment
    from openenv.core.env_server.types import Action, Observation, State
except ImportError as error:
    raise InputError(f"{error.name} is not installed: pip install 'tacit-rec[openenv]'.") from None

if TYPE_CHECKING:
    from fastapi import FastAPI


class Say(Action):  # type: ignore[misc]
    """The model's reply; titles of the catalogue that it names are what it shows."""

    text: str


class Heard(Observation):  # type: ignore[misc]
    """The user's words, "" when it left in silence; how it ended: accepted, left, cut, or "" while it goes on."""

    text: str
    ended: str = ""


class SimulatedUser(Environment):  # type: ignore[misc]
    """One conversation at a time; any number of these share one world."""

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(
        self, world: UserWorld, max_turns: int = 5, reward: Reward = observed_reward, tell_felt: bool = False
    ) -> None:
        super().__init__()
        self._world, self._max_turns, self._reward, self._tell_felt = world, max_turns, reward, tell_felt
        self._talk: Talk | None = None
        self._state = State(episode_id=None, step_count=0)

    def reset(self, seed: int | None = None, episode_id: str | None = None, **others: Any) -> Heard:
        """A user of this seed, or a random one, who has said its opening line."""
        seed = int(np.random.default_rng().integers(2**31)) if seed is None else seed
        self._talk = Talk(self._world, seed, self._max_turns, self._reward)
        self._state = State(episode_id=episode_id or str(uuid4()), step_count=0)
        return Heard(text=self._talk.opening, done=False, reward=0.0, metadata={"seed": seed})

    def step(self, action: Say, timeout_s: float | None = None, **others: Any) -> Heard:
        """The user's answer to a reply; ``InputError`` before a reset, and once the conversation is over."""
        if self._talk is None:
            raise InputError("no conversation was begun: reset first.")
        answer = self._talk.say(action.text)
        self._state.step_count += 1
        told = {"felt": self._talk.felt()} if answer.over and self._tell_felt else {}
        return Heard(text=answer.text, ended=self._talk.ended, done=answer.over, reward=answer.reward, metadata=told)

    @property
    def state(self) -> State:
        return self._state


def app(
    run: str | Path, max_turns: int = 5, sessions: int = 16, reward: Reward = observed_reward, tell_felt: bool = False
) -> FastAPI:
    """A server of the users of ``run`` (a folder that `tacit sft` or a later stage wrote)."""
    from tacit.recommender import policy_of  # torch, which users themselves do without

    catalog = policy_of(Path(run)).catalog
    world = UserWorld.load(Path(run) / "users", catalog)
    return serve(world, max_turns, sessions, reward, tell_felt)


def serve(
    world: UserWorld,
    max_turns: int = 5,
    sessions: int = 16,
    reward: Reward = observed_reward,
    tell_felt: bool = False,
) -> FastAPI:
    """A server of the users of ``world``, up to ``sessions`` of them at a time."""

    def user() -> SimulatedUser:
        return SimulatedUser(world, max_turns, reward, tell_felt)

    made: FastAPI = create_fastapi_app(user, Say, Heard, max_concurrent_envs=sessions, env_name="tacit")
    return made
