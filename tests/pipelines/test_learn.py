"""Rounds of learning from a log that the real server wrote: what is learnt, what is kept, what goes on after a kill."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from ppo_fakes import GOOD, HashEncoder
from tiny_server import Served, serving
from typer.testing import CliRunner

from tacit.cli.main import app
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.reward.verdict import LOGGED
from tacit.dialogue.train.head_on_log import HeadOnLog
from tacit.events.store import open_store, records
from tacit.offpolicy import evaluate, read_table
from tacit.pipelines.learn import round as stages
from tacit.pipelines.learn import rounds
from tacit.pipelines.learn.config import LearnConfig
from tacit.pipelines.learn.exposures import Known, is_held_out, logged_exposures
from tacit.pipelines.learn.round import run_round
from tacit.run.config import load
from tacit.run.folder import Run
from tacit.serve.versions import version_of
from tacit.text.encoder import TextEncoder
from tacit.types import InputError

HOUR_MS = 3_600_000
PEOPLE = 30
SMALL = [
    "step.least_ess=5", "step.epochs=8", "step.batch=16", "step.lr=0.05", "step.kl_limit=0.4", "reward.epochs=1",
    "reward.exam.contexts=8",
]  # fmt: skip


class Reader(HashEncoder):
    def read(self, texts: Any, *_: Any) -> Any:
        return self.encode(texts), 0


@pytest.fixture(scope="module", autouse=True)
def _hash_encoders() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TextEncoder, "load", lambda *_: Reader())
        yield


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The folder of a server with a log of people who click on every second film, and a time when all is mature."""
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, epsilon=0.1) as server:
        for person in range(PEOPLE):
            converse(server, person)
        now_ms = server.state.writer.now_ms()
    return folder, now_ms + HOUR_MS


def converse(server: Served, person: int) -> None:
    """Two turns, of which every slate is looked at; good films are clicked on."""
    browser, _ = server.browser()
    messages: list[dict[str, str]] = []
    for turn in range(2):
        messages.append({"role": "user", "content": f"a film please, {person} {turn}"})
        answer = browser.post("/v1/chat/completions", json={"model": "tacit", "messages": messages}).json()
        messages.append({"role": "assistant", "content": answer["choices"][0]["message"]["content"]})
        shown = answer["recommendations"]
        named = {name: shown[name] for name in ("exposure_id", "signature")}
        events = []
        for item in (item["id"] for item in shown["items"]):
            seen = {"kind": "visible", "item_id": item, "visible_ms": 1000, "censored": False}
            events += [seen] + ([{"kind": "click", "item_id": item}] if item in GOOD else [])
        events.append({"kind": "dwell", "visible_ms": 1500, "censored": False} if turn else {"kind": "reply"})
        batch = [
            {**named, "event_id": f"e-{person}-{turn}-{k}", "seq": 20 * turn + k, **event}
            for k, event in enumerate(events)
        ]
        verdicts = browser.post("/v1/events", json={"events": batch}).json()["verdicts"]
        assert {verdict["status"] for verdict in verdicts} == {"accepted"}


def settings(served: tuple[Path, int], *more: str) -> LearnConfig:
    folder, as_of = served
    given = [f"store={folder / 'serve' / 'log.sqlite'}", f"as_of={as_of}", f"policy={folder / 'policy'}"]
    return load(LearnConfig, None, [*given, *SMALL, *more])


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.safetensors")}


def good_share(policy: Policy, config: LearnConfig, round_folder: Path) -> float:
    """Of first places that good films have, in the log's own contexts."""
    store = open_store(config.store)
    try:
        known = Known.of(round_folder / "labels" / "table", config.as_of)
        contexts = [context for _, context in logged_exposures(store, known, policy.catalog, 3, Counter())]
    finally:
        store.close()
    p = torch.softmax(HeadOnLog(policy, contexts).first_logits(torch.arange(len(contexts))), dim=1)
    return float(p[:, [policy.catalog.index(item) for item in sorted(GOOD)]].sum(1).mean())


@pytest.fixture(scope="module")
def whole(served: tuple[Path, int], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A round by the command."""
    (folder, as_of), runs = served, tmp_path_factory.mktemp("whole")
    log = str(folder / "serve" / "log.sqlite")
    given = ["learn", log, "--run", str(runs), f"policy={folder / 'policy'}", f"as_of={as_of}", *SMALL]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{runs / 'learn' / 'round-0001'}\n"
    return runs / "learn" / "round-0001"


def test_a_round_raises_what_people_click_on_and_leaves_their_words_alone(
    served: tuple[Path, int], whole: Path
) -> None:
    told = json.loads((whole / "round.json").read_text())
    assert told["step"]["logger_gap"] < 1e-4  # the contexts are those that the server drew these slates in
    assert told["step"]["unlike"] < 0.1  # an untrained policy says odd things, of which some are redacted
    assert told["step"]["own_exposures"] == 1.0
    assert 0.0 < told["step"]["kl"] <= 0.4
    assert told["labels"]["turns"] == 2 * PEOPLE
    assert told["dialogues"]["train"] + told["dialogues"]["valid"] == PEOPLE
    before, after = (Policy.from_pretrained(path) for path in (served[0] / "policy", whole / "step" / "policy"))
    config = settings(served)
    assert good_share(after, config, whole) > good_share(before, config, whole) + 0.02
    for name, weight in before.state_dict().items():
        if name.split(".")[0] not in ("head", "wish"):
            assert torch.equal(weight, after.state_dict()[name]), name
    exam = json.loads((whole / "reward" / "validation.json").read_text())
    assert exam["held_out"] == LOGGED


def test_one_number_an_item_raises_it_too_and_moves_nothing_else(
    tmp_path: Path, served: tuple[Path, int], whole: Path
) -> None:
    folder = tmp_path / "round"
    shutil.copytree(whole, folder)
    shutil.rmtree(folder / "step")
    config = settings(served, "method=items", f"out={folder}")
    run_round(config)
    told = json.loads((folder / "step" / "done.json").read_text())
    assert 0.0 < told["kl"] <= 0.4 and told["held_out"] > 0
    before, after = (Policy.from_pretrained(path) for path in (served[0] / "policy", folder / "step" / "policy"))
    assert good_share(after, config, folder) > good_share(before, config, folder) + 0.02
    moved = [name for name, w in before.state_dict().items() if not torch.equal(w, after.state_dict()[name])]
    assert moved == ["head.item_bias"]


def test_a_killed_round_goes_on_to_the_same_weights(
    tmp_path: Path, served: tuple[Path, int], whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stage in ("labels", "dialogues", "reward", "step"):
        with monkeypatch.context() as patch:

            def killed(*_: Any) -> None:
                raise KeyboardInterrupt

            patch.setitem(stages.STAGES.functions, stage, killed)  # type: ignore[arg-type]
            with pytest.raises(KeyboardInterrupt):
                rounds.once(settings(served), tmp_path)
    cut = rounds.once(settings(served, "as_of=0"), tmp_path)  # a round keeps the time it began with
    assert rounds.rounds(tmp_path) == [cut.folder]
    assert digests(cut.folder / "step" / "policy") == digests(whole / "step" / "policy") != {}


def test_users_fitted_to_the_log_teach_by_ppo(tmp_path: Path, served: tuple[Path, int], whole: Path) -> None:
    """The same labels, dialogues and reward, and another step. An examination that was failed stops it."""
    shutil.copytree(whole, tmp_path / "round", ignore=shutil.ignore_patterns("step", "round.json"))
    few = ["ppo.iterations=1", "ppo.trajectories=4", "ppo.max_turns=2", "ppo.value_warmup=0", "dtype=float32"]
    given = ["method=ppo", f"out={tmp_path / 'round'}", *few]
    with pytest.raises(InputError, match="validat"):
        stages.run_round(settings(served, *given))
    run = stages.run_round(settings(served, *given, "reward.force=true"))
    assert digests(run.folder / "step" / "policy") != digests(served[0] / "policy")


@pytest.fixture
def rounds_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds that only begin and end, and are refused where least_ess says so."""

    def run_round(config: LearnConfig) -> Run:
        run = stages.STAGES.open(config)
        if config.step.least_ess > 100:
            raise InputError("step.least_ess: too little to learn from")
        return run

    def summary(run: Run) -> dict[str, Any]:
        (run.folder / "round.json").write_text("{}")
        return {"step": {}}

    monkeypatch.setattr(rounds, "run_round", run_round)
    monkeypatch.setattr(rounds, "summary", summary)


@pytest.mark.usefixtures("rounds_at_once")
def test_watching_waits_for_what_is_new_and_mature(tmp_path: Path, served: tuple[Path, int]) -> None:
    config, slept = settings(served, "as_of=0", "dtype=float32"), list[float]()
    assert rounds.new_exposures(config, tmp_path, served[1] - HOUR_MS) == 0
    assert rounds.new_exposures(config, tmp_path, served[1]) == 2 * PEOPLE
    rounds.watch(config, tmp_path, 9.0, PEOPLE, most=1, sleep=slept.append, now_ms=lambda: served[1])
    assert [path.name for path in rounds.rounds(tmp_path)] == ["round-0001"] and slept == []
    assert rounds.new_exposures(config, tmp_path, served[1]) == 0

    def stop(seconds: float) -> None:
        slept.append(seconds)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rounds.watch(config, tmp_path, 9.0, PEOPLE, sleep=stop, now_ms=lambda: served[1])
    assert [path.name for path in rounds.rounds(tmp_path)] == ["round-0001"] and slept == [9.0]


@pytest.mark.usefixtures("rounds_at_once")
def test_a_round_that_cannot_be_is_told_and_left_behind(
    tmp_path: Path, served: tuple[Path, int], caplog: pytest.LogCaptureFixture
) -> None:
    config = settings(served, "as_of=0", "dtype=float32", "step.least_ess=1000")
    rounds.watch(config, tmp_path, 1.0, PEOPLE, most=1, sleep=lambda s: None, now_ms=lambda: served[1])
    assert "least_ess" in caplog.text
    with pytest.raises(InputError, match="least_ess"):
        rounds.once(config, tmp_path, served[1])
    assert [path.name for path in rounds.rounds(tmp_path)] == ["round-0001", "round-0002"]


def test_it_starts_from_what_is_served(tmp_path: Path, served: tuple[Path, int]) -> None:
    folder = served[0]
    assert version_of(rounds.served_policy(folder)) == version_of(folder / "policy")
    with pytest.raises(InputError, match="policy=FOLDER"):
        rounds.served_policy(tmp_path)


def test_bad_input_is_told(tmp_path: Path, served: tuple[Path, int]) -> None:
    log = str(served[0] / "serve" / "log.sqlite")
    assert CliRunner().invoke(app, ["learn", log]).exit_code == 2
    assert CliRunner().invoke(app, ["learn", log, "--run", str(tmp_path), "method=magic"]).exit_code == 2
    assert CliRunner().invoke(app, ["learn", log, "--run", str(tmp_path)]).exit_code == 2  # no policy there


def test_so_many_people_are_held_out_and_more_with_a_larger_share() -> None:
    people = [f"person {k}" for k in range(2000)]
    tenth, half = ({person for person in people if is_held_out(person, share)} for share in (0.1, 0.5))
    assert 160 < len(tenth) < 240 and 900 < len(half) < 1100 and tenth < half


def test_the_candidate_is_judged_on_people_who_taught_nothing(served: tuple[Path, int], whole: Path) -> None:
    told = json.loads((whole / "round.json").read_text())
    rows = pl.read_parquet(whole / "step" / "held_out.parquet")
    config = settings(served)
    store = open_store(config.store)
    with store.reading() as connection:
        users = {r.exposure.exposure_id: r.exposure.user for r in records(connection)}
    store.close()
    apart = {users[name] for name in rows["round"]}
    assert all(is_held_out(user, 0.2) for user in apart) and len(apart) == rows["user"].n_unique()
    assert not any(user.encode() in (whole / "step" / "held_out.parquet").read_bytes() for user in users.values())
    assert rows["round"].n_unique() == told["step"]["held_out"]
    assert told["step"]["exposures"] + told["step"]["held_out"] > 20
    assert set(rows["target_version"]) == {version_of(whole / "step" / "policy")}  # the gate asks for it
    found = evaluate(read_table(whole / "step" / "held_out.parquet"))
    assert found.verdict == "insufficient evidence"  # of some ten slates
