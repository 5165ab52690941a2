"""An episode with a simulated user through the real OpenEnv: its server, its WebSocket, its client's messages."""

from __future__ import annotations

import pytest

from tacit.data.dialogues import synthetic
from tacit.dialogue.users.crowd import UsersConfig, UserWorld
from tacit.environments.talk import Talk

pytestmark = pytest.mark.integration
pytest.importorskip("openenv", reason="openenv is not installed: pip install 'tacit-rec[openenv]'")


@pytest.fixture(scope="module")
def world() -> UserWorld:
    catalog, split = synthetic.load_training(0, 0.2)
    return UserWorld.fit(catalog, split.train, UsersConfig(), 0)


@pytest.mark.parametrize("tell_felt", [False, True])
def test_an_episode_is_the_talk_itself_and_what_is_felt_is_told_on_request_alone(
    world: UserWorld, tell_felt: bool
) -> None:
    from fastapi.testclient import TestClient

    from tacit.environments.openenv import serve

    replies = [f"How about {item.title}?" for item in world.catalog.items[:3]]
    talk = Talk(world, seed=5, max_turns=3)
    with TestClient(serve(world, max_turns=3, tell_felt=tell_felt)) as client:
        assert "text" in client.get("/schema").json()["action"]["properties"]
        with client.websocket_connect("/ws") as session:
            session.send_json({"type": "reset", "data": {"seed": 5}})
            first = session.receive_json()["data"]
            assert first["observation"]["text"] == talk.opening and not first["done"]
            for reply in replies:
                if talk.over:
                    break
                answer = talk.say(reply)
                session.send_json({"type": "step", "data": {"text": reply}})
                got = session.receive_json()["data"]
                assert got["observation"]["text"] == answer.text
                assert got["reward"] == answer.reward and got["done"] == answer.over
            assert talk.over and got["observation"]["ended"] == talk.ended
            told = str(got)
            assert ("felt" in told) == tell_felt
