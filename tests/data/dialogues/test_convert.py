"""Conversion into the own-logs form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tacit.catalog import Catalog
from tacit.data.dialogues.check import Problem, check
from tacit.data.dialogues.convert import convert
from tacit.data.dialogues.sources import DataConfig, load_test, load_training
from tacit.types import InputError, Item

CATALOG = Catalog([Item("a", "Heat (1995)", "Heat"), Item("b", "Alien (1979)", "Alien")])


def test_redial_round_trip(tmp_path: Path) -> None:
    def row(id: int) -> str:
        messages = [
            {"timeOffset": 0, "text": "I liked @11", "senderWorkerId": 7},
            {"timeOffset": 9, "text": "Try @22", "senderWorkerId": 6},
        ]
        titles = {"11": "Heat (1995)", "22": "Alien (1979)"}
        forms = {"initiatorQuestions": {"22": {"suggested": 1, "seen": 0, "liked": 1}}, "respondentQuestions": []}
        ids = {"conversationId": str(id), "initiatorWorkerId": 7, "respondentWorkerId": 6}
        return json.dumps({**ids, "movieMentions": titles, "messages": messages, **forms}) + "\n"

    source = tmp_path / "redial"
    source.mkdir()
    (source / "train_data.jsonl").write_text("".join(map(row, range(30))))
    (source / "test_data.jsonl").write_text("".join(map(row, range(30, 33))))
    out = tmp_path / "own"
    assert convert("redial", source, out) == {"items": 2, "train": 30, "test": 3}
    found: list[Problem] = []
    for part in ("train", "test"):
        check(out / f"{part}.jsonl", Catalog.load(out / "items.jsonl"), found.append)
    assert found == []
    ours, theirs = DataConfig("logs", str(out)), DataConfig("redial", str(source))
    before, after = load_training(theirs), load_training(ours)
    assert {d.id: d for d in before[1].train} == {d.id: d for d in after[1].train}
    assert {d.id: d for d in before[1].valid} == {d.id: d for d in after[1].valid}
    assert before[0].counts.tolist() == after[0].counts.tolist()
    assert load_test(theirs) == load_test(ours)


def test_openai_messages(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "Try Alien (1979)"}, {"type": "image_url", "image_url": {}}]
    messages = [
        {"role": "system", "content": "You recommend Heat (1995)."},
        {"role": "user", "content": "I liked Heat (1995)"},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "content": "42"},
        {"role": "assistant", "content": parts},
    ]
    chats = tmp_path / "chats.jsonl"
    chats.write_text(json.dumps({"messages": messages}) + "\n" + json.dumps({"id": "x", "messages": messages}) + "\n")
    CATALOG.save(tmp_path / "films.jsonl")
    out = tmp_path / "own"
    assert convert("openai", chats, out, tmp_path / "films.jsonl") == {"items": 2, "train": 2}
    rows = [json.loads(line) for line in (out / "train.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == ["chats-1", "x"]
    user, agent = rows[0]["turns"]
    assert user == {"speaker": "user", "text": "I liked Heat (1995)", "mentions": ["a"]}
    assert agent["slate"] == [{"item": "b", "position": 1}]
    assert Catalog.load(out / "items.jsonl").items == CATALOG.items


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"messages": [{"role": "user", "content": "hi"}]}\n{"messages": 3}', r"chats\.jsonl:2: key messages"),
        ('{"messages": [{"role": "robot", "content": "hi"}]}', r":1: role 'robot' is unknown"),
        ('{"messages": [{"role": "user", "content": 5}]}', r":1: key content"),
        ('{"messages": [{"role": "assistant", "content": "hi"}]}', r":1: the dialogue has no user turn"),
    ],
)
def test_bad_openai_lines(tmp_path: Path, line: str, reason: str) -> None:
    chats = tmp_path / "chats.jsonl"
    chats.write_text(line + "\n")
    CATALOG.save(tmp_path / "films.jsonl")
    with pytest.raises(InputError, match=reason):
        convert("openai", chats, tmp_path / "own", tmp_path / "films.jsonl")
    assert not (tmp_path / "own" / "train.jsonl").exists()


def test_unknown_source_and_missing_items(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="choose one of redial"):
        convert("reddit", tmp_path, tmp_path)
    with pytest.raises(InputError, match="--items"):
        convert("openai", tmp_path, tmp_path)
