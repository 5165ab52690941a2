"""Chats of every form come out as the same dialogue; what is left out is named."""

from __future__ import annotations

import copy
import gzip
import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from chat_exports import CHATGPT, FEEDBACK, LANGFUSE, OPEN_WEBUI, SHAREGPT, T0, TABLE

from tacit.catalog import Catalog
from tacit.data.dialogues.chats.forms import Ways, detected
from tacit.data.dialogues.convert import convert
from tacit.types import InputError, Item

CATALOG = Catalog([Item("a", "Alpha Road (1999)", "Alpha"), Item("b", "Beta Hill (2001)", "Beta")])
ASKED = {"speaker": "user", "text": "Anything like Alpha Road (1999)?", "mentions": ["a"]}
SHOWN = {
    "speaker": "agent",
    "text": "Try Beta Hill (2001)",
    "mentions": ["b"],
    "slate": [{"item": "b", "position": 1}],
}


def converted(path: Path, source: str = "chats", ways: Ways | None = None) -> tuple[list[dict[str, Any]], Counter[str]]:
    """The dialogues that are written, and what was left out."""
    folder = path.parent / "made"
    folder.mkdir(exist_ok=True)
    CATALOG.save(folder / "films.jsonl")
    dropped: Counter[str] = Counter()
    convert(source, path, folder / "own", folder / "films.jsonl", dropped, ways or Ways())
    return [json.loads(line) for line in (folder / "own" / "train.jsonl").read_text().splitlines()], dropped


def put(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def bare(dialogue: dict[str, Any]) -> list[dict[str, Any]]:
    """The turns without times and feedback."""
    return [{key: turn[key] for key in turn if key not in ("timestamp", "feedback")} for turn in dialogue["turns"]]


def accepted(dialogue: dict[str, Any]) -> list[bool | None]:
    return [turn.get("feedback", {}).get("accepted") for turn in dialogue["turns"]]


FORMS = [
    ("chatgpt", CHATGPT),
    ("sharegpt", SHAREGPT),
    ("langfuse", LANGFUSE),
    ("open-webui", OPEN_WEBUI),
    ("open-webui", FEEDBACK),
    ("openai", {"id": "talk-1", "messages": LANGFUSE["input"]["messages"] + [LANGFUSE["output"]]}),
]


@pytest.mark.parametrize(("form", "row"), FORMS)
def test_each_form_is_found_out_from_lines_an_array_and_one_object(tmp_path: Path, form: str, row: Any) -> None:
    kinds = {
        "lines.jsonl": json.dumps(row) + "\n",
        "array.json": json.dumps([row], indent=1),
        "object.json": json.dumps(row, indent=1),
        "marked.json": "\ufeff [" + json.dumps(row) + "]",
    }
    for name, text in kinds.items():
        path = put(tmp_path / name, text)
        assert detected(path, Ways()) == form
        (dialogue,), _ = converted(path)
        assert dialogue["id"] == "talk-1" and bare(dialogue) == [ASKED, SHOWN], name
        assert converted(path, form)[0] == [dialogue] == converted(path, ways=Ways(form=form))[0]
    packed = tmp_path / "packed.jsonl.gz"
    packed.write_bytes(gzip.compress(kinds["lines.jsonl"].encode(), mtime=0))
    assert bare(converted(packed)[0][0]) == [ASKED, SHOWN]


def test_a_table_of_chats(tmp_path: Path) -> None:
    (dialogue,), _ = converted(put(tmp_path / "talks.csv", TABLE))
    assert (dialogue["id"], dialogue["user"], bare(dialogue)) == ("talk-1", "u1", [ASKED, SHOWN])
    assert accepted(dialogue) == [None, True]
    assert dialogue["turns"][1]["timestamp"] - dialogue["turns"][0]["timestamp"] == 2
    other = TABLE.replace("conversation,role,text", "thread;who;body").replace(",", ";")
    columns = {"conversation": "thread", "role": "who", "text": "body"}
    assert converted(put(tmp_path / "other.csv", other), ways=Ways(columns=columns))[0] == [dialogue]
    exchange = "question\treply\nAnything like Alpha Road (1999)?\tTry Beta Hill (2001)\n"
    (one,), _ = converted(put(tmp_path / "pairs.tsv", exchange), ways=Ways(columns={"prompt": "question"}))
    assert bare(one) == [ASKED, SHOWN]


def test_rows_of_a_table_are_put_in_time_and_bad_ones_named_with_their_field(tmp_path: Path) -> None:
    lines = TABLE.splitlines()
    swapped = "\n".join([lines[0], lines[2], lines[1]]) + "\n"
    assert bare(converted(put(tmp_path / "swapped.csv", swapped))[0][0]) == [ASKED, SHOWN]
    bad = TABLE.replace("customer", "robot").replace("talk-1,bot", ",bot")
    with pytest.raises(InputError) as error:
        converted(put(tmp_path / "bad.csv", bad))
    assert "bad.csv:2: role 'robot' is unknown" in str(error.value)
    assert "bad.csv:3: field conversation is empty" in str(error.value)
    with pytest.raises(InputError, match="map conversation, role and text, or prompt and reply"):
        converted(put(tmp_path / "names.csv", "a,b\n1,2\n"))
    with pytest.raises(InputError, match="there is no column body"):
        converted(put(tmp_path / "talks.csv", TABLE), ways=Ways(columns={"text": "body"}))


def test_chatgpt_is_read_along_the_branch_that_is_shown(tmp_path: Path) -> None:
    (dialogue,), dropped = converted(put(tmp_path / "conversations.json", [CHATGPT]))
    assert [turn["timestamp"] for turn in dialogue["turns"]] == [T0 + 30, T0 + 50]
    assert dropped == {
        "messages on other branches": 3,
        "system messages": 1,
        "messages that the page hides": 1,
        "thoughts of assistant messages": 1,
        "tool calls": 1,
        "tool messages": 1,
    }
    unmarked = copy.deepcopy(CHATGPT)
    del unmarked["current_node"]  # the last child of each
    assert converted(put(tmp_path / "unmarked" / "conversations.json", [unmarked]))[0][0]["turns"] == dialogue["turns"]
    circle = copy.deepcopy(CHATGPT)
    circle["mapping"]["root"]["parent"] = "a3"
    assert bare(converted(put(tmp_path / "circle" / "conversations.json", [circle]))[0][0]) == [ASKED, SHOWN]


def test_citation_marks_of_chatgpt_are_no_words(tmp_path: Path) -> None:
    cited = copy.deepcopy(CHATGPT)
    words = "Try Beta Hill (2001) \ue200cite\ue202turn0search0\ue202turn0search1\ue201\ue200image\ue201"
    cited["mapping"]["a3"]["message"]["content"]["parts"] = [words]
    (dialogue,), dropped = converted(put(tmp_path / "conversations.json", [cited]))
    assert bare(dialogue) == [ASKED, SHOWN] and dropped["citation marks"] == 2


def test_chatgpt_export_as_a_zip_with_thumbs_and_several_files(tmp_path: Path) -> None:
    second = {**copy.deepcopy(CHATGPT), "id": "talk-2", "conversation_id": "talk-2"}
    second["mapping"]["a3"]["message"]["content"]["parts"] = ["Try Beta Hill (2001) soon"]
    thumbs = [{"id": "a3", "conversation_id": "talk-1", "rating": "thumbs_down"}, {"id": "z", "rating": "thumbs_up"}]
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for name, value in {
            "conversations-000.json": [CHATGPT],
            "conversations-001.json": [second],
            "message_feedback.json": thumbs,
            "user.json": {"id": "user-7", "email": "x"},
            "shared_conversations.json": [{"id": "s"}],
        }.items():
            archive.writestr(name, json.dumps(value))
    dialogues, dropped = converted(tmp_path / "export.zip")
    assert [(one["id"], one["user"], accepted(one)[-1]) for one in dialogues] == [
        ("talk-1", "user-7", False),
        ("talk-2", "user-7", None),
    ]
    assert dropped["ratings of messages that are not there, or on another branch"] == 1


def test_sharegpt_variants(tmp_path: Path) -> None:
    talk = SHAREGPT["conversations"][1:]
    plain = [{"role": one["from"], "content": one["value"]} for one in talk]
    rows = [
        {"id": "1", "items": talk},
        {"id": "2", "conversation": [{"from": "user", "value": ASKED["text"]}, {"from": "chatgpt", "markdown": "ok"}]},
        {"id": "3", "conversations": plain, "system": "You recommend."},
        {"id": "4", "conversations": talk[:1], "chosen": talk[1], "rejected": {"from": "gpt", "value": "No."}},
        {"id": "5", "conversations": [*talk, {"from": "observation", "value": "{}"}, {"from": "gpt", "value": None}]},
    ]
    dialogues, dropped = converted(put(tmp_path / "x.json", rows))
    assert [bare(one)[0] for one in dialogues] == [ASKED] * 5
    assert [bare(one)[1]["text"] for one in dialogues] == [SHOWN["text"], "ok", *[SHOWN["text"]] * 3]
    assert accepted(dialogues[3]) == [None, True] and accepted(dialogues[0]) == [None, None]
    assert dropped["rejected answers"] == dropped["system messages"] == dropped["observation messages"] == 1
    assert dropped["gpt messages without text"] + dropped["assistant messages without text"] == 1


@pytest.mark.parametrize(
    ("form", "wordless"),
    [
        ("sharegpt", {"conversations": [{"from": "gpt", "value": "Try Beta Hill (2001)"}]}),
        ("sharegpt", {"conversations": [{"from": "human", "value": None}, {"from": "gpt", "value": "Hello"}]}),
        ("sharegpt", {"conversations": []}),
        ("openai", {"messages": [{"role": "user", "content": ""}, {"role": "assistant", "content": "Hello"}]}),
        ("openai", {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}),
    ],
)
def test_a_conversation_without_words_of_a_user_takes_no_other_with_it(
    tmp_path: Path, form: str, wordless: dict[str, Any]
) -> None:
    talk = SHAREGPT["conversations"][1:]
    good = {"conversations": talk} if form == "sharegpt" else {"messages": [
        {"role": "user" if one["from"] == "human" else "assistant", "content": one["value"]} for one in talk
    ]}  # fmt: skip
    (dialogue,), dropped = converted(put(tmp_path / "x.json", [wordless, good]))
    assert bare(dialogue) == [ASKED, SHOWN]
    assert dropped["conversations without words of a user"] == 1


def test_langfuse_traces_of_a_session_are_one_conversation(tmp_path: Path) -> None:
    """Whether an input repeats the history or not; in time, whatever their order in the file."""
    history = [*LANGFUSE["input"]["messages"], LANGFUSE["output"], {"role": "user", "content": "Thanks"}]
    later = {**LANGFUSE, "id": "trace-2", "timestamp": "2025-10-09T08:54:00.000Z", "observations": [], "scores": []}
    grown = {
        **later,
        "input": json.dumps(history),
        "output": json.dumps({"choices": [{"message": {"role": "assistant", "content": "Bye"}}]}),
    }
    single = {**later, "input": "Thanks", "output": "Bye"}
    for number, second in enumerate((grown, single)):
        (dialogue,), _ = converted(put(tmp_path / f"{number}.json", [second, LANGFUSE]))
        assert [turn["text"] for turn in dialogue["turns"]] == [ASKED["text"], SHOWN["text"], "Thanks", "Bye"]
        assert accepted(dialogue) == [None, True, None, None] and dialogue["user"] == "u1"


def test_langfuse_blob_storage_has_scores_and_observations_in_files_of_their_own(tmp_path: Path) -> None:
    observation = {
        "id": "o1", "trace_id": "t1", "type": "GENERATION", "start_time": "2025-10-09 08:53:20.250000",
        "parent_observation_id": None, "input": json.dumps(LANGFUSE["input"]), "output": json.dumps(LANGFUSE["output"]),
        "session_id": "talk-1", "user_id": "u1",
    }  # fmt: skip
    inner = {**observation, "id": "o2", "parent_observation_id": "o1", "input": "inner", "output": "inner"}
    score = {
        "id": "s",
        "trace_id": None,
        "observation_id": "o1",
        "name": "thumbs",
        "value": None,
        "string_value": "down",
    }
    put(tmp_path / "in" / "observations_v2" / "1.jsonl", f"{json.dumps(inner)}\n{json.dumps(observation)}\n")
    put(
        tmp_path / "in" / "scores" / "1.jsonl",
        json.dumps({**score, "data_type": "CATEGORICAL", "source": "API"}) + "\n",
    )
    (dialogue,), dropped = converted(tmp_path / "in")
    assert bare(dialogue) == [ASKED, SHOWN] and accepted(dialogue) == [None, False]
    assert dropped == {"observations inside a trace": 1}


def score(name: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "value": value, "traceId": "trace-1", "source": "API", **more}


@pytest.mark.parametrize(
    ("scores", "least", "like", "said"),
    [
        ([score("user-feedback", 0)], {}, False, ""),
        ([score("user-feedback", -1), score("user-feedback", 0)], {}, False, "neither for nor against"),
        ([score("user-feedback", True)], {}, True, ""),
        ([score("rating", 4)], {}, None, "on a scale of their own (--score 'rating'=LEAST)"),
        ([score("rating", 4)], {"rating": 4}, True, ""),
        ([score("rating", 3)], {"rating": 4}, False, ""),
        ([score("contains_pii", 1)], {}, None, "scores 'contains_pii' (--score takes them)"),
        ([score("contains_pii", 0)], {"contains_pii": 1}, False, ""),
        ([score("thumbs", 1, source="EVAL")], {}, None, "scores by evaluators"),
    ],
)
def test_which_scores_are_a_word_on_the_reply(
    tmp_path: Path, scores: list[Any], least: dict[str, float], like: bool | None, said: str
) -> None:
    path = put(tmp_path / "x.json", [{**LANGFUSE, "scores": scores}])
    (dialogue,), dropped = converted(path, ways=Ways(least=least))
    assert accepted(dialogue) == [None, like]
    assert not said or any(said in reason for reason in dropped)


def test_open_webui_thumbs_and_the_latest_of_a_chats_snapshots(tmp_path: Path) -> None:
    (own,), dropped = converted(put(tmp_path / "all-chats-export-1.json", [OPEN_WEBUI]))
    assert accepted(own) == [None, False] and own["user"] == "u1"
    assert dropped == {"messages on other branches": 1, "thoughts of assistant messages": 1}
    earlier = copy.deepcopy(FEEDBACK)
    earlier["data"]["rating"] = "-1"
    earlier["snapshot"]["chat"] = {
        **OPEN_WEBUI,
        "updated_at": 1,
        "chat": {"messages": [{"role": "user", "content": "?"}]},
    }
    (two,), dropped = converted(put(tmp_path / "feedback.json", [FEEDBACK, earlier]))
    assert bare(two) == [ASKED, SHOWN] and accepted(two) == [None, False]  # of both thumbs the later in the file
    assert dropped["earlier copies of a chat"] == 1
    without = {**FEEDBACK, "snapshot": None}
    with pytest.raises(InputError, match="holds no dialogues"):
        converted(put(tmp_path / "shared.json", [without]))


def test_a_rating_of_a_reply_that_shows_nothing_is_counted(tmp_path: Path) -> None:
    row = copy.deepcopy(OPEN_WEBUI)
    row["chat"]["history"]["messages"]["r2"]["content"] = "What do you like?"
    (dialogue,), dropped = converted(put(tmp_path / "x.json", [row]))
    assert accepted(dialogue) == [None, None] and dropped["ratings of replies that name no item"] == 1


def test_where_no_form_fits_each_is_named(tmp_path: Path) -> None:
    for name, text in {
        "x.json": '[{"talk": 1}]',
        "y.jsonl": '{"talk": 1}\n',
        "z.txt": "Hello\n",
        "e.json": "[]",
    }.items():
        with pytest.raises(InputError) as error:
            converted(put(tmp_path / name, text))
        for form in ("chatgpt", "sharegpt", "langfuse", "open-webui", "openai", "csv"):
            assert form in str(error.value), name
    with pytest.raises(InputError, match="form 'reddit' is unknown: choose one of chatgpt"):
        converted(put(tmp_path / "x.json", "[]"), ways=Ways(form="reddit"))
    with pytest.raises(InputError, match=r"x\.json: entry 2: key mapping must be"):
        converted(put(tmp_path / "x.json", [CHATGPT, SHAREGPT]))
    with pytest.raises(InputError, match=r"cut\.json: not JSON .* it begins as an array"):
        converted(put(tmp_path / "cut.json", json.dumps([CHATGPT])[:-5]))
    with pytest.raises(InputError, match="does not exist"):
        converted(tmp_path / "absent.json")
