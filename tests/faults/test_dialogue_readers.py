"""Any bytes end in rows or in one sentence; what a reader accepts fits the form; what is converted, check accepts."""

from __future__ import annotations

import copy
import csv
import gzip
import importlib.resources
import io
import json
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from chat_exports import CHATGPT, FEEDBACK, LANGFUSE, OPEN_WEBUI, SHAREGPT, TABLE
from fault_examples import FAULTS
from hypothesis import given
from hypothesis import strategies as st

from tacit.catalog import Catalog, item_to_json
from tacit.data import item_table
from tacit.data.dialogues import logs
from tacit.data.dialogues.chats.forms import Ways
from tacit.data.dialogues.check import Problem, check, check_items
from tacit.data.dialogues.convert import convert
from tacit.data.dialogues.form import parse, to_json
from tacit.data.dialogues.sources import DataConfig, load_test, load_training
from tacit.types import InputError, Item

CATALOG = Catalog([Item("a", "Alpha Road (1999)", "Alpha"), Item("b", "Beta Hill (2001)", "Beta")])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["a", "11", "", 10**400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
DIALOGUE: dict[str, Any] = {
    "id": "d1",
    "user": "u1",
    "turns": [
        {"speaker": "user", "text": "hi", "timestamp": 0, "mentions": ["a"]},
        {
            "speaker": "agent",
            "text": "<think>a</think>Beta Hill (2001)",
            "slate": [{"item": "b", "position": 1, "propensity": 0.5}],
            "feedback": {"clicked": ["b"], "dwell_s": 2.5},
        },
    ],
    "judgements": {"a": {"liked": True}},
}
ITEM: dict[str, Any] = {"id": "x", "title": "Gamma (2003)", "attributes": {"genre": ["noir"]}, "count": 2}
FORM = {"suggested": 0, "seen": 1, "liked": 1}
REDIAL: dict[str, Any] = {
    "conversationId": "1",
    "initiatorWorkerId": 1,
    "respondentWorkerId": 2,
    "movieMentions": {"11": "Alpha Road (1999)"},
    "initiatorQuestions": [{"movieId": "11", **FORM}],
    "respondentQuestions": {"11": FORM},
    "messages": [
        {"messageId": 1, "timeOffset": 0, "senderWorkerId": 1, "text": "I liked @11"},
        {"messageId": 2, "timeOffset": 9, "senderWorkerId": 2, "text": "So did I: @11"},
    ],
}
TURN = {"dialog_id": "1", "turn_id": 1, "context": ["", "hi"], "entity": ["Alpha"], "rec": ["Alpha"], "resp": "Alpha!"}
TALK: list[dict[str, Any]] = [
    {"type": "chat", "sender": "user", "message": "hi"},
    {
        "type": "action",
        "sender": "assistant",
        "metadata": {"path": [0.5, [["Ann Lee", "~directed_by", "Alpha"]], "x"]},
    },
    {"type": "chat", "sender": "assistant", "message": "Alpha"},
]
CHAT: dict[str, Any] = {
    "id": "c1",
    "user": "u",
    "messages": [
        {"role": "user", "content": "Alpha Road (1999)?"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Beta Hill (2001)"}], "reasoning": "hm"},
    ],
}


def schema(name: str) -> jsonschema.Draft202012Validator:
    text = importlib.resources.files("tacit.data").joinpath("schema", f"{name}-v1.json").read_text("utf-8")
    return jsonschema.Draft202012Validator(json.loads(text))


SCHEMAS = {name: schema(name) for name in ("dialogue", "item")}


def spoilt(draw: st.DrawFn, row: Any) -> Any:
    """The row with one place put to another value, dropped, or given another key."""
    row = copy.deepcopy(row)
    place = row
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = draw(st.sampled_from(keys))
        if isinstance(place[key], dict | list) and place[key] and draw(st.integers(0, 3)):
            place = place[key]
            continue
        match draw(st.integers(0, 4)):
            case 0:
                del place[key]
            case 1 if isinstance(place, dict):
                place[draw(st.text(max_size=5))] = draw(VALUES)
            case _:
                place[key] = draw(VALUES)
        return row if draw(st.integers(0, 30)) else draw(VALUES)


@st.composite
def damaged_lines(draw: st.DrawFn, row: dict[str, Any]) -> bytes:
    """Lines that are whole, spoilt in one place, cut, or any bytes."""
    lines = []
    for _ in range(draw(st.integers(1, 4))):
        raw = json.dumps(spoilt(draw, row) if draw(st.booleans()) else row).encode()
        match draw(st.integers(0, 12)):
            case 0:
                raw = raw[: draw(st.integers(0, len(raw)))]
            case 1:
                raw = draw(st.binary(max_size=30))
            case 2:
                raw = b"[" * 100_000
            case 3:
                raw = raw.replace(b"a", b"\\ud800", 1)
            case 4:
                raw = raw.replace(b"1", b"1" * 5000, 1)
        lines.append(raw)
    return draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + b"\n".join(lines)


@st.composite
def stored(draw: st.DrawFn, content: bytes) -> tuple[str, bytes]:
    """The content plain or packed, the packing at times damaged: (ending, bytes)."""
    kind = draw(st.sampled_from(["", "", ".gz", ".zip"]))
    if kind == ".gz":
        content = gzip.compress(content, mtime=0)
    if kind and draw(st.booleans()):
        at = draw(st.integers(0, max(len(content) - 1, 0)))
        content = content[:at] + draw(st.binary(max_size=3)) + content[at + draw(st.integers(0, 3)) :]
    return kind, content


def one_sentence(act: Callable[[], object], of_each_row: bool = False) -> bool:
    """Whether it went through; an InputError must be one line, or a line for each bad row."""
    try:
        act()
    except InputError as error:
        assert all(line.endswith(".") for line in str(error).split("\n")), error
        assert of_each_row or "\n" not in str(error), error
        return False
    return True


@FAULTS
@given(damaged_lines(DIALOGUE))
def test_own_logs(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "log.jsonl"
        path.write_bytes(content)
        CATALOG.save(Path(name) / "items.jsonl")
        problems: list[Problem] = []
        if one_sentence(lambda: check(path, CATALOG, problems.append)):
            assert all(problem.reason and "\n" not in problem.reason for problem in problems)
            assert one_sentence(lambda: list(logs.read(path, CATALOG))) == (not problems)
        one_sentence(lambda: load_training(DataConfig("logs", str(path))))


@FAULTS
@given(st.data())
def test_what_the_parser_accepts_fits_the_schema(data: st.DataObject) -> None:
    row = json.loads(json.dumps(spoilt(data.draw, DIALOGUE)))
    try:
        dialogue = parse(row, CATALOG)
    except ValueError as error:
        assert str(error) and "\n" not in str(error)
        return
    assert SCHEMAS["dialogue"].is_valid(row)
    again = to_json(dialogue)
    assert SCHEMAS["dialogue"].is_valid(again)
    assert parse(json.loads(json.dumps(again)), CATALOG) == dialogue


@FAULTS
@given(damaged_lines(ITEM), st.data())
def test_items(content: bytes, data: st.DataObject) -> None:
    ending, content = data.draw(stored(content))
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / f"items.jsonl{ending if ending == '.gz' else ''}"
        path.write_bytes(content)
        problems: list[Problem] = []
        one_sentence(lambda: check_items(path, problems.append))
        if one_sentence(lambda: Catalog.load(path)):
            assert not problems
            for item in Catalog.load(path):
                assert SCHEMAS["item"].is_valid(item_to_json(item))


def converted(source: str, folder: Path, items: Path | None = None) -> None:
    """Convert, and hold what was written to check."""
    convert_path(source, folder / "in" if items is None else folder / "in" / "x.jsonl", folder / "out", items)


def convert_path(source: str, path: Path, out: Path, items: Path | None, ways: Ways | None = None) -> None:
    of_each_row = ".csv" in path.name or ".tsv" in path.name
    if one_sentence(lambda: convert(source, path, out, items, ways=ways or Ways()), of_each_row):
        catalog = Catalog.load(out / "items.jsonl")
        for part in out.glob("t*.jsonl"):
            problems: list[Problem] = []
            if part.stat().st_size:
                check(part, catalog, problems.append)
            assert not problems


def put(folder: Path, name: str, kind: str, content: bytes) -> None:
    folder.mkdir(exist_ok=True)
    if kind == ".zip":
        with zipfile.ZipFile(folder / "data.zip", "a") as archive:
            archive.writestr(name, content)
        return
    (folder / f"{name}{kind}").write_bytes(content)


@FAULTS
@given(damaged_lines(REDIAL), VALUES, st.data())
def test_redial(content: bytes, info: Any, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "in"
        put(folder, "train_data.jsonl", *data.draw(stored(content)))
        if data.draw(st.booleans()) and (folder / "data.zip").exists():  # a damaged checksum
            raw = (folder / "data.zip").read_bytes()
            at = data.draw(st.integers(0, len(raw) - 1))
            (folder / "data.zip").write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        (folder / "test_data.jsonl").write_text(json.dumps({**REDIAL, "conversationId": "9"}))
        if data.draw(st.booleans()):
            (folder / "id2info.json").write_text(json.dumps(data.draw(st.sampled_from([info, {"11": info}]))))
        if data.draw(st.booleans()):
            listing = data.draw(st.binary(max_size=40))
            (folder / "movies_with_mentions.csv").write_bytes(b"movieId,movieName\n11,Alpha\n" + listing)
        converted("redial", Path(name))


@FAULTS
@given(damaged_lines(TURN), VALUES, st.data())
def test_opendialkg_turns(content: bytes, value: Any, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "in"
        put(folder, "train_data_processed.jsonl", *data.draw(stored(content)))
        (folder / "test_data_processed.jsonl").write_text(json.dumps({**TURN, "dialog_id": "9"}))
        info = data.draw(st.sampled_from([{"7": {"name": "Alpha"}}] * 4 + [value, {"7": value}]))
        (folder / "id2info.json").write_text(json.dumps(info))
        if data.draw(st.booleans()):
            (folder / "item_ids.json").write_text(json.dumps(data.draw(st.sampled_from([[1], value, [value]]))))
            (folder / "entity2id.json").write_text(json.dumps(data.draw(st.sampled_from([{"Alpha": 1}, value]))))
        converted("opendialkg", Path(name))


@FAULTS
@given(st.data())
def test_opendialkg_table(data: st.DataObject) -> None:
    file = io.StringIO()
    table = csv.writer(file)
    table.writerow(["Messages", "User Rating", "Assistant Rating"])
    for _ in range(12):
        table.writerow([json.dumps(TALK), 4, 5])
    for _ in range(data.draw(st.integers(1, 3))):
        messages = json.dumps(spoilt(data.draw, TALK))
        table.writerow(data.draw(st.sampled_from([[messages, 4, 5], [messages], [], ["x"]])))
    content = file.getvalue().encode() + data.draw(st.sampled_from([b"", b"\xff\n", b'"', b"\x00,1,2\n"]))
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "in").mkdir()
        (Path(name) / "in" / "opendialkg.csv").write_bytes(content)
        triples = data.draw(st.sampled_from([None, b"Alpha\thas_genre\tNoir\n", b"x\n", b"\xff\t\t\n"]))
        if triples is not None:
            (Path(name) / "in" / "opendialkg_triples.txt").write_bytes(triples)
        converted("opendialkg", Path(name))


@FAULTS
@given(damaged_lines(CHAT))
def test_chats(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        put(folder / "in", "x.jsonl", "", content)
        CATALOG.save(folder / "items.jsonl")
        converted("openai", folder, folder / "items.jsonl")


@pytest.mark.parametrize("row", [CHATGPT, SHAREGPT, LANGFUSE, OPEN_WEBUI, FEEDBACK])
@FAULTS
@given(st.data())
def test_exported_chats(row: dict[str, Any], data: st.DataObject) -> None:
    """Lines, arrays and objects, the form found out or named, rightly or wrongly."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        CATALOG.save(folder / "items.jsonl")
        if data.draw(st.booleans()):
            content = data.draw(damaged_lines(row))
        else:
            rows = [spoilt(data.draw, row) if data.draw(st.booleans()) else row for _ in range(2)]
            content = json.dumps(data.draw(st.sampled_from([rows, {"data": rows}, rows[0]])), indent=1).encode()
        ending, content = data.draw(stored(content))
        if ending == ".zip":
            put(folder / "in", "conversations.json", ending, content)
            put(folder / "in", "message_feedback.json", ending, data.draw(st.sampled_from([content, b"[]", b"{}"])))
            path = folder / "in" / "data.zip"
        else:
            put(folder / "in", "x.json", ending, content)
            path = data.draw(st.sampled_from([folder / "in", folder / "in" / f"x.json{ending}"]))
        form = data.draw(st.sampled_from(["", "", "chatgpt", "sharegpt", "langfuse", "open-webui", "openai"]))
        convert_path("chats", path, folder / "out", folder / "items.jsonl", Ways(form=form))


@FAULTS
@given(st.data())
def test_tables_of_chats(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        CATALOG.save(folder / "items.jsonl")
        content = bytearray(TABLE.encode())
        for _ in range(data.draw(st.integers(0, 4))):
            at = data.draw(st.integers(0, len(content)))
            content[at : at + data.draw(st.integers(0, 9))] = data.draw(
                st.sampled_from([b",", b"\n", b'"', b"\xff", b"\x00", b";", b"", b"1", b"nan"]) | st.binary(max_size=4)
            )
        ending = data.draw(st.sampled_from([".csv", ".csv.gz", ".parquet", ".tsv"]))
        put(
            folder / "in",
            "x",
            ending,
            gzip.compress(bytes(content), mtime=0) if ending == ".csv.gz" else bytes(content),
        )
        columns = data.draw(st.sampled_from([{}, {}, {"rating": "time"}, {"text": "body"}, {"user": "role"}]))
        ways = Ways(columns=columns)
        convert_path("chats", folder / "in" / f"x{ending}", folder / "out", folder / "items.jsonl", ways)


CATALOGUE: dict[str, Any] = {"id": "x", "title": "Gamma", "year": 2003, "genre": ["noir"], "count": 2.0, "price": 1.5}


@FAULTS
@given(st.data())
def test_tables_of_items(data: st.DataObject) -> None:
    """What is written is a catalogue."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ending = data.draw(st.sampled_from([".csv", ".jsonl", ".parquet"]))
        if ending == ".jsonl":
            content = data.draw(damaged_lines(CATALOGUE))
        else:
            content = b"id,title,year,genre,count,price\nx,Gamma,2003,noir|crime,2,1.5\n"
            at = data.draw(st.integers(0, len(content)))
            content = content[:at] + data.draw(st.binary(max_size=4)) + content[at + data.draw(st.integers(0, 4)) :]
        put(folder, "x", ending, content)
        columns = data.draw(st.sampled_from([{}, {}, {"maker": "price"}, {"text": "year"}, {"id": "none"}]))
        out = folder / "items.jsonl"
        if one_sentence(
            lambda: item_table.write(out, item_table.read(folder / f"x{ending}", columns, "|", Counter())), True
        ):
            problems: list[Problem] = []
            check_items(out, problems.append)
            assert not problems and len(Catalog.load(out))


ROWS = [
    {**DIALOGUE, "id": "d0", "turns": [{"speaker": "user", "text": "hello"}, {"speaker": "agent", "text": "hi"}]},
    {key: value for key, value in DIALOGUE.items() if key != "judgements"},
    {**DIALOGUE, "id": "d2", "version": 1, "judgements": {"b": {"seen": False}}},
]


def through_polars(source: Path, target: Path) -> None:
    import polars as pl

    pl.read_ndjson(source).write_ndjson(target)


def through_pandas(source: Path, target: Path) -> None:
    pd = pytest.importorskip("pandas")
    pd.read_json(source, lines=True).to_json(target, orient="records", lines=True)


def through_pyarrow(source: Path, target: Path) -> None:
    arrow = pytest.importorskip("pyarrow.json")
    rows = arrow.read_json(source).to_pylist()
    target.write_text("".join(json.dumps(row) + "\n" for row in rows))


def through_duckdb(source: Path, target: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")
    duckdb.sql(f"copy (select * from read_json('{source}', format='newline_delimited')) to '{target}' (format json)")


@pytest.mark.parametrize("through", [through_polars, through_pandas, through_pyarrow, through_duckdb])
def test_round_trips_keep_meaning(tmp_path: Path, through: Callable[[Path, Path], None]) -> None:
    source, target = tmp_path / "plain.jsonl", tmp_path / "written.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    through(source, target)
    assert list(logs.read(target, CATALOG)) == list(logs.read(source, CATALOG))
    for line in target.read_text().splitlines():
        SCHEMAS["dialogue"].validate(json.loads(line))
    CATALOG.save(tmp_path / "items.jsonl")
    through(tmp_path / "items.jsonl", tmp_path / "items2.jsonl")
    assert Catalog.load(tmp_path / "items2.jsonl").items == CATALOG.items
    assert load_test(DataConfig("logs", str(target), split="dialogue")).dialogues
