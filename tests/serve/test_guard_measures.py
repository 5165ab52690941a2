"""Guards on a real server's log: a policy beside itself differs in nothing, another one in what it shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tiny_server", reason="the server's packages are not installed: pip install 'tacit-rec[serve]'")

from ppo_fakes import tiny_policy
from tiny_server import Served, hash_encoders, serving

from tacit.serve.guard_measures import _some, measure
from tacit.types import Item


def talk(server: Served) -> None:
    for k in range(5):
        client, _ = server.browser()
        said = [{"role": "user", "content": f"a film about the {'river' if k % 2 else 'lake'} please"}]
        for _ in range(2):
            answer = client.post("/v1/chat/completions", json={"messages": said}).json()
            shown = answer["recommendations"]
            if k == 0 and shown["items"]:
                named = {name: shown[name] for name in ("exposure_id", "signature")}
                event = {"event_id": f"e{len(said)}", "seq": len(said), "kind": "not_for_me", **named}
                event["item_id"] = shown["items"][0]["id"]
                assert client.post("/v1/events", json={"events": [event]}).status_code == 200
            text = answer["choices"][0]["message"]["content"]
            said += [{"role": "assistant", "content": text}, {"role": "user", "content": "another one"}]


def test_a_policy_beside_itself_and_beside_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hash_encoders(monkeypatch)
    with serving(tmp_path, epsilon=0.1, temperature=0.7) as server:
        talk(server)
        policy = server.state.live.served["tacit"].policy
    store, other = server.state.writer.store, tiny_policy(seed=1).eval()
    other.head.scale.data.fill_(4.0)
    same = measure(store, policy, policy, 100, 3)
    assert same.contexts > 4 and same.kl == pytest.approx(0.0, abs=1e-6) and same.candidate == same.current
    assert same.candidate.places == 2 * same.contexts and same.candidate.words > 0.0
    assert same.refused_current is not None and 0.0 < same.refused_current < 1.0
    assert same.refused == pytest.approx(same.refused_current, abs=0.2)  # ε alone is between the log and the policy
    moved = measure(store, other, policy, 100, 3)
    assert moved.kl is not None and moved.kl > 0.01 and moved.candidate.shown != moved.current.shown
    assert measure(store, policy, policy, 3, 3).contexts == 3
    larger = other.extended([Item("new", "The New", "A film about the new.")])
    larger.head.item_bias.data[-1] = 100.0  # it always shows what the current one cannot
    assert measure(store, larger, policy, 100, 3).kl == np.inf


def test_some_of_many_are_each_equally_likely() -> None:
    counts = np.zeros(6)
    for seed in range(600):
        kept = _some(iter(range(6)), 2, np.random.default_rng(seed))  # type: ignore[arg-type]
        assert len(set(kept)) == 2
        counts[kept] += 1  # type: ignore[index]
    assert np.all(np.abs(counts - 200) < 5 * np.sqrt(200 * 2 / 3))
