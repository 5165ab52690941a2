"""What people said of replies, in TRL's forms: by hand from votes, thumbs, accepts and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from log_records import seen
from tiny_log import Log, exposure
from typer.testing import CliRunner

from tacit.cli.main import app
from tacit.events.dialogues import delete_user
from tacit.events.preferences import dpo, kto, liked

QUESTION = [{"role": "user", "content": "Like Heat?"}]


def reply(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def vote(of: str, against: str, value: int, **more: Any) -> dict[str, Any]:
    return {"kind": "vote", "item_id": None, "value": value, "against": against, "exposure_id": of, **more}


@pytest.mark.parametrize(
    ("events", "like"),
    [
        ([], None),
        ([{"kind": "click"}], None),
        ([{"kind": "accept", "item_id": "a"}], True),
        ([{"kind": "not_for_me", "item_id": "a"}], None),  # b may still be for them
        ([{"kind": "not_for_me", "item_id": "a"}, {"kind": "dismiss", "item_id": "b"}], False),
        ([{"kind": "thumb", "item_id": None, "value": 1}, {"kind": "thumb", "item_id": None, "value": -1}], False),
        ([{"kind": "accept", "item_id": "a"}, {"kind": "thumb", "item_id": None, "value": -1}], False),
    ],
)
def test_when_a_reply_is_liked(events: list[dict[str, Any]], like: bool | None) -> None:
    assert liked(seen(*events)) is like


def test_judged_replies_by_hand() -> None:
    one = seen({"kind": "thumb", "item_id": None, "value": 1}, said="Try a.")
    two = seen({"kind": "click"}, of=exposure("x2", turn=1), asked="More?", said="Try b.")
    three = seen({"kind": "accept"}, of=exposure("x3", turn=2), asked="Else?", said="Try c.")
    assert list(kto([one, two, three])) == [
        {"prompt": QUESTION, "completion": reply("Try a."), "label": True, "user": "u1"},
        {
            "prompt": [
                *QUESTION, *reply("Try a."), {"role": "user", "content": "More?"}, *reply("Try b."),
                {"role": "user", "content": "Else?"},
            ],
            "completion": reply("Try c."),
            "label": True,
            "user": "u1",
        },
    ]  # fmt: skip
    assert list(dpo([one, two, three])) == []


@pytest.mark.parametrize(("value", "chosen"), [(1, "Left."), (-1, "Right."), (0, None)])
def test_a_vote_is_a_pair_and_two_judged_replies(value: int, chosen: str | None) -> None:
    left = seen(vote("x1", "x2", value), said="Left.")
    right = seen(of=exposure("x2"), said="Right.")
    later = seen({"kind": "thumb", "item_id": None, "value": -1}, of=exposure("x3", turn=1), asked="More?", said="No.")
    pairs, judged = list(dpo([left, right, later])), list(kto([left, right, later]))
    assert judged[-1]["prompt"][1:2] == reply(chosen or "Right.")  # the talk goes on from what was voted for
    if chosen is None:
        assert pairs == [] and len(judged) == 1
    else:
        other = {"Left.": "Right.", "Right.": "Left."}[chosen]
        assert pairs == [{"prompt": QUESTION, "chosen": reply(chosen), "rejected": reply(other), "user": "u1"}]
        assert {row["completion"][0]["content"]: row["label"] for row in judged[:2]} == {chosen: True, other: False}


def test_two_answers_to_one_turn_are_a_pair_where_one_was_liked_and_one_was_not() -> None:
    first = seen({"kind": "thumb", "item_id": None, "value": -1}, said="First.")
    again = seen({"kind": "accept"}, of=exposure("x2"), said="Again.")
    assert [(row["chosen"], row["rejected"]) for row in dpo([first, again])] == [(reply("Again."), reply("First."))]
    lost = seen({"kind": "accept"}, of=exposure("x2"), said="Again.", state="undelivered")
    assert list(dpo([first, lost])) == [] and len(list(kto([first, lost]))) == 1


def test_speakers_take_turns_and_a_prompt_ends_with_the_user() -> None:
    opening = seen({"kind": "thumb", "item_id": None, "value": 1}, asked=None, said="Hello!")
    lost = seen(of=exposure("x2", turn=1), asked="A film?", state="undelivered")
    answered = seen({"kind": "accept"}, of=exposure("x3", turn=2), asked="Please?", said="Try c.")
    (row,) = kto([opening, lost, answered])
    assert row["prompt"] == [{"role": "user", "content": "A film?\nPlease?"}]


def test_the_command_writes_what_trl_reads_and_a_person_is_deleted_from_it(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        for number in range(2):
            shown = log.show(exposure(f"x{number}", user=f"u{number}", session_id=f"s{number}"))
            other = log.show(exposure(f"y{number}", user=f"u{number}", session_id=f"s{number}"), said="Or these.")
            ballot = {"value": 1, "against": other.exposure_id}
            assert log.send(log.event(shown, "vote", None, **ballot)) == ["accepted"]
        silent = log.show(exposure("z", user="z", session_id="z"))
        log.writer.consent("z", "store").result()
        log.send(log.event(silent, "thumb", None, value=1))
    files = [tmp_path / "kto.jsonl", tmp_path / "dpo.jsonl"]
    words = ["events", "export", str(tmp_path / "log.sqlite"), "--kto", str(files[0]), "--dpo", str(files[1])]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    judged, pairs = ([json.loads(line) for line in file.read_text().splitlines()] for file in files)
    assert [(row["user"], row["label"]) for row in judged] == [("u0", True), ("u0", False), ("u1", True), ("u1", False)]
    assert [(row["chosen"], row["rejected"]) for row in pairs] == [(reply("Try these."), reply("Or these."))] * 2
    assert [delete_user(file, "u0") for file in files] == [2, 1]
    trl = pytest.importorskip("trl.data_utils", reason="TRL is not installed")
    for row in (judged[0], pairs[0]):
        assert trl.is_conversational(row)


def test_a_log_without_judgements_is_said(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        log.show(exposure())
    done = CliRunner().invoke(
        app, ["events", "export", str(tmp_path / "log.sqlite"), "--dpo", str(tmp_path / "d.jsonl")]
    )
    assert done.exit_code == 2 and "the log has no pairs" in done.stderr and not (tmp_path / "d.jsonl").exists()
