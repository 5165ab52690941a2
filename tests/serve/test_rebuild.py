"""A log of a real server is asked again: the policy that drew it gets its probabilities back, with past and taste."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs
from typer.testing import CliRunner

pytest.importorskip("tiny_server", reason="the server's packages are not installed: pip install 'tacit-rec[serve]'")

from tiny_server import Served, hash_encoders, save_policy, serving

from tacit.catalog import Catalog
from tacit.cli.main import app
from tacit.cli.ope import asked_again, judge
from tacit.dialogue.policy.policy import Policy
from tacit.events.store import Store, open_store
from tacit.labels.build import read_labels
from tacit.offpolicy.rewards import Earned, Rewards
from tacit.offpolicy.served import judged, to_log
from tacit.serve.items import Changes, Shelf
from tacit.serve.rebuild import GREEDY, MASKED, UNDELIVERED, rebuilt, why_not
from tacit.serve.registry import Registry
from tacit.serve.versions import version_of


def talk(server: Served, user: str, session: str, turns: int, event: str = "click") -> None:
    """A conversation of a server's own user, who clicks the first item of each slate."""
    said: list[dict[str, str]] = []
    for k in range(turns):
        said.append({"role": "user", "content": f"a film about the {'river' if k % 2 else 'lake'} please"})
        ask = {"messages": said, "user": user, "session_id": session}
        answer = server.api.post("/v1/chat/completions", json=ask).json()
        shown = answer["recommendations"]
        said.append({"role": "assistant", "content": answer["choices"][0]["message"]["content"]})
        item = shown["items"][0]["id"] if shown["items"] else None
        what = {"kind": event, "item_id": item} if item else {"kind": "reply"}
        sent = {"event_id": f"{session}-{k}", "seq": k, **what, **{n: shown[n] for n in ("exposure_id", "signature")}}
        assert server.api.post("/v1/events", json={"events": [sent]}).json()["verdicts"][0]["status"] == "accepted"


def agree(server: Served, user: str) -> None:
    server.state.writer.consent(server.state.keys.pseudonym(user), "train").result()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Sixteen turns of four people; u0 comes back twice, and the second time has said what they do not like."""
    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        hash_encoders(patch)
        with serving(folder, epsilon=0.2, temperature=0.7) as server:
            for number in range(4):
                agree(server, f"u{number}")
                talk(server, f"u{number}", f"s{number}", 3)
            talk(server, "u0", "again", 2, "not_for_me")
            talk(server, "u0", "once-more", 2)
            no_consent = {"messages": [{"role": "user", "content": "a lake"}], "user": "u9", "session_id": "s9"}
            assert server.api.post("/v1/chat/completions", json=no_consent).status_code == 200
        yield folder


@pytest.fixture
def log(served: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    hash_encoders(monkeypatch)
    store = open_store(served / "serve" / "log.sqlite")
    yield store
    store.close()


def test_who_drew_the_log_draws_it_again(served: Path, log: Store) -> None:
    policy, left_out = Policy.from_pretrained(served / "policy"), Counter[str]()
    turns = list(judge(log, policy, Rewards("click"), 3, left_out, np.random.default_rng(0)))
    assert len(turns) == 16 and not left_out
    for turn in turns:
        exposure = turn.record.exposure
        assert turn.p_recommend == pytest.approx(exposure.p_recommend, rel=1e-4)
        assert turn.places == pytest.approx([item.probability for item in exposure.items], rel=1e-4)
    registry = Registry(served / "serve" / "registry")
    assert asked_again(log, turns, registry, 3).passed is True
    assert asked_again(log, turns, registry, 0).passed is False  # the past was left out
    assert asked_again(log, turns, None, 3).passed is None
    clicked = [any(event.kind == "click" for _, event in turn.record.events) for turn in turns]
    table = to_log(turns)
    assert table.slate_rewards.tolist() == [float(one) for one in clicked]
    assert table.deterministic is False and len(set(table.clusters.tolist())) == 4
    assert table.on_itself().target == pytest.approx(table.target, rel=1e-4, nan_ok=True)


def test_another_policy_is_judged_from_the_command_line(served: Path, log: Store, tmp_path: Path) -> None:
    other = save_policy(tmp_path / "other", seed=1)
    words = ["ope", str(served / "serve" / "log.sqlite"), "--policy", str(other), "--state", str(served / "serve")]
    result = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out"), "--draws", "100"])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("insufficient evidence")  # 16 turns
    found = json.loads((tmp_path / "out" / "ope.json").read_text())
    assert (found["target"], found["reward"], found["rounds"]) == (version_of(other), "click", 16)
    assert found["loggers"] == [version_of(served / "policy")]
    assert found["persons"] == 4 and found["sessions"] == 6
    assert found["checks"]["asked again"]["passed"] is True
    assert {"SNIPS", "snRIPS", "cascade-DR", "DM", "IIPS", "snPI"} <= set(found["estimates"])


def test_what_cannot_be_judged_is_said(served: Path, log: Store, tmp_path: Path) -> None:
    """An export has no words; labels are needed for their rewards, and only there."""
    store = str(served / "serve" / "log.sqlite")
    for words, said in {
        (str(tmp_path), "--policy", str(served / "policy")): "an export holds no words",
        (store, "--policy", str(served / "policy"), "--reward", "turn label"): "needs --labels",
        (store, "--policy", str(served / "policy"), "--labels", str(tmp_path)): "takes no --labels",
        (store, "--policy", str(served / "policy"), "--reward", "money"): "choose among click",
        (store,): "give --policy RUN",
    }.items():
        result = CliRunner().invoke(app, ["ope", *words, "--out", str(tmp_path / "out")])
        assert result.exit_code == 2 and said in result.stderr, result.output


def test_items_that_a_policy_does_not_have_cannot_be_drawn_by_it(served: Path, log: Store) -> None:
    policy = Policy.from_pretrained(served / "policy")
    turn = next(one for one in judge(log, policy, None, 3, Counter(), np.random.default_rng(0)) if len(one.places) > 1)
    shown = [item.item_id for item in turn.record.exposure.items]
    smaller = Catalog(tuple(item for item in policy.catalog.items if item.id != shown[0]))
    logits = np.zeros(len(smaller))
    again = judged(turn.record, Earned(), 0.5, logits, smaller, len(shown), np.random.default_rng(0))
    assert again.places.tolist() == [0.0] * len(shown)
    longer = judged(turn.record, Earned(), 0.5, logits, smaller, len(shown) + 1, np.random.default_rng(0))
    assert longer.places.tolist() == [0.0] * len(shown)  # it never shows so few


def test_a_mask_that_keeps_nothing_away_is_known_by_its_hash(served: Path, log: Store) -> None:
    policy = Policy.from_pretrained(served / "policy")
    everything = Shelf(policy.catalog, Changes()).shown_to(None, None)[1]
    some = Shelf(policy.catalog, Changes(withdrawn=(policy.catalog.items[0].id,))).shown_to(None, None)[1]
    record = next(iter(rebuilt(log, policy.catalog, 3, Counter()))).record
    reasons = [
        why_not(replace(record, exposure=structs.replace(record.exposure, mask_hash=one)), 99)
        for one in (everything, some)
    ]
    assert reasons == ["", MASKED]
    assert why_not(replace(record, exposure=structs.replace(record.exposure, deterministic=True)), 99) == GREEDY
    assert why_not(replace(record, delivery=None), 99) == UNDELIVERED


def test_labels_are_what_a_turn_earned(served: Path, log: Store, tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    made = CliRunner().invoke(
        app, ["labels", str(served / "serve" / "log.sqlite"), "--out", str(labels), "--as-of", "2099-01-01T00:00:00Z"]
    )
    assert made.exit_code == 0, made.output
    rows = read_labels(labels, "turns").collect()
    worth = {
        row["exposure_id"]: row for row in rows.iter_rows(named=True) if row["reward"] is not None and row["weight"]
    }
    policy = Policy.from_pretrained(served / "policy")
    turns = list(judge(log, policy, Rewards("turn label", labels), 3, Counter(), np.random.default_rng(0)))
    assert {turn.record.exposure.exposure_id for turn in turns} == set(worth)
    for turn in turns:
        row = worth[turn.record.exposure.exposure_id]
        assert (turn.earned.slate, turn.earned.weight) == (row["reward"], row["weight"])
    assert not to_log(turns).by_place
    items = read_labels(labels, "items").collect()
    by_item = {(row["exposure_id"], row["item_id"]): row["reward"] for row in items.iter_rows(named=True)}
    places = list(judge(log, policy, Rewards("item label", labels), 3, Counter(), np.random.default_rng(0)))
    assert places and to_log(places).by_place
    for turn in places:
        names = [shown.item_id for shown in turn.record.exposure.items]
        found = [by_item.get((turn.record.exposure.exposure_id, name)) or 0.0 for name in names]
        assert list(turn.earned.places or ()) == found
