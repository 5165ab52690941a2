"""The own-logs form: the published schema, the hand-written parser, check, and the loaders."""

from __future__ import annotations

import copy
import gzip
import importlib.resources
import json
import re
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit.catalog import Catalog, item_to_json
from tacit.data.dialogues import check as check_module
from tacit.data.dialogues import fingerprints, logs, synthetic
from tacit.data.dialogues.check import Problem, check
from tacit.data.dialogues.sources import DataConfig, load_test, load_training
from tacit.types import Dialogue, Feedback, InputError, Item, Judgement, Slate, Turn

CATALOG = Catalog([Item("a", "Heat (1995)", "Heat"), Item("b", "Alien (1979)", "Alien")])
GOOD: dict[str, Any] = {
    "version": 1,
    "id": "d1",
    "user": "u1",
    "turns": [
        {"speaker": "user", "text": "I like Heat (1995)", "timestamp": 0, "mentions": ["a"]},
        {
            "speaker": "agent",
            "text": "Try Alien (1979)",
            "timestamp": 4.5,
            "mentions": ["b"],
            "slate": [
                {"item": "a", "position": 2, "propensity": 0.5},
                {"item": "b", "position": 1, "propensity": 0.25},
            ],
            "feedback": {"dwell_s": 3, "scroll_depth": 0.5, "clicked": ["b"], "accepted": True, "left": None},
            "meta": {"model": "v3"},
        },
    ],
    "judgements": {"a": {"liked": True, "seen": None}},
}


def schema(name: str) -> jsonschema.Draft202012Validator:
    text = importlib.resources.files("tacit.data").joinpath("schema", f"{name}-v1.json").read_text("utf-8")
    jsonschema.Draft202012Validator.check_schema(json.loads(text))
    return jsonschema.Draft202012Validator(json.loads(text))


def changed(path: str, value: Any = ..., drop: bool = False) -> dict[str, Any]:
    """GOOD with the value at a dotted path replaced or dropped."""
    row = copy.deepcopy(GOOD)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place: Any = row
    for part in parents:
        place = place[part]
    if drop:
        del place[last]
    else:
        place[last] = value
    return row


def test_good_line() -> None:
    dialogue = logs.parse(GOOD, CATALOG)
    schema("dialogue").validate(GOOD)
    user, agent = dialogue.turns
    assert user == Turn("user", "I like Heat (1995)", ("a",), time_s=0.0)
    assert agent.slate == Slate(("b", "a"), (0.25, 0.5))
    assert agent.feedback == Feedback(dwell_s=3, scroll_depth=0.5, clicked=("b",), accepted=True)
    assert dialogue.judgements == {"a": Judgement(liked=True)}


# What the schema sees, and the parser must refuse as well.
SCHEMA_FAULTS: list[tuple[dict[str, Any], str]] = [
    (changed("version", 2), "key version must be 1"),
    (changed("id", drop=True), "key id must be"),
    (changed("user", ""), "key user must be"),
    (changed("turns", []), "key turns must be"),
    (changed("turns.0.speaker", "User"), r"turns\[0\]\.speaker"),
    (changed("turns.0.speaker", "agent"), "no user turn"),
    (changed("turns.0.text", None), r"turns\[0\]\.text"),
    (changed("turns.0.texts", "x"), "unknown key 'texts'"),
    (changed("turns.0.slate", []), "agent turns only"),
    (changed("turns.0.feedback", {}), "agent turns only"),
    (changed("turns.0.mentions", "a"), r"turns\[0\]\.mentions"),
    (changed("turns.0.timestamp", -1), r"turns\[0\]\.timestamp"),
    (changed("turns.1.slate.0.position", 0), r"slate\[0\]\.position"),
    (changed("turns.1.slate.0.position", 1.5), r"slate\[0\]\.position"),
    (changed("turns.1.slate.0.propensity", 0), r"slate\[0\]\.propensity"),
    (changed("turns.1.slate.0.rank", 1), "unknown key 'rank'"),
    (changed("turns.1.slate.0.item", drop=True), "slate must hold item ids"),
    (changed("turns.1.feedback.dwell", 1), "unknown key 'dwell'"),
    (changed("turns.1.feedback.dwell_s", -1), "dwell_s must be a number, at least 0"),
    (changed("turns.1.feedback.dwell_s", True), "dwell_s"),
    (changed("turns.1.feedback.scroll_depth", 1.5), "scroll_depth must be a number, from 0 to 1"),
    (changed("turns.1.feedback.sentiment_after", -2), "sentiment_after"),
    (changed("turns.1.feedback.accepted", 1), "accepted must be true or false"),
    (changed("turns.1.feedback.device", 7), "device"),
    (changed("turns.1.meta", 7), "meta must be an object"),
    (changed("meta", []), "meta must be an object"),
    (changed("judgements", []), "judgements must be"),
    (changed("judgements.a.liked", 1), "liked must be true or false"),
    (changed("judgements.a.love", True), "unknown key 'love'"),
]
# What only the parser sees.
OTHER_FAULTS: list[tuple[dict[str, Any], str]] = [
    (changed("turns.0.mentions", ["z"]), "names item 'z', which is not in the catalogue"),
    (changed("turns.1.slate.0.item", "z"), "names item 'z', which is not in the catalogue"),
    (changed("judgements.z", {}), "names item 'z', which is not in the catalogue"),
    (changed("turns.1.slate.0.item", "b"), "shows an item twice"),
    (changed("turns.1.slate.0.position", 1), "two items at one position"),
    (changed("turns.1.slate.0.propensity", drop=True), "give all or none"),
    (changed("turns.1.feedback.clicked", ["z"]), "which the turn did not show"),
    (changed("turns.0.timestamp", 9), "goes back in time"),
    (changed("turns.0.timestamp", "2025-01-31T12:00:00Z"), "use one kind"),
    (changed("turns.0.timestamp", "yesterday"), "must be seconds"),
    (changed("turns.0.timestamp", float("nan")), r"timestamp (must be seconds|is not a finite)"),
]


@pytest.mark.parametrize(("row", "reason"), SCHEMA_FAULTS)
def test_schema_and_parser_refuse(row: dict[str, Any], reason: str) -> None:
    assert not schema("dialogue").is_valid(row)
    with pytest.raises(ValueError, match=reason):
        logs.parse(row, CATALOG)


@pytest.mark.parametrize(("row", "reason"), OTHER_FAULTS)
def test_parser_refuses_more(row: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        logs.parse(row, CATALOG)


@given(st.data())
def test_parser_and_schema_agree_on_random_damage(data: st.DataObject) -> None:
    """Whatever JSON value lands wherever, the parser never crashes, and never takes what the schema refuses."""
    row = copy.deepcopy(GOOD)
    place: Any = row
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
            place = place[key]
            continue
        scalars = (
            st.none() | st.booleans() | st.integers(-2, 3) | st.floats(-2, 2) | st.sampled_from(["", "a", "b", "z"])
        )
        place[key] = data.draw(scalars | st.lists(scalars, max_size=2) | st.dictionaries(st.just("item"), scalars))
        break
    try:
        logs.parse(row, CATALOG)
    except ValueError:
        return
    assert schema("dialogue").is_valid(row)


START_S = 1_738_324_800  # 2025-01-31T12:00:00Z


@pytest.mark.parametrize("per_second", [1, 10**3, 10**6, 10**9])
def test_timestamps_in_any_unit_are_seconds(per_second: int) -> None:
    row = changed("turns.0.timestamp", START_S * per_second)
    row["turns"][1]["timestamp"] = (START_S + 7) * per_second
    assert [turn.time_s for turn in logs.parse(row, None).turns[:2]] == [START_S, START_S + 7]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (START_S, (START_S + 7) * 1000, "is written as milliseconds, earlier ones as seconds"),
        (20250131, 20250201, "is a day without a time of day"),
        (5e8, 5e8 + 1, "is no time between 1990 and 2100"),
        (START_S * 10**12, START_S * 10**12, "is no time between 1990 and 2100"),
    ],
)
def test_timestamps_of_no_clock_are_refused(first: float, second: float, said: str) -> None:
    row = changed("turns.0.timestamp", first)
    row["turns"][1]["timestamp"] = second
    with pytest.raises(ValueError, match=said):
        logs.parse(row, None)


def test_text_timestamps_are_seconds_apart() -> None:
    row = changed("turns.0.timestamp", "2025-01-31T12:00:00Z")
    row["turns"][1]["timestamp"] = "2025-01-31T13:00:07.5+01:00"
    user, agent = logs.parse(row, CATALOG).turns
    assert agent.time_s is not None
    assert user.time_s is not None
    assert agent.time_s - user.time_s == 7.5


def test_mentions_stand_in_for_an_unlogged_slate() -> None:
    unlogged = changed("turns.1.slate", drop=True)
    assert logs.parse(unlogged, CATALOG).turns[1].slate == Slate(("b",))
    nothing = changed("turns.1.slate", [])
    del nothing["turns"][1]["feedback"]["clicked"]
    assert logs.parse(nothing, CATALOG).turns[1].slate is None


def test_synthetic_round_trip_fits_the_schemas(tmp_path: Path) -> None:
    world = synthetic.generate(0)
    logs.write(tmp_path / "train.jsonl", world.train)
    logs.write(tmp_path / "test.jsonl", world.test)
    world.catalog.save(tmp_path / "items.jsonl")
    config = DataConfig("logs", str(tmp_path))
    catalog, parts = load_training(config)
    assert catalog.items == world.catalog.items
    assert {d.id: d for d in (*parts.train, *parts.valid)} == {d.id: d for d in world.train}
    assert load_test(config).dialogues == world.test
    validators = schema("dialogue"), schema("item")
    for dialogue in world.train[:20]:
        validators[0].validate(logs.to_json(dialogue))
    for item in world.catalog.items[:20]:
        validators[1].validate(item_to_json(item, 3))


def test_full_dialogue_round_trip() -> None:
    feedback = Feedback(1.0, 0.5, ("a",), 2.0, -0.5, 0.5, True, False, "phone")
    turns = (
        Turn("user", "né…", time_s=1.0),
        Turn("agent", "Heat (1995)", ("a",), Slate(("a", "b"), (0.5, 1.0)), feedback, 2.0),
        Turn("agent", "as in Heat", ("a",), None, Feedback(clicked=())),
    )
    dialogue = Dialogue("x", "y", turns, {"a": Judgement(True, None, False)})
    row = json.loads(json.dumps(logs.to_json(dialogue)))
    schema("dialogue").validate(row)
    assert logs.parse(row, CATALOG) == dialogue


def test_single_file_holds_out_a_test_tenth(tmp_path: Path) -> None:
    world = synthetic.generate(0)
    logs.write(tmp_path / "mine.jsonl", world.train)
    world.catalog.save(tmp_path / "films.jsonl")
    config = DataConfig("logs", str(tmp_path / "mine.jsonl"), items=str(tmp_path / "films.jsonl"))
    _, parts = load_training(config)
    test = {dialogue.id for dialogue in load_test(config).dialogues}
    train = {dialogue.id for dialogue in (*parts.train, *parts.valid)}
    assert not test & train
    assert len(test) + len(train) == 600
    assert 30 < len(test) < 90


def test_loader_errors(tmp_path: Path) -> None:
    config = DataConfig("logs", str(tmp_path))
    with pytest.raises(InputError, match=r"no train\.jsonl"):
        load_training(config)
    (tmp_path / "train.jsonl").write_text("\n")
    with pytest.raises(InputError, match=r"items\.jsonl does not exist"):
        load_training(config)
    CATALOG.save(tmp_path / "items.jsonl")
    with pytest.raises(InputError, match="holds no dialogues"):
        load_training(config)
    bad = changed("turns.0.mentions", ["z"])
    (tmp_path / "train.jsonl").write_text(json.dumps(GOOD) + "\n" + json.dumps(bad) + "\n")
    with pytest.raises(InputError, match=r"train\.jsonl:2: .*'z', which is not in the catalogue"):
        load_training(config)
    (tmp_path / "train.jsonl").write_text(json.dumps(GOOD) + "\n\n" + json.dumps(GOOD) + "\n")
    with pytest.raises(InputError, match=r"train\.jsonl:3: id 'd1' repeats line 1"):
        load_training(config)
    (tmp_path / "train.jsonl").write_text(json.dumps(GOOD) + "\n")
    with pytest.raises(InputError, match=r"data\.limit is 2"):
        load_training(DataConfig("logs", str(tmp_path), limit=2.0))


def test_check_reports_every_bad_line(tmp_path: Path) -> None:
    lines = [
        json.dumps(GOOD).encode(),
        b"\xff\xfe",
        b"",
        b"{not json",
        json.dumps(changed("turns.0.mentions", ["z"])).encode(),
        json.dumps(changed("turns.0.speaker", "agent")).encode(),
        json.dumps(GOOD).encode(),
        b'{"id": "\\ud800", "user": "u", "turns": []}',
        b"[" * 100_000,
        b"7",
        json.dumps(changed("id", "d2")).encode(),
    ]
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"\n".join(lines))
    found: list[Problem] = []
    done = check(path, CATALOG, found.append)
    assert [problem.line for problem in found] == [2, 4, 5, 6, 8, 9, 10, 7]
    reasons = {problem.line: problem.reason for problem in found}
    assert "not UTF-8 at byte 0" in reasons[2]
    assert "not JSON" in reasons[4]
    assert "'z'" in reasons[5]
    assert "no user turn" in reasons[6]
    assert "repeats that of line 1" in reasons[7]
    assert "stands alone" in reasons[8]
    assert "nested too deeply" in reasons[9]
    assert (done.lines, done.bad, done.turns) == (10, 8, 6)
    (tmp_path / "empty.jsonl").write_bytes(b"\n")
    with pytest.raises(InputError, match="is empty"):
        check(tmp_path / "empty.jsonl", None, found.append)


def test_check_needs_no_more_memory_for_a_longer_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the records that stay in memory, here so few that both files have more."""
    monkeypatch.setattr(fingerprints, "_IN_MEMORY", 600)
    monkeypatch.setattr(check_module, "AT_ONCE", 300)

    def peak(count: int) -> int:
        path = tmp_path / f"{count}.jsonl"
        with path.open("w") as file:
            for n in range(count):
                file.write(json.dumps(GOOD | {"id": f"d{n}"}) + "\n")
        tracemalloc.start()
        try:
            assert check(path, CATALOG, print).bad == 0
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(100)
    assert peak(8000) < 1.3 * peak(2000)


def test_an_over_long_line_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tacit.run.lines.MAX_LINE", 1 << 20)
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"x" * ((3 << 20) + 5) + b"\n" + json.dumps(GOOD).encode())
    found: list[Problem] = []
    assert check(path, CATALOG, found.append).lines == 2
    assert [(problem.line, "longer than 1 MiB" in problem.reason) for problem in found] == [(1, True)]


def test_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Any:
        yield synthetic.generate(0).train[0]
        raise InputError("stop")

    with pytest.raises(InputError, match="stop"):
        logs.write(tmp_path / "out.jsonl", broken())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [lambda row: [row], lambda row: row["turns"], lambda row: None])
def test_top_level_must_be_an_object(wrong: Callable[[dict[str, Any]], Any]) -> None:
    with pytest.raises(ValueError, match="must be a JSON object"):
        logs.parse(wrong(GOOD), CATALOG)


@pytest.mark.parametrize("place", ["turns.0.timestamp", "turns.1.slate.0.position", "turns.1.feedback.dwell_s"])
def test_numbers_of_any_length(place: str) -> None:
    row = changed(place, 10**400)
    if "position" not in place:
        with pytest.raises(ValueError, match="must be"):
            logs.parse(row, CATALOG)
    with pytest.raises(ValueError, match="must be"):
        logs.parse(changed(place, -(10**400)), CATALOG)


def test_null_is_absent() -> None:
    row = copy.deepcopy(GOOD)
    row |= {"version": None, "meta": None, "judgements": {"a": {"liked": True, "seen": None}, "b": None}}
    nothing = dict.fromkeys(["dwell_s", "clicked", "accepted"])
    row["turns"][0] |= {"slate": None, "feedback": None, "meta": None}
    row["turns"] += [{"speaker": "user", "text": "bye", "mentions": None, "slate": None, "feedback": nothing}]
    row["turns"] += [{"speaker": "agent", "text": "bye", "mentions": None, "slate": None, "feedback": nothing}]
    schema("dialogue").validate(row)
    dialogue = logs.parse(row, CATALOG)
    good = logs.parse(GOOD, CATALOG)
    assert dialogue.turns == (*good.turns, Turn("user", "bye"), Turn("agent", "bye"))
    assert dialogue.judgements == good.judgements
    for key in ("id", "user", "turns.0.speaker", "turns.0.text"):
        with pytest.raises(ValueError, match="key"):
            logs.parse(changed(key, None), CATALOG)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"messages": [{"role": "user", "content": "hi"}]}, "key 'messages'): turn the file into this one with `tacit"),
        ({"id": "x", "conversations": [{"from": "human", "value": "hi"}]}, "key 'conversations'"),
        (
            {**GOOD, "system": "KBRD"},
            "unknown key 'system': allowed are id, judgements, meta, turns, user, version; what is yours goes",
        ),
        ({**GOOD, "user": None}, "key user must be a non-empty string: give each dialogue a user of its own"),
    ],
)
def test_a_near_form_is_told_its_remedy(row: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        logs.parse(row, CATALOG)


def test_items_that_the_catalogue_lacks_are_left_out_and_counted_where_they_may_be(tmp_path: Path) -> None:
    small, path = Catalog([CATALOG["b"]]), tmp_path / "d.jsonl"
    lacks = copy.deepcopy(GOOD)
    lacks["turns"][1]["feedback"]["clicked"] = ["a", "b"]
    path.write_text(json.dumps(lacks) + "\n")
    unknown: Counter[str] = Counter()
    ((_, read),) = logs.read(path, small, unknown)
    assert unknown == {"a": 3}  # named by the user, shown, judged
    assert read.turns[0].mentions == () and read.turns[0].text == "I like Heat (1995)"
    assert read.turns[1].slate == Slate(("b",), (0.25,)) and read.judgements == {}
    assert read.turns[1].feedback == Feedback(dwell_s=3, scroll_depth=0.5, clicked=("b",), accepted=True)
    with pytest.raises(InputError, match="'a', which is not in the catalogue"):
        list(logs.read(path, small))


@pytest.mark.parametrize(
    ("where", "value", "reason"),
    [
        ("turns.0.mentions", ["zzz", 3], "must hold item ids"),
        ("turns.1.slate", [3], "must be a JSON object"),
        ("turns.1.slate.0.item", "", "must hold item ids"),
        ("turns.1.feedback.clicked", ["zzz"], "which the turn did not show"),
        ("turns", ["zzz"], "must be a JSON object"),
        ("judgements", [], "must be an object by item id"),
    ],
)
def test_other_faults_stay_faults_where_unknown_items_are_left_out(
    where: str, value: Any, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "d.jsonl").write_text(json.dumps(changed(where, value)) + "\n")
    with pytest.raises(InputError, match=reason):
        list(logs.read(tmp_path / "d.jsonl", Catalog([CATALOG["b"]]), Counter()))


def test_a_table_is_sent_to_what_reads_tables(tmp_path: Path) -> None:
    for name, helps in {"talks.csv": True, "talks.tsv.gz": True, "talks.json": True, "talks.jsonl": False}.items():
        line = b"conversation,role,text\n"
        (tmp_path / name).write_bytes(gzip.compress(line) if name.endswith(".gz") else line)
        with pytest.raises(InputError, match=":1: not JSON") as error:
            list(logs.read(tmp_path / name, CATALOG))
        assert (f"tacit data convert chats {tmp_path / name} OUT" in str(error.value)) == helps
