"""Anybody's table: columns by mapping, slates by round, a second table, and what is wrong said by column and row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tacit.offpolicy import read_table
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
    first = written(tmp_path, "item,logged,reward\nz,0.5,1\n")
    assert read_table(first, {"target": "new"}, written(tmp_path, SECOND, "policy.csv")).target[0, 0] == 0.0


def test_a_second_table_by_round(tmp_path: Path) -> None:
    first = written(tmp_path, "round,place,logged,reward\nr1,1,0.5,1\nr1,2,0.25,0\n")
    second = written(tmp_path, "round,place,target\nr1,2,0.4\nr1,1,0.3\n", "second.csv")
    assert read_table(first, None, second).target[0].tolist() == [0.3, 0.4]


FIRST = "round,item,logged,reward\nr1,a,0.5,1\n"
WRONG_SECOND = {
    "round,item,target\nr2,b,0.5\n": "has no row for {'round': 'r1', 'item': 'a'}",
    "item,target\na,0.7\nb,0.7\n": "adds up to 1.4",
    "item,target\na,0.3\na,0.7\n": "twice",
    "item,p\na,0.3\n": "--map target=COLUMN",
    "place,target\n1,0.3\n": "share neither round nor item",
    "item,target\na,much\n": "row 1: target is 'much', no number",
}


@pytest.mark.parametrize("text", WRONG_SECOND)
def test_what_is_wrong_with_a_second_table_is_said(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=WRONG_SECOND[text].replace("{", r"\{")):
        read_table(written(tmp_path, FIRST), None, written(tmp_path, text, "second.csv"))


WRONG = {
    "target,reward\n0.5,1\n": "no column 'logged' .* --map logged=COLUMN; it has target, reward",
    "logged,reward\n0.5,1\n": "no column 'target' .*--target",
    "logged,target\n0.5,1\n": "neither reward nor slate_reward",
    "logged,target,reward,slate_reward\n0.5,1,1,1\n": "both reward and slate_reward",
    "logged,target,reward\n": "no row",
    "logged,target,reward\n0.5,0.5,1\n,0.5,1\n": "row 2: logged is empty",
    "logged,target,reward\nhigh,0.5,1\n": "row 1: logged is 'high', no number",
    "logged,target,reward\n0.5,0.5,1\n1.2,0.5,1\n": "logged of round 2, place 1 is 1.2",
    "logged,target,reward\n0.5,0.5,1\n0,0.5,1\n": "logged of round 2, place 1 is 0 .* what was drawn had a chance",
    "logged,target,reward\n-0.69,0.5,1\n": "looks like a logarithm",
    "logged,target,reward\n0.5,1.5,1\n": "target of round 1, place 1 is 1.5",
    "round,logged,target,reward,user\nr,0.5,0.5,1,u\nr,0.5,0.5,1,v\n": "row 1: user is another than in the other rows",
    "round,place,logged,target,reward\nr,1,0.5,0.5,1\nr,1,0.5,0.5,1\n": "round 'r' has place 1 twice",
    "logged,target,reward,uniform\n0.5,0.5,1,maybe\n": "row 1: uniform is 'maybe': write true or false",
    "logged,target,reward,weight\n0.5,0.5,1,-1\n": "weight must be finite",
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
    with pytest.raises(InputError, match="no column 'p', which --map gives to logged: it has round"):
        read_table(written(tmp_path), {**MAP, "logged": "p"})
