"""An episode with a simulated user through the real OpenEnv: its server by uvicorn, its client, a WebSocket between."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from tacit.data.dialogues import synthetic
from tacit.dialogue.users.crowd import UsersConfig, UserWorld
from tacit.environments.talk import Talk

pytestmark = pytest.mark.integration
pytest.importorskip("openenv", reason="openenv is not installed: pip install 'tacit-rec[openenv]'")

STARTS_WITHIN_S = 300.0
SEED, TURNS = 5, 3


@pytest.fixture(scope="module")
def world() -> UserWorld:
    catalog, split = synthetic.load_training(0, 0.2)
    return UserWorld.fit(catalog, split.train, UsersConfig(), 0)


@contextmanager
def served(world: UserWorld, tell_felt: bool) -> Iterator[str]:
    """The address of a server of these users."""
    import uvicorn

    from tacit.environments.openenv import serve

    server = uvicorn.Server(uvicorn.Config(serve(world, TURNS, tell_felt=tell_felt), log_level="warning"))
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        thread = Thread(target=server.run, kwargs={"sockets": [door]}, daemon=True)
        thread.start()
        until = time.monotonic() + STARTS_WITHIN_S
        while not server.started:
            assert thread.is_alive() and time.monotonic() < until, "the server did not start"
            time.sleep(0.05)
        try:
            yield f"http://127.0.0.1:{door.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(STARTS_WITHIN_S)


@pytest.mark.parametrize("tell_felt", [False, True])
def test_an_episode_is_the_talk_itself_and_what_is_felt_is_told_on_request_alone(
    world: UserWorld, tell_felt: bool
) -> None:
    from openenv.core.generic_client import GenericEnvClient

    talk = Talk(world, SEED, TURNS)
    with served(world, tell_felt) as url, GenericEnvClient(url, STARTS_WITHIN_S, STARTS_WITHIN_S).sync() as client:
        first = client.reset(seed=SEED)
        assert first.observation["text"] == talk.opening and not first.done
        for turn, item in enumerate(world.catalog.items[:TURNS], start=1):
            if talk.over:
                break
            reply = f"How about {item.title}?"
            answer = talk.say(reply)
            got = client.step({"text": reply})
            assert (got.observation["text"], got.reward, got.done) == (answer.text, answer.reward, answer.over)
            assert client.state()["step_count"] == turn
        assert talk.over and got.observation["ended"] == talk.ended
        told = got.observation["metadata"]
        assert told == ({"felt": talk.felt()} if tell_felt else {})
        with pytest.raises(RuntimeError, match="this conversation is over"):
            client.step({"text": "And now?"})
