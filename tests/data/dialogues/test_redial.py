"""ReDial: the raw form with its oddities, and the exact counts of the real files."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from places import DATA

from tacit.data.dialogues.sources import DataConfig, load_test, load_training
from tacit.types import Dialogue, InputError, Judgement

needs_redial = pytest.mark.skipif(
    not (DATA / "redial" / "test.jsonl.gz").is_file(), reason=f"ReDial is not at {DATA}/redial (set TACIT_DATA)"
)


def raw(id: str = "1", **changes: Any) -> dict[str, Any]:
    row = {
        "conversationId": id,
        "initiatorWorkerId": 7,
        "respondentWorkerId": 6,
        "initiatorQuestions": {
            "11": {"suggested": 0, "seen": 1, "liked": 1},
            "22": {"suggested": 1, "seen": 2, "liked": 2},
        },
        "respondentQuestions": {"11": {"suggested": 0, "seen": 0, "liked": 0}},
        "movieMentions": {"11": "Heat  (1995)", "22": "Alien (1979)", "50": None},
        "messages": [
            {"timeOffset": 0, "text": "Hi, I liked @11 a lot", "senderWorkerId": 7, "messageId": 1},
            {"timeOffset": 5, "text": "and @1234", "senderWorkerId": 7, "messageId": 2},
            {"timeOffset": 9, "text": "Try @22then, or @11. @22!", "senderWorkerId": 6, "messageId": 3},
        ],
    }
    return row | changes


def jsonl(*rows: dict[str, Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def plain(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)


def gzipped(folder: Path, name: str, content: bytes) -> None:
    (folder / f"{name}.gz").write_bytes(gzip.compress(content))


def zipped(folder: Path, name: str, content: bytes) -> None:
    with zipfile.ZipFile(folder / "redial_dataset.zip", "a") as archive:
        archive.writestr(f"redial_dataset/{name}", content)


@pytest.mark.parametrize("store", [plain, gzipped, zipped])
def test_reads_plain_gz_and_zip(tmp_path: Path, store: Callable[[Path, str, bytes], None]) -> None:
    store(tmp_path, "train_data.jsonl", jsonl(raw("1"), raw("2")))
    store(tmp_path, "test_data.jsonl", jsonl(raw("3")))
    config = DataConfig("redial", str(tmp_path))
    catalog, parts = load_training(config)
    assert [item.title for item in catalog] == ["Heat (1995)", "Alien (1979)"]
    assert len(parts.train) == len(parts.valid) == 1
    assert catalog.counts.tolist() == [2, 1]
    user, more, agent = load_test(config).dialogues[0].turns
    assert user.text == "Hi, I liked Heat (1995) a lot"
    assert (user.speaker, user.mentions, user.slate, user.time_s) == ("user", ("11",), None, 0.0)
    assert more.text == "and @1234"
    assert more.mentions == ()
    assert agent.text == "Try Alien (1979) then, or Heat (1995). Alien (1979)!"
    assert agent.mentions == ("22", "11", "22")
    assert agent.slate is not None
    assert agent.slate.items == ("22", "11")


def test_judgements_prefer_the_seekers_form(tmp_path: Path) -> None:
    plain(tmp_path, "train_data.jsonl", jsonl(raw("1"), raw("2", initiatorQuestions=[], movieMentions={"11": "Heat"})))
    plain(tmp_path, "movies_with_mentions.csv", b"movieId,movieName,nbMentions\n11,Heat  (1995),3\n22,Alien (1979),1\n")
    _, parts = load_training(DataConfig("redial", str(tmp_path)))
    by_id = {dialogue.id: dialogue for dialogue in (*parts.train, *parts.valid)}
    assert by_id["1"].judgements["11"] == Judgement(suggested=False, seen=True, liked=True)
    assert by_id["1"].judgements["22"] == Judgement(suggested=True, seen=None, liked=None)
    assert by_id["2"].judgements == {"11": Judgement(suggested=False, seen=False, liked=False)}


def test_facts_by_id_then_by_title(tmp_path: Path) -> None:
    facts = {
        "11": {"name": "Heat (1995)", "genre": ["crime", "drama"], "director": ["Michael Mann"], "plot": "A heist."},
        "99": {"name": "ALIEN (1979)", "genre": ["horror"], "star": ["Sigourney Weaver"]},
    }
    plain(tmp_path, "train_data.jsonl", jsonl(raw()))
    gzipped(tmp_path, "id2info.json", json.dumps(facts).encode())
    catalog, _ = load_training(DataConfig("redial", str(tmp_path)))
    assert catalog["11"].text == "Heat (1995). Crime, drama. Directed by Michael Mann. A heist."
    assert catalog["11"].attributes == {"genre": ("crime", "drama"), "director": ("michael mann",), "year": ("1995",)}
    assert catalog["22"].text == "Alien (1979). Horror. Starring Sigourney Weaver."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no dialogues"),
        (jsonl(raw("1")) + b"\xff\n", r"train_data\.jsonl:2: not UTF-8 at byte 0"),
        (jsonl(raw("1")) + b"{\n", r"train_data\.jsonl:2: not JSON"),
        (jsonl(raw("1"), raw("1")), r":2: id 1 repeats line 1"),
        (jsonl(raw("1"), {"conversationId": "2"}), r":2: not a ReDial dialogue"),
        (jsonl(raw("1", messages=[])), "holds no dialogues"),
        (jsonl(raw("1"), raw("2", initiatorWorkerId=9)), r":2: .*neither seeker nor recommender"),
    ],
)
def test_bad_files(tmp_path: Path, content: bytes, message: str) -> None:
    plain(tmp_path, "train_data.jsonl", content)
    plain(tmp_path, "movies_with_mentions.csv", b"movieId,movieName,nbMentions\n11,Heat  (1995),3\n22,Alien (1979),1\n")
    with pytest.raises(InputError, match=message):
        load_training(DataConfig("redial", str(tmp_path)))


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has none of train_data\.jsonl.*set data\.path"):
        load_training(DataConfig("redial", str(tmp_path)))
    with pytest.raises(InputError, match="does not exist"):
        load_training(DataConfig("redial", str(tmp_path / "nowhere")))
    with pytest.raises(InputError, match=r"data\.path is not set"):
        load_training(DataConfig("redial"))
    with pytest.raises(InputError, match="choose one of"):
        load_test(DataConfig("reddial"))
    (tmp_path / "train_data.jsonl.gz").write_bytes(gzip.compress(os.urandom(4000))[:900])
    with pytest.raises(InputError, match="damaged"):
        load_training(DataConfig("redial", str(tmp_path)))


def test_validation_is_of_other_seekers_than_training(tmp_path: Path) -> None:
    """Thirty dialogues of ten workers; a worker is validation when sha256 of their id falls into the first tenth."""
    rows = [
        {**raw(str(i)), "initiatorWorkerId": i % 10, "messages": [{"text": "@11", "senderWorkerId": i % 10}]}
        for i in range(30)
    ]
    rows = [row | {"respondentWorkerId": 99} for row in rows]
    plain(tmp_path, "train_data.jsonl", jsonl(*rows))
    _, parts = load_training(DataConfig("redial", str(tmp_path)))
    train, valid = ({dialogue.user for dialogue in part} for part in (parts.train, parts.valid))
    low = {str(i) for i in range(10) if int(hashlib.sha256(str(i).encode()).hexdigest()[:8], 16) / 2**32 < 0.1}
    assert parts.rule == "user" and valid and train and not train & valid
    assert valid == (low or valid) and len(parts.train) + len(parts.valid) == 30
    assert all(len([d for d in (*parts.train, *parts.valid) if d.user == user]) == 3 for user in train | valid)
    by_dialogue = load_training(DataConfig("redial", str(tmp_path), split="dialogue"))[1]
    assert by_dialogue.rule == "dialogue"
    assert {d.user for d in by_dialogue.valid} <= {d.user for d in by_dialogue.train}


def test_one_seeker_alone_is_cut_by_dialogue_and_that_is_said(tmp_path: Path) -> None:
    plain(tmp_path, "train_data.jsonl", jsonl(raw("1"), raw("2")))
    _, parts = load_training(DataConfig("redial", str(tmp_path)))
    assert (parts.rule, len(parts.train), len(parts.valid)) == ("dialogue", 1, 1)


def instances_and_labels(dialogues: tuple[Dialogue, ...], *, new_only: bool) -> tuple[int, int]:
    """Agent messages after the first message with at least one item, and their distinct items."""
    instances = labels = 0
    for dialogue in dialogues:
        seen: set[str] = set()
        for t, turn in enumerate(dialogue.turns):
            items = set(turn.slate.items if turn.slate else ()) - (seen if new_only else set())
            if t and items:
                instances += 1
                labels += len(items)
            seen.update(turn.mentions)
    return instances, labels


@needs_redial
def test_the_real_files() -> None:
    """Exact counts, and the linker against the annotators, on one reading of the files."""
    config = DataConfig("redial", str(DATA / "redial"))
    catalog, parts = load_training(config)
    test = load_test(config)
    assert len(catalog) == 6924
    assert len(parts.train) + len(parts.valid) == 4755
    assert len(test.dialogues) == 1342
    assert sum(len(dialogue.turns) for dialogue in test.dialogues) == 23952
    assert instances_and_labels(test.dialogues, new_only=False) == (4198, 4975)
    assert instances_and_labels(test.dialogues, new_only=True) == (3838, 4472)
    assert 0.08 < len(parts.valid) / 4755 < 0.12
    train, valid, tested = ({dialogue.user for dialogue in part} for part in (parts.train, parts.valid, test.dialogues))
    assert parts.rule == "user" and not train & valid and not tested & (train | valid)
    assert (len(train), len(valid), len(tested)) == (427, 53, 97)
    assert not {d.id for d in test.dialogues} & {d.id for d in (*parts.train, *parts.valid)}
    assert sum(bool(item.attributes.get("genre")) for item in catalog) > 6500
    found = marked = extra = 0
    for turn in (turn for dialogue in test.dialogues[:200] for turn in dialogue.turns):
        linked = {id for _, _, id in catalog.link(turn.text)}
        marked += len(set(turn.mentions))
        found += len(linked & set(turn.mentions))
        extra += len(linked - set(turn.mentions))
    assert found / marked > 0.99
    assert extra / marked < 0.08  # mostly true titles that the annotators left unmarked
