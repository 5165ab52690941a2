"""Conversion into the own-logs form."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

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


def chats(folder: Path, *rows: dict[str, object]) -> tuple[list[dict[str, Any]], Counter[str]]:
    """The dialogues that conversion writes, and what it left out."""
    (folder / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    CATALOG.save(folder / "films.jsonl")
    dropped: Counter[str] = Counter()
    convert("openai", folder / "chats.jsonl", folder / "own", folder / "films.jsonl", dropped)
    return [json.loads(line) for line in (folder / "own" / "train.jsonl").read_text().splitlines()], dropped


def test_request_logs_keep_the_longest_line_of_a_conversation(tmp_path: Path) -> None:
    def messages(session: int, answers: int) -> list[dict[str, str]]:
        pairs = [(f"{session}: question {k}?", f"Alien (1979), {k}") for k in range(answers)]
        roles = ("user", "assistant")
        return [{"role": r, "content": text} for pair in pairs for r, text in zip(roles, pair, strict=True)]

    rows = [{"id": f"r{s}-{k}", "messages": messages(s, k)} for k in (1, 3, 2) for s in range(4)]
    kept, dropped = chats(tmp_path, *rows, {"id": "again", "messages": messages(0, 3)})
    assert [row["id"] for row in kept] == [f"r{s}-3" for s in range(4)]
    assert dropped == {"lines that are the beginning of another, or a copy": 4 * 2 + 1}
    owned = [{"id": f"{user}-{k}", "user": user, "messages": messages(0, k)} for user in "xy" for k in (1, 2)]
    assert [row["id"] for row in chats(tmp_path, *owned)[0]] == ["x-2", "y-2"]  # two users may say the same


def test_parts_of_every_interface_are_read_and_the_rest_is_named(tmp_path: Path) -> None:
    parts = [
        {"type": "output_text", "text": "Try"},
        "Alien (1979)",
        {"type": "text", "text": {"value": "or"}},
        {"type": "refusal", "refusal": "nothing"},
        {"type": "image_url", "image_url": {}},
        {"type": "tool_use", "name": "search"},
        {"type": "thinking", "thinking": "Heat (1995)?"},
    ]
    messages = [
        {"role": "system", "content": "Recommend."},
        {"role": "user", "content": [{"type": "input_text", "text": "Anything like Heat (1995)?"}]},
        {"type": "function_call", "name": "search", "arguments": "{}"},
        {"role": "assistant", "content": parts},
    ]
    (row,), dropped = chats(tmp_path, {"messages": messages, "metadata": {"session_id": 7}})
    assert [turn["text"] for turn in row["turns"]] == ["Anything like Heat (1995)?", "Try Alien (1979) or nothing"]
    assert row["user"] == "7"
    assert dropped == {
        "system messages": 1,
        "entries of type function_call": 1,
        "parts of type image_url": 1,
        "parts of type tool_use": 1,
        "thoughts of assistant messages": 1,
    }


def test_thoughts_are_no_slate(tmp_path: Path) -> None:
    answers = [
        "<think>Heat (1995)? No.</think>Alien (1979).",
        "Heat (1995)? No.</think>Alien (1979).",
        "<think>Heat (1995)",
    ]
    messages = [{"role": "user", "content": "hi"}, *({"role": "assistant", "content": text} for text in answers)]
    (row,), dropped = chats(tmp_path, {"messages": messages})
    assert [turn.get("slate") for turn in row["turns"][1:]] == [[{"item": "b", "position": 1}]] * 2
    assert dropped == {"thoughts of assistant messages": 3, "assistant messages without text": 1}


def test_repeated_ids_name_both_lines_and_0_is_an_id(tmp_path: Path) -> None:
    def row(id: object, text: str) -> dict[str, object]:
        return {"id": id, "user": 0, "messages": [{"role": "user", "content": text}]}

    with pytest.raises(InputError, match=r"chats\.jsonl:3: id 's' repeats line 1"):
        chats(tmp_path, row("s", "a"), row("t", "b"), row("s", "c"))
    (kept,), _ = chats(tmp_path, row(0, "a"))
    assert (kept["id"], kept["user"]) == ("0", "0")
    with pytest.raises(InputError, match="key id must be a string or a whole number"):
        chats(tmp_path, row([1], "a"))


def test_redial_as_the_hub_has_it(tmp_path: Path) -> None:
    """Lists of rows, objects of columns, or JSON as text: the same dialogues as from the publisher's form."""
    plain: dict[str, Any] = {
        "conversationId": "1",
        "initiatorWorkerId": 7,
        "respondentWorkerId": 6,
        "movieMentions": {"11": "Heat (1995)"},
        "initiatorQuestions": {"11": {"suggested": 0, "seen": 1, "liked": 2}},
        "respondentQuestions": [],
        "messages": [{"timeOffset": 0, "text": "I liked @11", "senderWorkerId": 7, "messageId": 1}],
    }
    lists = {
        **plain,
        "movieMentions": [{"movieId": "11", "movieName": "Heat (1995)"}],
        "initiatorQuestions": [{"movieId": "11", "suggested": 0, "seen": 1, "liked": 2}],
    }
    columns = {**lists, "messages": {key: [value] for key, value in plain["messages"][0].items()}}
    texts = {key: json.dumps(value) if isinstance(value, dict | list) else value for key, value in lists.items()}
    loaded = []
    for n, form in enumerate((plain, lists, columns, texts)):
        folder = tmp_path / str(n)
        folder.mkdir()
        (folder / "train_data.jsonl").write_text(json.dumps(form) + "\n")
        (folder / "test_data.jsonl").write_text(json.dumps({**form, "conversationId": 2}) + "\n")
        config = DataConfig("redial", str(folder))
        loaded.append((load_training(config)[1], load_test(config)))
    assert loaded[0][0].train[0].judgements and all(one == loaded[0] for one in loaded)
