"""Anybody's table: columns by mapping, slates by round, a second table, and what is wrong said by column and row."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tacit.offpolicy import read_table
from tacit.offpolicy.checks import mixture_floor
from tacit.offpolicy.table import read_mapping
from tacit.types import InputError

CSV = """round,place,item,session,user,pscore,new,click
r1,2,b,s1,u1,0.5,0.25,0
r1,1,a,s1,u1,0.25,0.5,1
r2,1,c,s2,u1,0.5,0.25,0
"""
MAP = {"logged": "pscore", "target": "new", "reward": "click"}


def written(folder: Path, text: str = CSV, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_rows_of_a_round_are_a_slate_in_the_order_of_places(tmp_path: Path) -> None:
    log = read_table(written(tmp_path), MAP)
    assert log.logged[0].tolist() == [0.25, 0.5]
    assert log.logged[1, 0] == 0.5 and np.isnan(log.logged[1, 1])
    assert log.rewards[0].tolist() == [1.0, 0.0]
    assert log.items is not None and log.items.tolist() == [["a", "b"], ["c", ""]]
    assert log.clusters.tolist() == [0, 0]  # one person, two sessions


def test_without_rounds_each_row_is_one(tmp_path: Path) -> None:
    log = read_table(written(tmp_path, "logged,target,reward\n0.5,0.5,1\n0.25,0.5,0\n"))
    assert (log.n, log.places) == (2, 1)


@pytest.mark.parametrize("ending", ["jsonl", "parquet", "csv", "tsv"])
def test_each_form_is_the_same_log(ending: str, tmp_path: Path) -> None:
    frame, path = pl.read_csv(written(tmp_path)), tmp_path / f"again.{ending}"
    if ending == "jsonl":
        frame.write_ndjson(path)
    elif ending == "parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path, separator="\t" if ending == "tsv" else ",")
    log = read_table(path, MAP)
    assert log.logged[0].tolist() == [0.25, 0.5] and log.places == 2


def test_lists_are_slates(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(
        '{"logged": [0.5, 0.25], "target": [0.25, 0.5], "reward": [0, 1], "user": "u"}\n'
        '{"logged": [0.5], "target": [0.5], "reward": [1], "user": "v"}\n'
    )
    log = read_table(path)
    assert log.rewards[0].tolist() == [0.0, 1.0] and np.isnan(log.logged[1, 1])
    path.write_text('{"logged": [0.5, 0.25], "target": [0.25], "reward": [0, 1]}\n')
    with pytest.raises(InputError, match=r"row 1: .* as many entries"):
        read_table(path)


LISTS: dict[str, list[list[Any]]] = {
    "logged": [[0.5, 0.25], [1.0]],
    "target": [[0.25, 0.5], [0.5]],
    "reward": [[0, 1], [1]],
    "item": [[7, 8], [7]],
}


def test_lists_written_as_json_are_slates(tmp_path: Path) -> None:
    plain = read_table(_put(pl.DataFrame(LISTS), tmp_path / "log.parquet"))
    texts = pl.DataFrame({name: [json.dumps(one) for one in rows] for name, rows in LISTS.items()})
    for name in ("log.csv", "log.jsonl"):
        log = read_table(_put(texts, tmp_path / name))
        for field in ("logged", "target", "rewards", "items"):
            np.testing.assert_array_equal(getattr(log, field), getattr(plain, field))
    assert plain.items is not None and plain.items.tolist() == [["7", "8"], ["7", ""]]


def test_an_item_called_like_a_list_is_a_name(tmp_path: Path) -> None:
    log = read_table(written(tmp_path, "item,user,logged,target,reward\n[REC],[deleted],0.5,0.5,1\n"))
    assert log.items is not None and log.users is not None
    assert log.items.tolist() == [["[REC]"]] and log.users.tolist() == ["[deleted]"]


def test_arrays_of_one_length_are_slates(tmp_path: Path) -> None:
    frame = pl.DataFrame({"logged": [[0.5, 0.25]], "target": [[0.25, 0.5]], "slate_reward": [2]})
    frame = frame.with_columns(pl.col("logged", "target").list.to_array(2))
    log = read_table(_put(frame, tmp_path / "log.parquet"))
    assert log.logged.tolist() == [[0.5, 0.25]] and log.rewards.tolist() == [2.0]


def test_an_entry_of_a_list_is_named_by_the_row_of_the_file(tmp_path: Path) -> None:
    text = '{"logged": [0.5, 0.25], "target": [0.5, 0.5], "reward": [0, 1]}\n'
    for wrong, said in {
        text + text.replace("0.25", "null"): "row 2, entry 2: logged is empty",
        text + text.replace("0.25", "-1.4"): "row 2, entry 2: logged is -1.4",
        text + '{"logged": [], "target": [], "reward": []}\n': "row 2: logged is empty",
    }.items():
        with pytest.raises(InputError, match=said):
            read_table(written(tmp_path, wrong, "log.jsonl"))


def test_an_empty_list_is_a_round_without_items_where_decisions_are_logged(tmp_path: Path) -> None:
    text = (
        '{"logged": [0.5], "target": [0.5], "slate_reward": 1, "logged_decision": 0.8, "target_decision": 0.5}\n'
        '{"logged": [], "target": [], "slate_reward": 2, "logged_decision": 0.2, "target_decision": 0.5}\n'
    )
    log = read_table(written(tmp_path, text, "log.jsonl"))
    assert log.recommends.tolist() == [True, False] and log.rewards.tolist() == [1.0, 2.0]


def test_names_stay_as_they_are_written(tmp_path: Path) -> None:
    """007 is not 7, a number beyond 2^53 is not its neighbour, and 7.0 beside an empty row is the 7 of other rows."""
    text = "logged,target,reward,user\n0.5,0.5,1,007\n0.5,0.5,1,7\n"
    assert read_table(written(tmp_path, text)).clusters.tolist() == [0, 1]
    for number in (2**53, 2**63, 2**64):
        rows = [f'{{"logged": 0.5, "target": 0.5, "reward": 1, "user": {number + i}}}' for i in (0, 1, 0)]
        log = read_table(written(tmp_path, "\n".join(rows) + "\n", "log.jsonl"))
        assert log.clusters.tolist() == [0, 1, 0]
    frame = pl.DataFrame(
        {"logged": [0.5] * 3, "target": [0.5] * 3, "reward": [1] * 3, "user": [7.0, None, float("nan")]}
    )
    log = read_table(_put(frame, tmp_path / "log.parquet"))
    assert log.users is not None and log.users.tolist() == ["7", "", ""]


def test_two_tables_meet_whether_an_item_is_7_or_7_point_0(tmp_path: Path) -> None:
    first = _put(pl.DataFrame({"item": [7, 8], "logged": [0.5, 0.5], "reward": [1, 0]}), tmp_path / "log.parquet")
    second = written(tmp_path, "item,target\n7.0,0.25\n8.0,0.75\n", "second.csv")
    assert read_table(first, None, second).target[:, 0].tolist() == [0.25, 0.75]


def test_clicks_may_be_words_and_headers_may_have_spaces(tmp_path: Path) -> None:
    text = "logged, target, reward\n0.5, 0.5, True\n0.5, 0.5, false\n"
    assert read_table(written(tmp_path, text)).rewards[:, 0].tolist() == [1.0, 0.0]


def test_a_reward_that_is_mapped_counts_under_one_name_alone(tmp_path: Path) -> None:
    log = read_table(written(tmp_path, "logged,target,reward\n0.5,0.5,3\n"), {"slate_reward": "reward"})
    assert not log.by_place and log.rewards.tolist() == [3.0]


def test_how_many_candidates_there_were_need_not_be_known_of_every_round(tmp_path: Path) -> None:
    text = "logged,target,reward,epsilon,candidates\n0.5,0.5,1,0.1,4\n0.02,0.5,1,0.1,\n"
    log = read_table(written(tmp_path, text))
    assert log.candidates is not None and np.isnan(log.candidates).tolist() == [False, True]
    assert mixture_floor(log).passed is True  # 0.02 is below 0.1 / 4, which the second round does not say


def test_a_mapping_must_be_in_one_of_two_tables(tmp_path: Path) -> None:
    first = written(tmp_path, "item,logged,reward\na,0.5,1\n")
    with pytest.raises(InputError, match="no column 'person', which --map gives to user"):
        read_table(first, {"target": "new", "user": "person"}, written(tmp_path, SECOND, "policy.csv"))


def test_their_name_of_a_column_is_said(tmp_path: Path) -> None:
    text = "pscore,target,reward\n1.5,0.5,1\n0,0.5,1\n"
    with pytest.raises(InputError, match=r"row 1: pscore \(logged\) is 1.5 \(2 such rows\): "):
        read_table(written(tmp_path, text), {"logged": "pscore"})


def _put(frame: pl.DataFrame, path: Path) -> Path:
    write: dict[str, Callable[[Path], object]] = {
        ".csv": frame.write_csv, ".jsonl": frame.write_ndjson, ".parquet": frame.write_parquet,
    }  # fmt: skip
    write[path.suffix](path)
    return path


def test_a_reward_of_the_whole_slate_and_a_decision(tmp_path: Path) -> None:
    text = "round,logged,target,slate_reward,logged_decision,target_decision\nr1,0.5,0.5,2,0.8,0.9\nr2,,,0,0.2,0.1\n"
    log = read_table(written(tmp_path, text))
    assert not log.by_place and log.recommends.tolist() == [True, False]
    assert log.target_recommends == pytest.approx([0.9, 0.9])


def test_float32_propensities_are_taken(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"logged": np.array([1.0000001, 0.2], np.float32), "target": np.array([0.2, 1.0], np.float32), "reward": [1, 0]}
    )
    frame.write_parquet(tmp_path / "log.parquet")
    assert read_table(tmp_path / "log.parquet").logged[0, 0] == 1.0


def test_one_column_may_serve_twice(tmp_path: Path) -> None:
    log = read_table(written(tmp_path), {**MAP, "session": "user"})
    assert log.sessions is not None and log.users is not None
    assert log.sessions.tolist() == log.users.tolist() == ["u1", "u1"]


SECOND = """item,new
a,0.6
b,0.3
c,0.1
"""


def test_a_second_table_of_all_items_tells_what_would_be_shown(tmp_path: Path) -> None:
    first = written(tmp_path, "item,logged,reward\na,0.5,1\nc,0.25,0\n")
    log = read_table(first, {"target": "new"}, written(tmp_path, SECOND, "policy.csv"))
    assert log.target[:, 0].tolist() == [0.6, 0.1]
    assert log.target_items is not None and log.target_shares is not None
    assert log.target_items[0, 0].tolist() == ["a", "b", "c"]
    assert log.target_shares[1, 0].tolist() == [0.6, 0.3, 0.1]


def test_items_that_a_whole_policy_does_not_list_are_never_shown_by_it(tmp_path: Path) -> None:
    first = written(tmp_path, "item,logged,reward\nz,0.5,1\na,0.5,1\n")
    log = read_table(first, {"target": "new"}, written(tmp_path, SECOND, "policy.csv"))
    assert log.target[:, 0].tolist() == [0.0, 0.6]
    strange = written(tmp_path, "item,logged,reward\nA,0.5,1\nB,0.5,1\n")
    with pytest.raises(InputError, match=r"no row for item 'A', .*row 1 has; .* are names written alike in both"):
        read_table(strange, {"target": "new"}, tmp_path / "policy.csv")


def test_a_second_table_by_round(tmp_path: Path) -> None:
    first = written(tmp_path, "round,place,logged,reward\nr1,1,0.5,1\nr1,2,0.25,0\n")
    second = written(tmp_path, "round,place,target\nr1,2,0.4\nr1,1,0.3\n", "second.csv")
    assert read_table(first, None, second).target[0].tolist() == [0.3, 0.4]


FIRST = "round,item,logged,reward\nr1,a,0.5,1\n"
WRONG_SECOND = {
    "round,item,target\nr2,b,0.5\n": "has no row for round 'r1', item 'a', which .*row 1 has",
    "item,target\na,0.7\nb,0.7\n": "adds up to 1.4",
    "item,target\na,0.3\na,0.7\n": "twice",
    "item,p\na,0.3\n": "--map target=COLUMN",
    "place,target\n1,0.3\n": "share neither round nor item",
    "item,target\na,much\n": "row 1: target is 'much', no number",
}


@pytest.mark.parametrize("text", WRONG_SECOND)
def test_what_is_wrong_with_a_second_table_is_said(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=WRONG_SECOND[text]):
        read_table(written(tmp_path, FIRST), None, written(tmp_path, text, "second.csv"))


WRONG = {
    "target,reward\n0.5,1\n": "no column 'logged' .* --map logged=COLUMN; it has target, reward",
    "logged,reward\n0.5,1\n": "no column 'target' .*--target",
    "logged,target\n0.5,1\n": "neither reward nor slate_reward",
    "logged,target,reward,slate_reward\n0.5,1,1,1\n": "both reward and slate_reward",
    "logged,target,reward\n": "no row",
    "logged,target,reward\n0.5,0.5,1\n,0.5,1\n": "row 2: logged is empty",
    "logged,target,reward\nhigh,0.5,1\n": "row 1: logged is 'high', no number",
    "logged,target,reward\n0.5,0.5,1\n1.2,0.5,1\n": "row 2: logged is 1.2: .* was scaled, or is a weight",
    "logged,target,reward\n0.5,0.5,1\n0,0.5,1\n": "row 2: logged is 0: .* what was drawn had a chance",
    "logged,target,reward\n-0.69,0.5,1\n": "looks like a logarithm",
    "logged,target,reward\n0.5,1.5,1\n": "row 1: target is 1.5: it must be in \\[0, 1\\]",
    "round,logged,target,reward,user\nr,0.5,0.5,1,u\nr,0.5,0.5,1,v\n": "row 1: user is another than in the other rows",
    "round,place,logged,target,reward\nr,1,0.5,0.5,1\nr,1,0.5,0.5,1\n": "row 2: round 'r' has this place twice: keep",
    "logged,target,reward,uniform\n0.5,0.5,1,maybe\n": "row 1: uniform is 'maybe': write true or false",
    "logged,target,reward\n0.5,0.5,1\nNaN,0.5,1\n": "row 2: logged is empty: fill it in, or leave the rows out",
    "logged,target,reward\n0.5,nan,1\n": "row 1: target is empty",
    "logged,target,reward\n0.5,0.5,NA\n": "row 1: reward is empty",
    "logged,target,reward\n0.5,0.5,inf\n": "row 1: reward is inf: it must be a number",
    "logged,target,reward\n0.5,0.5,1e300\n": "row 1: reward is 1e[+]300: .* count in other units",
    "logged,target,reward\n5e-324,0.5,1\n": "row 1: logged is .* nothing is ever drawn with less than 1e-100",
    "logged,target,reward\n0.5,-0.7,1\n": "row 1: target is -0.7: .* looks like a logarithm",
    "logged,target,reward,epsilon\n0.5,0.5,1,1.5\n": "row 1: epsilon is 1.5: .*at most 1: it is a share",
    "round,logged,target,reward\nr,0.5,0.5,1\n,0.5,0.5,1\n": "row 2: round is empty: say which rows are one slate",
    "round,place,logged,target,reward\nr,1,0.5,0.5,1\nr,3,0.5,0.5,1\n": "row 2: round 'r' lacks a place before this",
    "round,place,logged,target,reward\nr,1,0.5,0.5,1\ns,2,0.5,0.5,1\n": "row 2: round 's' lacks a place before this",
    "round,item,logged,target,reward\nr,a,0.5,0.5,1\nr,a,0.5,0.5,1\n": "row 2: round 'r' has this item twice",
    "logged,target,reward\n0.5,0.5,1\n0.5,0.5,1,7\n": "row 2 .4 fields, the header has 3. cannot be read as csv",
    "logged,target,reward,reward\n0.5,0.5,1,0\n": "has two columns 'reward': name one of them otherwise",
    "logged;target;reward\n0,5;0,5;1\n": "separated by semicolons: write it with commas",
    "item,logged,target,reward\n\"['a' 'b']\",\"[0.5, 0.5]\",1,1\n": "row 1: item is .*, no list: write JSON",
    'target,logged,reward\n"[0.1, 0.2]",0.5,1\n': "logged is one value a row, where target is a list",
    "logged,target,reward,logged_decision,target_decision\n,,1,0.5,0.5\n": "row 1: a reward where nothing was shown",
    "logged,target,reward,weight\n0.5,0.5,1,-1\n": "row 1: weight is -1: it must be a number and at least 0",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_with_a_table_is_said_with_its_remedy(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=WRONG[text]) as error:
        read_table(written(tmp_path, text))
    assert "\n" not in str(error.value)


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    for name, said in {"log.xlsx": "a table ends in", "none.csv": "does not exist"}.items():
        with pytest.raises(InputError, match=said):
            read_table(tmp_path / name)
    for name in ("broken.parquet", "broken.jsonl"):
        with pytest.raises(InputError, match="cannot be read as"):
            read_table(written(tmp_path, "no", name))


def test_mappings_are_checked() -> None:
    assert read_mapping(["logged=p", "feature_age=age"]) == {"logged": "p", "feature_age": "age"}
    for pair, said in {
        "logged": "OURS=THEIRS",
        "pscore=logged": "no column 'pscore'",
        "logged=": "OURS=THEIRS",
    }.items():
        with pytest.raises(InputError, match=said):
            read_mapping([pair])
    with pytest.raises(InputError, match="mapped twice"):
        read_mapping(["logged=a", "logged=b"])


def test_a_mapped_column_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no column 'p', which --map gives to logged. .*it has round"):
        read_table(written(tmp_path), {**MAP, "logged": "p"})
