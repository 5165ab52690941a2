"""Which side a dialogue of your own is on, and what the sides have in common."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tacit.catalog import Catalog
from tacit.data.dialogues import logs
from tacit.data.dialogues.check import check
from tacit.data.dialogues.fingerprints import Fingerprints
from tacit.data.dialogues.overlap import Overlap, overlap
from tacit.data.dialogues.sources import DataConfig, load_test, load_training
from tacit.types import Dialogue, InputError, Item, Slate, Turn

CATALOG = Catalog([Item("a", "Heat (1995)", "Heat"), Item("b", "Alien (1979)", "Alien")])


def talk(id: str, user: str, turns: int = 1, start_s: float | None = None) -> Dialogue:
    """``turns`` questions with an answer that shows an item; the words are those of the user."""
    told = [
        turn
        for k in range(turns)
        for turn in (
            Turn("user", f"{user} asks {k}", time_s=start_s),
            Turn("agent", f"Alien to {user}", ("b",), Slate(("b",)), time_s=start_s),
        )
    ]
    return Dialogue(id, user, tuple(told))


def put(folder: Path, **parts: list[Dialogue]) -> DataConfig:
    CATALOG.save(folder / "items.jsonl")
    for name, dialogues in parts.items():
        logs.write(folder / f"{name}.jsonl", dialogues)
    return DataConfig(path=str(folder))


def sides_of(config: DataConfig) -> tuple[str, list[set[str]]]:
    """The rule, and the dialogues of training, validation and test."""
    split = load_training(config)[1]
    parts = (split.train, split.valid, load_test(config).dialogues)
    return split.rule, [{dialogue.id for dialogue in part} for part in parts]


def test_a_path_alone_means_logs(tmp_path: Path) -> None:
    assert DataConfig().name == "synthetic" and DataConfig(path="x.jsonl").name == "logs"
    with pytest.raises(InputError, match=r"set data\.name=logs"):
        load_training(DataConfig("synthetic", str(tmp_path)))


def test_by_user_where_users_recur(tmp_path: Path) -> None:
    config = put(tmp_path, train=[talk(f"d{n}-{k}", f"u{n}") for n in range(30) for k in range(3)])
    rule, parts = sides_of(config)
    assert rule == "user" and sum(map(len, parts)) == 90
    users = [{id.split("-")[0] for id in part} for part in parts]
    assert all(users) and not users[0] & users[1] and not users[0] & users[2] and not users[1] & users[2]


def test_by_dialogue_where_they_do_not(tmp_path: Path) -> None:
    config = put(tmp_path, train=[talk(f"d{n}", f"u{n}") for n in range(40)])
    rule, parts = sides_of(config)
    assert rule == "dialogue" and sum(map(len, parts)) == 40 and all(parts)
    alone = put(tmp_path, train=[talk(f"d{n}", "anonymous", n) for n in range(1, 41)])
    assert load_training(DataConfig(path=alone.path, overlap=1.0))[1].rule == "dialogue"


def test_by_time(tmp_path: Path) -> None:
    day = 86_400.0
    talks = [talk(f"d{n}", f"u{n}", start_s=1.7e9 + day * n) for n in range(20)]
    config = put(tmp_path, train=talks[::-1])
    config.split = "time"
    assert sides_of(config) == ("time", [{f"d{n}" for n in range(16)}, {"d16", "d17"}, {"d18", "d19"}])
    put(tmp_path, train=[*talks, talk("d20", "u20", start_s=3.0)])
    with pytest.raises(InputError, match="1 of 21 dialogues have no date"):
        load_training(config)
    with pytest.raises(InputError, match=r"data\.split is 'week': choose one of auto"):
        load_training(DataConfig(path=config.path, split="week"))


def test_files_are_taken_as_they_are(tmp_path: Path) -> None:
    config = put(tmp_path, train=[talk("a", "1"), talk("b", "2")], valid=[talk("c", "3")], test=[talk("d", "4")])
    assert sides_of(config) == ("files", [{"a", "b"}, {"c"}, {"d"}])


def test_overlap_by_hand() -> None:
    training = [talk("a", "1", 2), talk("b", "2")]
    test = [talk("a", "9"), talk("x", "1", 3), talk("y", "8")]
    # of the test's five answers the first two of "x" stand in "a"; "a" is in both by id, user 1 on both sides
    assert overlap(training, test) == Overlap(3, 1, 5, 2, 3, 1)
    with Fingerprints() as prints:
        for file, part in enumerate((training, test)):
            for line, dialogue in enumerate(part):
                prints.add(file, line, dialogue)
        assert prints.overlap((0,), 1) == Overlap(3, 1, 5, 2, 3, 1)
        assert prints.users() == 4


def test_a_test_made_of_training_is_refused(tmp_path: Path) -> None:
    talks = [talk(f"d{n}", f"u{n}") for n in range(40)]
    config = put(tmp_path, train=talks, test=talks[:5])
    with pytest.raises(InputError, match=r"5 of 5 \(100%\) test dialogues are in training by id"):
        load_training(config)
    renamed = [Dialogue(f"new-{talk.id}", talk.user, talk.turns) for talk in talks[:12]]
    put(tmp_path, test=renamed)
    with pytest.raises(InputError, match=r"12 of 12 \(100%\) agent turns .* word for word.*raise data\.overlap"):
        load_training(config)
    config.overlap = 1.0
    assert len(load_test(config).dialogues) == 12 and load_training(config)


def test_check_counts_growing_and_repeated_dialogues(tmp_path: Path) -> None:
    grown = [Dialogue(f"{n}-{k}", f"r{n}{k}", talk("", f"u{n}", k).turns) for n in range(30) for k in range(1, 5)]
    logs.write(tmp_path / "log.jsonl", [*grown, Dialogue("copy", "z", grown[-1].turns), talk("other", "v")])
    result = check(tmp_path / "log.jsonl", CATALOG, print)
    assert (result.bad, result.contained) == (0, 30 * 3 + 1)
    with pytest.raises(InputError, match="stand in training word for word"):
        load_training(put(tmp_path, train=grown))


def test_check_sees_thoughts_and_leaves_them_out(tmp_path: Path) -> None:
    agent = {"speaker": "agent", "text": "<think>Heat (1995)? No.</think>Alien (1979)", "mentions": ["a", "b"]}
    row = {"id": "1", "user": "u", "turns": [{"speaker": "user", "text": "hi"}, agent]}
    (tmp_path / "log.jsonl").write_text(json.dumps(row) + "\n")
    assert check(tmp_path / "log.jsonl", CATALOG, print).thoughts == 1
    ((_, dialogue),) = logs.read(tmp_path / "log.jsonl", CATALOG)
    assert dialogue.turns[1] == Turn("agent", "Alien (1979)", ("b",), Slate(("b",)))
