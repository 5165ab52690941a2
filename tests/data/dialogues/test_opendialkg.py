"""OpenDialKG: turn files (real and small) and the official table (a small one written here)."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from places import DATA

from tacit.data.dialogues import opendialkg_csv
from tacit.data.dialogues.sources import DataConfig, load_test, load_training
from tacit.types import Dialogue, InputError

needs_opendialkg = pytest.mark.skipif(
    not (DATA / "opendialkg" / "test_data_processed.jsonl.gz").is_file(),
    reason=f"OpenDialKG is not at {DATA}/opendialkg (set TACIT_DATA)",
)


def row(dialog: int, context: list[str], resp: str, rec: list[str], entity: list[str]) -> str:
    turn = {
        "dialog_id": dialog,
        "turn_id": len(context),
        "context": context,
        "entity": entity,
        "rec": rec,
        "resp": resp,
    }
    return json.dumps(turn | {"resp": resp}) + "\n"


def write_turns(folder: Path) -> None:
    info = {"0": {"name": "Heat", "year": "1995", "genre": ["Crime"]}, "1": {"name": "Alien"}, "2": {"name": "Alien 3"}}
    (folder / "id2info.json").write_text(json.dumps(info))
    first = row(5, ["I like alien 3."], "Try Alien or Heat", ["Heat", "Alien"], ["Alien 3"])
    later = row(5, ["I like alien 3.", "Try Alien or Heat", "Seen Heat."], "Alien then", ["Alien"], ["Heat", "Alien"])
    other = row(5, ["Something else"], "Heat", ["Heat"], [])
    (folder / "train_data_processed.jsonl").write_text(later + other)
    (folder / "valid_data_processed.jsonl").write_text(first)
    (folder / "test_data_processed.jsonl").write_text(row(5, ["Seen Heat?"], "Yes, and Heat", ["Heat"], ["Heat"]))


def test_siblings_become_one_dialogue(tmp_path: Path) -> None:
    write_turns(tmp_path)
    config = DataConfig("opendialkg", str(tmp_path))
    catalog, parts = load_training(config)
    assert [item.title for item in catalog] == ["Heat", "Alien", "Alien 3"]
    assert catalog["0"].text == "Heat (1995). Crime."
    by_id = {dialogue.id: dialogue for dialogue in (*parts.train, *parts.valid)}
    assert set(by_id) == {"5", "5#1"}
    opening, offer, answer, last = by_id["5"].turns
    assert [turn.speaker for turn in by_id["5"].turns] == ["user", "agent", "user", "agent"]
    assert opening.mentions == ("2",)  # "Alien 3", and not the "Alien" inside it
    assert offer.slate is not None
    assert offer.slate.items == ("1", "0")  # in the order of the text
    assert answer.mentions == ("0",)
    assert last.slate is not None
    assert last.slate.items == ("1",)
    (test,) = load_test(config).dialogues
    assert test.turns[0].mentions == ("0",)


def test_films_and_books_apart(tmp_path: Path) -> None:
    """A row belongs to the books where its dialogue begins like a book dialogue; so do the items that those name."""
    write_turns(tmp_path)
    book = row(8, ["A book like Emma?"], "Read Dune", ["Dune"], ["Emma"])
    info = json.loads((tmp_path / "id2info.json").read_text())
    info |= {"3": {"name": "Dune", "writer": ["Frank Herbert"]}, "4": {"name": "Emma"}}
    (tmp_path / "id2info.json").write_text(json.dumps(info))
    with open(tmp_path / "train_data_processed.jsonl", "a") as file:
        file.write(book)
    config = DataConfig("opendialkg", str(tmp_path), domain="books")
    with pytest.raises(InputError, match=r"dialog_Books\.jsonl"):
        load_training(config)
    turns = [{"text": "A book like Emma?", "item": ["Emma"]}, {"text": "Read Dune", "item": ["Dune"]}]
    (tmp_path / "dialog_Books.jsonl").write_text(json.dumps(turns) + "\n")
    catalog, parts = load_training(config)
    assert [item.title for item in catalog] == ["Dune", "Emma"]
    assert [dialogue.id for dialogue in (*parts.train, *parts.valid)] == ["8"]
    with pytest.raises(InputError, match="holds no dialogues"):
        load_test(config)
    films = DataConfig("opendialkg", str(tmp_path), domain="films")
    assert (config.label, DataConfig("opendialkg").label) == ("opendialkg-books", "opendialkg")
    catalog, parts = load_training(films)
    assert [item.title for item in catalog] == ["Heat", "Alien", "Alien 3"]
    assert {dialogue.id for dialogue in (*parts.train, *parts.valid)} == {"5", "5#1"}
    assert len(load_test(films).dialogues) == 1
    (tmp_path / "dialog_Books.jsonl").write_text(json.dumps(turns) + '\n[{"text": 1}]\n')
    with pytest.raises(InputError, match=r"dialog_Books\.jsonl:2: not a dialogue"):
        load_training(films)


def test_bad_turn_files(tmp_path: Path) -> None:
    config = DataConfig("opendialkg", str(tmp_path))
    with pytest.raises(InputError, match=r"train_data_processed\.jsonl"):
        load_training(config)
    write_turns(tmp_path)
    (tmp_path / "train_data_processed.jsonl").write_text(row(1, ["Hi"], "Brazil", ["Brazil"], []))
    with pytest.raises(InputError, match="'Brazil'"):
        load_training(config)
    (tmp_path / "train_data_processed.jsonl").write_text(row(1, ["Hi"], "Heat", ["Heat"], []) + '{"dialog_id": 1}\n')
    with pytest.raises(InputError, match=r"train_data_processed\.jsonl:2: not an OpenDialKG turn"):
        load_training(config)
    silent, good = row(1, [], "Heat", ["Heat"], []), row(2, ["Hi"], "Heat", ["Heat"], [])
    (tmp_path / "valid_data_processed.jsonl").unlink()
    (tmp_path / "train_data_processed.jsonl").write_text(silent + good)
    assert [dialogue.id for dialogue in load_training(config)[1].train] == ["2"]  # the other is left out


def count(dialogues: tuple[Dialogue, ...], *, new_only: bool) -> int:
    labels = 0
    for dialogue in dialogues:
        for t, turn in enumerate(dialogue.turns):
            before = set(dialogue.before(t).mentioned()) if new_only else set()
            labels += len(set(turn.slate.items) - before) if turn.slate and t else 0
    return labels


@needs_opendialkg
def test_exact_counts() -> None:
    config = DataConfig("opendialkg", str(DATA / "opendialkg"))
    catalog, parts = load_training(config)
    test = load_test(config).dialogues
    assert len(catalog) == 2967  # 2,965 candidates and two items only the valid and test turns recommend
    assert sum(turn.slate is not None for dialogue in test for turn in dialogue.turns) == 1188
    assert count(test, new_only=False) == 1262
    assert count(test, new_only=True) == 834
    both = (*parts.train, *parts.valid)
    assert sum(turn.slate is not None for dialogue in both for turn in dialogue.turns) == 5547 + 1188
    assert not {dialogue.id for dialogue in parts.train} & {dialogue.id for dialogue in parts.valid}
    assert parts.rule == "dialogue" and len({dialogue.user for dialogue in both}) == len(both), "nobody is named"
    assert all(dialogue.turns[t].slate is None for dialogue in both for t in [0])


def walk(sender: str, *triples: list[str]) -> dict[str, Any]:
    metadata = {"path": [0.5, list(triples), "rendered"]}
    return {"type": "action", "sender": sender, "action_id": "kgwalk/choose_path", "metadata": metadata}


def chat(sender: str, message: str) -> dict[str, Any]:
    return {"type": "chat", "sender": sender, "message": message}


def write_table(path: Path, dialogues: list[Any]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["Messages", "User Rating", "Assistant Rating"])
        for messages in dialogues:
            table.writerow([json.dumps(messages), 4, 5])


TALK = [
    chat("user", "Do you like Iron Man?"),
    walk("assistant", ["Iron Man", "starred_actors", "Robert Downey Jr."]),
    chat("assistant", "Sure, Robert Downey Jr. is in it."),
    {"type": "action", "sender": "user", "action_id": "meta_thread/send_meta_message", "metadata": {}},
    chat("user", "What else has he done?"),
    walk(
        "assistant",
        ["Robert Downey Jr.", "~starred_actors", "Zodiac (Crime Fiction Film)"],
    ),
    chat("assistant", "Zodiac is good."),
    chat("assistant", "Enjoy!"),
]


def test_official_table(tmp_path: Path) -> None:
    path = tmp_path / "opendialkg.csv"
    write_table(path, [TALK] * 60)
    triples = "Iron Man\thas_genre\tAction\nAction\t~has_genre\tIron Man\nIron Man\trelease_year\t2008\n"
    (tmp_path / "opendialkg_triples.txt").write_text(triples + "Nobody\thas_genre\tDrama\n")
    catalog, dialogues = opendialkg_csv.read(path)
    assert [item.id for item in catalog] == ["Iron Man", "Zodiac (Crime Fiction Film)"]
    assert catalog["Iron Man"].text == "Iron Man (2008). Action. Starring Robert Downey Jr."
    turns = dialogues[0].turns
    assert [turn.speaker for turn in turns] == ["user", "agent", "user", "agent", "agent"]
    assert turns[1].slate is None  # the path ends at a person
    assert turns[3].slate is not None
    assert turns[3].slate.items == turns[3].mentions == ("Zodiac (Crime Fiction Film)",)
    assert turns[4].slate is None
    config = DataConfig("opendialkg", str(tmp_path))
    _, parts = load_training(config)
    test = load_test(config).dialogues
    assert len(parts.train) + len(parts.valid) + len(test) == 60
    assert parts.valid
    assert 2 <= len(test) <= 20


def test_bad_tables(tmp_path: Path) -> None:
    path = tmp_path / "opendialkg.csv"
    config = DataConfig("opendialkg", str(tmp_path))
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="column Messages"):
        load_training(config)
    path.write_text("Messages,User Rating,Assistant Rating\nnonsense,1,2\n")
    with pytest.raises(InputError, match="row 1 is not a dialogue"):
        load_training(config)
    write_table(path, [[chat("user", "Hello")]])
    with pytest.raises(InputError, match="no films or books"):
        load_training(config)
    path.write_bytes(b"Messages,User Rating\n\xff,1\n")
    with pytest.raises(InputError, match=r"opendialkg\.csv:2: not UTF-8"):
        load_training(config)


def test_bad_rows_of_the_table(tmp_path: Path) -> None:
    """Dialogues without the user's words are left out; faults of form are one sentence."""
    path = tmp_path / "opendialkg.csv"
    write_table(path, [TALK, [], [chat("assistant", "Hello")], TALK])
    path.write_text(path.read_text() + "\nx\n")
    dropped: Counter[str] = Counter()
    assert [dialogue.id for dialogue in opendialkg_csv.read(path, dropped)[1]] == ["1", "4"]
    assert dropped["dialogues without a user turn"] == 4  # rows 2, 3, an empty one and a short one
    action = {"type": "action", "sender": "assistant", "action_id": "kgwalk/choose_path"}
    for metadata in (["x"], {"path": 5}, {"path": [0.1, [5], "x"]}, {"path": [0.1, ["abc"], "x"]}):
        write_table(path, [TALK, [*TALK, {**action, "metadata": metadata}]])
        with pytest.raises(InputError, match=r"row 2 has .* fetch the file again"):
            opendialkg_csv.read(path)
